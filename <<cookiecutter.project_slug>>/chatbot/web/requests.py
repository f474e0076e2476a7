"""What a request says about itself, and how a response is sent: ASGI in a few functions."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[str, str]]


def header(scope: Scope, name: str) -> str:
    """Return the request's header of that name, in lower case; "" if there is none."""
    values = [value for key, value in scope["headers"] if key == name.encode()]
    return ", ".join(value.decode("latin-1") for value in values)


def cookie(scope: Scope, name: str) -> str:
    """Return the cookie of that name, "" if there is none. Cookies of others don't matter."""
    for pair in header(scope, "cookie").replace(",", ";").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return ""


def is_page(scope: Scope) -> bool:
    """Return whether the request is for the page, under whatever name, and not for a part of it."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    _, first, *others = scope["path"].split("/")
    return first not in _PARTS and "_stcore" not in others and "." not in scope["path"]


# First words of the addresses that Streamlit serves beside the page.
_PARTS = ("_stcore", "app", "auth", "component", "media", "oauth2callback", "static", "vendor")


def is_https(scope: Scope) -> bool:
    """Return whether the browser uses https, as the proxies in front of this server say.

    Behind CloudFront, the load balancer is asked by http, so CloudFront's own header counts first.
    A browser could send either header, and would deceive only itself.
    """
    for name in ("cloudfront-forwarded-proto", "x-forwarded-proto"):
        if protocol := header(scope, name):
            return protocol.split(",")[0].strip().lower() == "https"
    return scope.get("scheme") == "https"


async def respond(
    scope: Scope, send: Send, status: int, headers: Headers = (), body: bytes = b""
) -> None:
    """Send a whole response."""
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if status != 304:
        encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    is_head = scope["method"] == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_head else body})
