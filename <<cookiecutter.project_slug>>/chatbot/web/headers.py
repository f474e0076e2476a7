"""Security headers: what a browser may load for the page, and who may show the page in a frame."""

import base64
import hashlib
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.web.requests import is_https

# What the page needs, and nothing from anywhere else. Streamlit's style library writes its rules
# into style elements; one of its syntax highlighters is WebAssembly. Of scripts in HTML, only those
# whose hash is listed run, so HTML that slips into a message can run none.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "media-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
# The page asks for none of these. A page that records speech needs the microphone: take it out.
FEATURES = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
ONE_YEAR = 31_536_000  # seconds


class SecurityHeaders:
    """Adds the headers to every response.

    scripts: those in HTML that may run, to the letter.
    frame_ancestors: other sites that may show the page in a frame, such as "https://example.com".
    """

    def __init__(
        self, app: ASGIApp, scripts: Iterable[str], frame_ancestors: Iterable[str]
    ) -> None:
        self._app = app
        more = {"script-src": map(_hash, scripts), "frame-ancestors": frame_ancestors}
        rules = (" ".join([name, value, *more.get(name, ())]) for name, value in POLICY.items())
        headers = {
            "content-security-policy": "; ".join(rules),
            "permissions-policy": ", ".join(f"{feature}=()" for feature in FEATURES),
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
        }
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = headers.get("content-security-policy", "")
                headers.update(self._headers)
                if own.startswith("sandbox"):  # which is stricter: what is in a file runs nothing
                    headers["content-security-policy"] = own
                if is_https(Headers(scope=scope)):
                    headers["strict-transport-security"] = f"max-age={ONE_YEAR}"
                    _secure_cookies(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _secure_cookies(headers: MutableHeaders) -> None:
    """Have browsers keep cookies for https only: Streamlit does not say so of its own."""
    cookies = headers.getlist("set-cookie")
    del headers["set-cookie"]
    for each in cookies:
        secure = "" if "; secure" in each.lower() else "; Secure"
        headers.append("set-cookie", f"{each}{secure}")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
