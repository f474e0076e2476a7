"""The gate: without a valid sign-in there is no page, no WebSocket, no upload and no media.

Streamlit asks for the sign-in within the page only; until then, anybody may connect and upload.
The gate stands in front of Streamlit and leaves it the part of talking to the provider, with what
Streamlit lacks: cookies for HTTPS only, a page where a sign-in fails, several tabs that sign in at
once, and the address that a person wanted to see.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot import sign_in
from chatbot.identity import session_folder
from chatbot.languages import current, say
from chatbot.page import wording
from chatbot.sessions import Session
from chatbot.settings import SignIn
from chatbot.sign_in import SignedIn
from chatbot.storage import StorageError
from chatbot.web.patience import StorageThreads
from chatbot.web.requests import is_page, set_person

log = logging.getLogger(__name__)

SIGN_IN = "/sign-in"
HEALTH = "/_stcore/health"
ATTEMPT = "chatbot_attempt_"  # cookies, each of one attempt to sign in
ATTEMPTS = 5  # in a browser at once; with one more, those before are forgotten
ATTEMPT_SECONDS = 3600
QUERY_LENGTH = 500  # characters of the page's address that survive a sign-in
SCRIPT = Path(__file__).with_name("gate.js").read_text(encoding="utf-8")

_HERE = "sign_in_at"  # in an address: the browser was sent to the right name already
_SESSION = "_streamlit_session"  # Streamlit's cookie with the newest attempt; it forgets older ones
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 "Source Sans", system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 90vh; margin: 0; text-align: center;
  color: var(--text); background: var(--background); }
main { max-width: 24rem; padding: 2rem; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.2; }
a { display: inline-block; margin-top: .5rem; padding: .5rem 1.5rem; border: 1px solid;
  border-radius: .5rem; color: inherit; text-decoration: none; font-weight: 600; }
a:is(:hover, :focus-visible) { color: var(--background); background: var(--text); }
"""


