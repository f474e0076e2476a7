"""Uploads: as many at once as a small task has memory for, and no more."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ROOM = 48_000_000  # bytes of files that wait in memory until they are sent; a task may have 512 MB
_PATH = "/_stcore/upload_file/"


class Uploads:
    """Refuses uploads for which there is no room. The page says so beside the file's name.

    held: returns how many bytes of files are in memory.
    """

    def __init__(self, app: ASGIApp, held: Callable[[], int], room: int = ROOM) -> None:
        self._app, self._held, self._room = app, held, room
        self._coming = 0  # bytes that are being uploaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT" or _PATH not in scope["path"]:
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            await PlainTextResponse("", 411)(scope, receive, send)
            return
        size = int(length)
        if self._held() + self._coming + size > self._room:
            headers = {"retry-after": "10", "connection": "close"}
            await PlainTextResponse("", 503, headers)(scope, receive, send)
            return
        self._coming += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming -= size
