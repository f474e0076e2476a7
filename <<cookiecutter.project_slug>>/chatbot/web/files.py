"""The files that people attached, for those whose session has them.

What is in them comes from anywhere. So a browser shows only images, without anything that runs, and
saves all else, under the media type that we know and not under one that it guesses. Streamlit's own
downloads stay in the process that made them; these any task can answer.
"""

from pathlib import Path
from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot import attachments
from chatbot.file_kinds import ADDRESS, IMAGES, KINDS, clean_name, image_kind, image_size, kind_of
from chatbot.identity import COOKIE, is_key, session_folder
from chatbot.page import wording
from chatbot.storage import StorageError
from chatbot.web.patience import StorageThreads
from chatbot.web.requests import person_of

POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
CACHE = "private, no-cache"  # a browser asks each time, so what is deleted is gone at once
PIXELS = 50_000_000  # of an image that is shown; more could end a browser on a phone


class Files:
    """Answers requests for `/files/HASH/NAME`.

    sessions: the folder of all sessions.
    """

    def __init__(self, app: ASGIApp, sessions: Path) -> None:
        self._app, self._sessions = app, sessions
        self._threads = StorageThreads("files")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"/{ADDRESS}/"):
            await self._app(scope, receive, send)
            return
        response = await self._respond(scope)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(status_code=405, headers={"allow": "GET, HEAD"})
        folder = self._folder(scope)
        _, _, hash_, name = f"{scope['path']}/".split("/", 3)
        if folder is None:
            return _none()
        tag = f'"{hash_}"'
        has_it = HTTPConnection(scope).headers.get("if-none-match") == tag
        try:
            if has_it and await self._threads.run(attachments.is_kept, folder, hash_):
                return Response(status_code=304, headers={"cache-control": CACHE, "etag": tag})
            content = await self._threads.run(attachments.load, folder, hash_)
        except attachments.AttachmentError:
            return _none()
        except (StorageError, TimeoutError):
            return PlainTextResponse(wording.slow_storage(), 503, {"cache-control": "no-store"})
        return _file(content, tag, clean_name(unquote(name.strip("/"))))

    def _folder(self, scope: Scope) -> Path | None:
        """Return the folder of the session of who asks; None if nobody knows who that is."""
        person = person_of(scope)
        if person:
            return session_folder(self._sessions, person)
        key = HTTPConnection(scope).cookies.get(COOKIE, "")
        return session_folder(self._sessions, key) if is_key(key) else None


def _none() -> Response:
    return PlainTextResponse("", 404, {"cache-control": "no-store"})


def _file(content: bytes, tag: str, name: str) -> Response:
    kind = image_kind(content)
    size = image_size(content) if kind else None
    is_shown = size is not None and size[0] * size[1] <= PIXELS
    disposition = "inline" if is_shown else "attachment"
    media_type = IMAGES[kind] if kind else KINDS.get(kind_of(name), "application/octet-stream")
    return Response(
        content,
        headers={
            "cache-control": CACHE,
            "content-disposition": f"{disposition}; filename*=utf-8''{quote(name, safe='')}",
            "content-security-policy": POLICY,
            "etag": tag,
            "content-type": media_type,  # without a charset: a file may have any
            "x-content-type-options": "nosniff",
        },
    )