@dataclass(frozen=True)
class Attempt:
    """What a browser keeps while its person is with the provider, in a cookie of each attempt.

    session: the content of Streamlit's cookie, which is signed.
    query: of the page that the person wants to see.
    plain: whether the provider was asked without what the last attempt failed for.
    """

    session: str
    query: str
    plain: bool

    def to_cookie(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @staticmethod
    def from_cookie(value: str) -> "Attempt | None":
        """Return the attempt; None for what a browser has made up."""
        try:
            told = json.loads(base64.urlsafe_b64decode(value))
            return Attempt(str(told["session"]), clean_query(told["query"]), bool(told["plain"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


class Gate:
    """Lets nobody pass who has not signed in, or may not use the chatbot.

    sessions: the folder of all sessions.
    title: the chatbot's name, on the page to sign in.
    colors: as those of Index.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: SignIn,
        sessions: Path,
        title: str,
        colors: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._app, self._settings, self._sessions, self._title = app, settings, sessions, title
        self._style = "".join(
            f"@media (prefers-color-scheme: {scheme}) {{ :root {{"
            f" --text: {each['text']}; --background: {each['background']}; }} }}"
            for scheme, each in colors.items()
        )
        self._seconds = settings.hours * 3600
        self._is_https = settings.address.startswith("https:")
        self._threads = StorageThreads("sign-outs")
        self._steps = {
            SIGN_IN: self._begin,
            sign_in.LOGIN: self._log_in,
            sign_in.CALLBACK: self._come_back,
            sign_in.SIGN_OUT: self._sign_out,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        step = self._steps.get(scope["path"]) if scope["type"] == "http" else None
        if step:
            await step(scope, receive, send)
            return
        refusal = await self._why_not(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    async def _why_not(self, scope: Scope) -> Response | None:
        """Return the answer to who may not pass; None lets them pass."""
        signed_in = self._signed_in(scope)
        home = _home(scope["query_string"].decode("latin-1")) if is_page(scope) else "/"
        if signed_in is None:
            return self._page(401, wording.please_sign_in(), home)
        if not sign_in.may_enter(signed_in.person, self._settings):
            sentence = wording.may_not_enter(signed_in.person.name)
            return self._page(403, sentence, home, say("Sign out"), sign_in.SIGN_OUT)
        if scope["type"] == "websocket" and not self._comes_from_the_page(scope):
            return PlainTextResponse(status_code=403)
        ended = await self._has_ended(signed_in)
        if ended:
            return self._page(401, wording.please_sign_in(), home)
        if ended is None and scope.get("method") not in (None, "GET", "HEAD"):
            return PlainTextResponse(wording.slow_storage(), 503)  # nothing may be kept unseen
        set_person(scope, signed_in.person)
        return None

    def _signed_in(self, scope: Scope) -> SignedIn | None:
        return sign_in.read_cookie(HTTPConnection(scope).cookies, self._settings)

    def _session(self, signed_in: SignedIn) -> Session:
        return Session(session_folder(self._sessions, signed_in.person))

    async def _has_ended(self, signed_in: SignedIn) -> bool | None:
        """Return whether the person signed out of this sign-in; None if the storage can't tell."""
        try:
            return await self._threads.run(self._session(signed_in).has_ended, signed_in.id)
        except (StorageError, TimeoutError):
            return None

    def _comes_from_the_page(self, scope: Scope) -> bool:
        """Return whether a page of this chatbot opens the WebSocket, and not another site's."""
        return HTTPConnection(scope).headers.get("origin", "").lower() == self._settings.address

    # The steps of signing in and out.

    async def _begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the browser to Streamlit, which sends it to the provider."""
        asked = scope["query_string"].decode("latin-1")
        address = urlsplit(self._settings.address)
        here = f"{_HERE}={quote(self._settings.address, safe='')}"
        signed_in = self._signed_in(scope)
        if HTTPConnection(scope).headers.get("host", "").lower() != address.netloc and (
            here not in asked.split("&")
        ):  # the provider sends browsers back to the address, so cookies must be that one's
            query = "&".join(each for each in (clean_query(asked), here) if each)
            answer: Response = RedirectResponse(f"{self._settings.address}{SIGN_IN}?{query}")
        elif signed_in and await self._has_ended(signed_in) is False:
            answer = RedirectResponse(_home(asked))
        else:
            answer = _to_login(clean_query(asked))
        answer.headers["cache-control"] = "no-store"
        await answer(scope, receive, send)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the attempt that Streamlit begins in a cookie of its own."""
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        query, plain = clean_query(asked.get("next", [""])[0]), "plain" in asked

        async def complete(headers: MutableHeaders, status: int) -> Response | None:
            if status >= 400:
                return self._page(502, wording.provider_silent(), _home(query), say("Try again"))
            provider = urlsplit(headers["location"])
            told = dict(parse_qsl(provider.query))
            if plain:
                told.pop("prompt", None)
                headers["location"] = urlunsplit(provider._replace(query=urlencode(told)))
            session = _set_cookies(headers).get(_SESSION, "")
            if "state" in told and session:
                names = [name for name in HTTPConnection(scope).cookies if name.startswith(ATTEMPT)]
                for name in names if len(names) >= ATTEMPTS else ():
                    headers.append("set-cookie", self._cookie(name, "", 0))
                value = Attempt(session, query, plain).to_cookie()
                name = _attempt_name(told["state"])
                headers.append("set-cookie", self._cookie(name, value, ATTEMPT_SECONDS))
            return None

        await self._app(scope, receive, self._completing(scope, receive, send, complete))

    async def _come_back(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have Streamlit end the attempt that the provider's answer is for."""
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        cookies = HTTPConnection(scope).cookies
        name = _attempt_name(asked.get("state", [""])[0])
        attempt = Attempt.from_cookie(cookies.get(name, ""))
        if attempt:
            scope = _with_cookies(scope, cookies | {_SESSION: attempt.session})
        home = _home(attempt.query if attempt else "")
        before = self._signed_in(scope)
        error = asked.get("error", [""])[0]

        async def complete(headers: MutableHeaders, status: int) -> Response | None:
            given = _set_cookies(headers)
            if attempt:
                headers.append("set-cookie", self._cookie(name, "", 0))
            if given.get(sign_in.COOKIE):
                seal = sign_in.new_seal(given, self._settings)
                headers.append("set-cookie", self._cookie(sign_in.SEAL, seal, self._seconds))
                now = sign_in.read_cookie({**given, sign_in.SEAL: seal}, self._settings)
                if before and now and before.id != now.id:  # nobody could sign out of it any more
                    await self._end(before)
            # Without a query, the browser comes from signing out; an old address may be found by
            # going back.
            if given.get(sign_in.COOKIE) or not asked or (before and not error):
                if headers.get("location") == "/":
                    headers["location"] = home
                return None
            if error == "invalid_request" and attempt and not attempt.plain:
                return _to_login(attempt.query, plain=True)
            sentence = wording.not_signed_in(error, has_cookies=bool(attempt))
            return self._page(403, sentence, home, say("Try again"))

        await self._app(scope, receive, self._completing(scope, receive, send, complete))

    async def _sign_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the sign-in for copies of the cookies, too, then have Streamlit take them away."""
        if scope["method"] != "GET":
            await PlainTextResponse(status_code=405)(scope, receive, send)
            return
        if HTTPConnection(scope).headers.get("sec-fetch-site") == "cross-site":
            sentence = wording.do_you_sign_out()  # which another site's link must not decide
            page = self._page(200, sentence, "/", say("Sign out"), sign_in.SIGN_OUT)
            await page(scope, receive, send)
            return
        signed_in = self._signed_in(scope)
        if signed_in:
            await self._end(signed_in)

        async def complete(headers: MutableHeaders, _status: int) -> Response | None:
            headers.append("set-cookie", self._cookie(sign_in.SEAL, "", 0))
            location = urlsplit(headers.get("location", ""))
            if "post_logout_redirect_uri" in parse_qs(location.query):
                # What Cognito asks for; others ignore it.
                home = urlencode({"logout_uri": f"{self._settings.address}/"})
                headers["location"] = urlunsplit(
                    location._replace(query=f"{location.query}&{home}")
                )
            return None

        await self._app(scope, receive, self._completing(scope, receive, send, complete))

    async def _end(self, signed_in: SignedIn) -> None:
        try:
            await self._threads.run(self._session(signed_in).end_sign_in, signed_in.id)
        except (StorageError, TimeoutError) as error:
            log.warning("A person signed out, but copies of the cookies stay valid: %s", error)

    def _completing(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        complete: Callable[[MutableHeaders, int], Awaitable[Response | None]],
    ) -> Send:
        """Return what sends Streamlit's answer once `complete` has changed its headers.

        If `complete` returns an answer, that is sent instead, with the cookies of Streamlit's.
        """
        replaced = False

        async def send_completed(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers["cache-control"] = "no-store"
                other = await complete(headers, message["status"])
                cookies = headers.getlist("set-cookie")
                if self._is_https:
                    cookies = [f"{each}; Secure" for each in cookies]
                del headers["set-cookie"]
                target = other.headers if other else headers
                for each in cookies:
                    target.append("set-cookie", each)
                if other:
                    replaced = True
                    await other(scope, receive, send)
            if not replaced:
                await send(message)

        return send_completed

    def _cookie(self, name: str, value: str, seconds: int) -> str:
        # Secure is added where all cookies get it.
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"

    def _page(
        self, status: int, sentence: str, home: str, label: str = "", link: str = ""
    ) -> HTMLResponse:
        """Return a page with a sentence and a button.

        A button, for a redirect might go round in circles after an error or a sign-out.

        home: the page that the person wants to see.
        label: of the button; "Sign in", if empty.
        link: where the button leads; to the provider, if empty.
        """
        label = label or say("Sign in")
        link = link or f"{SIGN_IN}{home[1:]}"
        language, nobody = current(), "yes" if status == 401 else ""
        return HTMLResponse(
            f'<!doctype html><html lang="{language.code}" dir="{language.direction}"><head>'
            '<meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><meta name="robots"'
            f' content="noindex"><title>{escape(self._title)}</title>'
            f"<style>{self._style}{_STYLE}</style></head><body><main>"
            f"<h1>{escape(self._title)}</h1><p>{escape(sentence)}</p>"
            f'<a href="{escape(link)}">{escape(label)}</a></main>'
            f'<script data-home="{escape(home)}" data-nobody="{nobody}">{SCRIPT}</script>'
            "</body></html>",
            status,
            {"cache-control": "no-store"},
        )


def clean_query(query: object) -> str:
    """Return the query of the page's address, written anew, or "" if it is too long."""
    pairs = [(name, value) for name, value in parse_qsl(str(query)) if name != _HERE]
    cleaned = urlencode(pairs)
    return cleaned if len(cleaned) <= QUERY_LENGTH else ""


def _home(query: str) -> str:
    """Return the page's address with this query."""
    query = clean_query(query)
    return f"/?{query}" if query else "/"


def _to_login(query: str, *, plain: bool = False) -> Response:
    more = {"next": query} | ({"plain": "yes"} if plain else {})
    return RedirectResponse(f"{sign_in.login_address()}&{urlencode(more)}", 302)


def _attempt_name(state: str) -> str:
    return ATTEMPT + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:16]


def _set_cookies(headers: MutableHeaders) -> dict[str, str]:
    """Return the cookies that an answer gives, by name; one that it takes away is ""."""
    found: dict[str, str] = {}
    for line in headers.getlist("set-cookie"):
        try:
            found |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        except CookieError:
            continue
    return found


def _with_cookies(scope: Scope, cookies: Mapping[str, str]) -> Scope:
    """Return the request as if it had these cookies."""
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    line = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {**scope, "headers": [*others, (b"cookie", line.encode("latin-1", "replace"))]}
