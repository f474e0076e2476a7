"""The language of who asks: the one that they chose on the page, or what their browser prefers."""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot import languages


class ReadersLanguage:
    """ASGI middleware: what is behind it says each sentence in the language of who asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            languages.use(
                languages.wished(
                    request.cookies.get(languages.COOKIE),
                    ",".join(request.headers.getlist("accept-language")),
                )
            )
        await self._app(scope, receive, send)
