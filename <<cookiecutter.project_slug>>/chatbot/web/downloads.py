"""A person's own chats as files, and whether there is anything new among them.

Streamlit's own downloads stay in the process that made them; these any task can answer. The
addresses are `chats/ID.md`, `chats/ID.json`, `chats.zip`, and `chats/news?chat=ID`.
"""

import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot import export, service
from chatbot.conversations import is_conversation_id
from chatbot.export import ARCHIVE, MEDIA_TYPES, WRITERS, Words
from chatbot.identity import COOKIE, is_key, session_folder
from chatbot.journals import DeletedError
from chatbot.page import wording
from chatbot.sessions import Session, stamp_of
from chatbot.storage import StorageError
from chatbot.web.patience import StorageThreads
from chatbot.web.requests import CHATS_ZIP, person_of

NEWS = "/chats/news"
_CHAT = re.compile(r"/chats/([0-9T-]+[0-9a-f]{8})\.(md|json)")


class Downloads:
    """Answers requests for files of chats, of the person that the request belongs to.

    sessions: the folder of all sessions.
    signs_in: whether people have to sign in; otherwise the cookie's key says whose session it is.
    """

    def __init__(self, app: ASGIApp, sessions: Path, signs_in: bool) -> None:
        self._app, self._sessions, self._signs_in = app, sessions, signs_in
        self._threads = StorageThreads("downloads")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path.startswith("/chats/") or path == f"/{CHATS_ZIP}"):
            await self._app(scope, receive, send)
            return
        try:
            response = await self._respond(Request(scope))
        except (DeletedError, ValueError):
            response = PlainTextResponse(wording.chat_is_missing(), status_code=404)
        except StorageError as error:
            response = PlainTextResponse(wording.error(error), status_code=503)
        except TimeoutError:
            response = PlainTextResponse(wording.slow_storage(), status_code=503)
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(status_code=405, headers={"allow": "GET, HEAD"})
        session = self._session(request)
        path = request.scope["path"]
        if path == NEWS:
            chat = request.query_params.get("chat", "")
            return PlainTextResponse(await self._threads.run(_stamp, session, chat))
        if path == f"/{CHATS_ZIP}":
            return await self._archive(session)
        asked = _CHAT.fullmatch(path)
        if not asked or not is_conversation_id(asked[1]):
            raise DeletedError
        name, body = await self._threads.run(_draw, session, asked[1], asked[2])
        return Response(body, headers=_attached(name), media_type=MEDIA_TYPES[asked[2]])

    def _session(self, request: Request) -> Session:
        """Return the session of who asks. Raises DeletedError if that is nobody."""
        person = person_of(request.scope)
        if person:
            return Session(session_folder(self._sessions, person))
        key = request.cookies.get(COOKIE)
        if self._signs_in or not is_key(key):
            raise DeletedError
        return Session(session_folder(self._sessions, key))

    async def _archive(self, session: Session) -> Response:
        pieces = export.write_archive(session, words())
        step: Callable[[], bytes | None] = partial(next, pieces, None)
        first = await self._threads.run(step)  # so that a fault has a status

        async def stream() -> AsyncIterator[bytes]:
            piece = first
            while piece is not None:
                yield piece
                piece = await self._threads.run(step)  # a fault ends the connection too soon

        return StreamingResponse(stream(), headers=_attached(ARCHIVE), media_type="application/zip")


def words() -> Words:
    """Return how files word what is stored as a code."""
    return Words(wording.how_it_ended, service.start().assistant.name_of, wording.untitled)


def _draw(session: Session, conversation_id: str, ending: str) -> tuple[str, bytes]:
    conversation, title = export.read_chat(session, conversation_id)
    text = WRITERS[ending](conversation, title, words())
    name = export.file_name(title or wording.untitled(conversation_id))
    return f"{name}.{ending}", text.encode("utf-8", "replace")


def _stamp(session: Session, conversation_id: str) -> str:
    """Return what changes when there is something new; the page compares it with what it drew."""
    size = 0
    if is_conversation_id(conversation_id) and not session.is_removed(conversation_id):
        size = session.conversation_size(conversation_id)
    return f"{stamp_of(session.conversations())}-{size}"


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": export.disposition(name)}
