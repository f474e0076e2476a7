"""A provider of OpenID Connect on loopback, which checks what a strict one checks."""

import base64
import hashlib
import html
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "chatbot", "secret-of-the-chatbot"
PEOPLE = ["alice", "bob", "carol", "dan", "eve", "frank", "grace", "heidi", "ivan", "judy"]
PEOPLE += ["kim", "leo"]
ALICE = {"sub": "alice", "email": "alice@example.com"}


class Provider(ThreadingHTTPServer):
    """It signs its tokens, and refuses a code without its PKCE verifier or the client's secret.

    What tests change:
    who: the claims of the person who signs in at once; None shows a page on which to choose one.
    error: what it answers instead of a code.
    prompts: the values of `prompt` that it knows; another one is an invalid request.
    ends_sessions: whether it can be asked to sign people out.
    is_silent: whether it answers nothing but errors.
    algorithm: what signs its tokens; "none" signs nothing.

    ended: the queries of those whom it has signed out.
    """

    daemon_threads = True

    def __init__(self, address: str) -> None:
        """address: of the chatbot; codes are sent to its callback only."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://localhost:{self.server_port}"
        self.address = address
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}
        self.ended: list[dict[str, str]] = []
        self.reset()

    def reset(self) -> None:
        self.who: dict[str, Any] | None = dict(ALICE)
        self.error = ""
        self.prompts = {"select_account", "login"}
        self.ends_sessions = True
        self.is_silent = False
        self.algorithm = "RS256"

    def environment(self) -> dict[str, str]:
        """Return the settings that make people sign in here."""
        return {
            "CHATBOT_ADDRESS": self.address,
            "CHATBOT_SIGN_IN_METADATA_URL": f"{self.url}/.well-known/openid-configuration",
            "CHATBOT_SIGN_IN_CLIENT_ID": CLIENT_ID,
            "CHATBOT_SIGN_IN_CLIENT_SECRET": CLIENT_SECRET,
        }


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query))
        if self.server.is_silent:
            self._answer(503)
        elif url.path == "/.well-known/openid-configuration":
            self._describe()
        elif url.path == "/jwks":
            self._answer(keys=[self.server.key.as_dict(private=False)])
        elif url.path == "/authorize":
            self._authorize(asked)
        elif url.path == "/end" and asked.get("client_id") == CLIENT_ID:
            self.server.ended.append(asked)
            self._redirect(asked["post_logout_redirect_uri"])
        else:
            self._answer(404)

    def _describe(self) -> None:
        base = self.server.url
        more: dict[str, Any] = (
            {"end_session_endpoint": f"{base}/end"} if self.server.ends_sessions else {}
        )
        self._answer(  # it does not say that it knows PKCE, as Cognito doesn't
            issuer=base,
            authorization_endpoint=f"{base}/authorize",
            token_endpoint=f"{base}/token",
            jwks_uri=f"{base}/jwks",
            id_token_signing_alg_values_supported=["RS256", self.server.algorithm],
            **more,
        )

    def _authorize(self, asked: dict[str, str]) -> None:
        back, state = asked["redirect_uri"], asked["state"]
        if back != f"{self.server.address}/oauth2callback" or asked["client_id"] != CLIENT_ID:
            self._answer(400, error="unknown client or address")
        elif self.server.error:
            self._redirect(back, error=self.server.error, state=state)
        elif asked.get("prompt", "login") not in self.server.prompts:
            self._redirect(back, error="invalid_request", state=state)
        elif self.server.who is None and "who" not in asked:
            self._choose(asked)
        else:
            code = secrets.token_hex()
            self.server.codes[code] = asked
            self._redirect(back, code=code, state=state)

    def _choose(self, asked: dict[str, str]) -> None:
        links = (
            f'<p><a href="/authorize?{html.escape(urlencode({**asked, "who": name}))}">{name}</a>'
            for name in PEOPLE
        )
        self._send(200, "text/html", f"<h1>Who are you?</h1>{''.join(links)}".encode())

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        given = dict(parse_qsl(self.rfile.read(length).decode()))
        asked = self.server.codes.pop(given.get("code", ""), {})
        proof = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).decode().rstrip("=")
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if (
            asked.get("code_challenge") != challenge
            or asked["redirect_uri"] != given["redirect_uri"]
            or self.headers["authorization"] != f"Basic {basic}"
        ):
            self._answer(400, error="invalid_grant")
            return
        name = asked.get("who", "")
        who = {"sub": name, "email": f"{name}@example.com"} if name else self.server.who
        now = int(time.time())
        claims = {"iss": self.server.url, "aud": CLIENT_ID, "iat": now, "exp": now + 3600}
        claims |= {"nonce": asked["nonce"], **(who or {})}
        if self.server.algorithm == "none":
            parts = (json.dumps(each).encode() for each in ({"alg": "none"}, claims))
            token = "".join(
                f"{base64.urlsafe_b64encode(each).decode().rstrip('=')}." for each in parts
            )
        else:
            token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.server.key)
        self._answer(access_token="x", token_type="Bearer", expires_in=3600, id_token=token)  # noqa: S106

    def _answer(self, status: int = 200, **content: Any) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, address: str, **query: str) -> None:
        self.send_response(302)
        self.send_header("location", f"{address}?{urlencode(query)}" if query else address)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def provider(address: str) -> Iterator[Provider]:
    """Run a provider for the chatbot at that address until the block ends."""
    with Provider(address) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
