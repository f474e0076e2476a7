"""Uploads: as many at once as a small task has memory for, and no more."""

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot.web.requests import person_of

ROOM = 48_000_000  # bytes of files that wait in memory until they are sent; a task may have 512 MB
SHARE = 0.5  # of the room, for one person: as much as 4 files of 5 MB
SECONDS = 120  # in which a file must have come: 5 MB do with 0.35 Mbit/s
_PATH = "/_stcore/upload_file/"


class Uploads:
    """Refuses uploads for which there is no room. The page says so beside the file's name.

    Nobody can take all of the room: each person has a share of it, and a file must come in time.

    held: returns how many bytes of files are in memory: of a tab, by Streamlit's id of it, or
        of all, for "".
    seconds: in which a file must have come.
    """

    def __init__(
        self,
        app: ASGIApp,
        held: Callable[[str], int],
        room: int = ROOM,
        seconds: float = SECONDS,
    ) -> None:
        self._app, self._held, self._room, self._seconds = app, held, room, seconds
        self._coming: Counter[str] = Counter()  # bytes that are being uploaded, by person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT" or _PATH not in scope["path"]:
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            await PlainTextResponse("", 411)(scope, receive, send)
            return
        size, person = int(length), person_of(scope)
        session = scope["path"].partition(_PATH)[2].partition("/")[0]
        whose = person.subject if person else session
        if (
            self._held("") + self._coming.total() + size > self._room
            or self._held(session) + self._coming[whose] + size > self._room * SHARE
        ):
            headers = {"retry-after": "10", "connection": "close"}
            await PlainTextResponse("", 503, headers)(scope, receive, send)
            return
        self._coming[whose] += size
        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, send)
        except TimeoutError:
            await PlainTextResponse("", 408, {"connection": "close"})(scope, receive, send)
        finally:
            self._coming -= Counter({whose: size})  # which forgets who uploads nothing any more
