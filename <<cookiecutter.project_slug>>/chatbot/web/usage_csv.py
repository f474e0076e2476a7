"""What everybody has used, as a CSV file for administrators: names and numbers, never texts.

Streamlit's own downloads stay in the process that made them; this one any task can answer.
"""

import asyncio
import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot.identity import Person
from chatbot.page import wording
from chatbot.storage import StorageError
from chatbot.text import as_cell
from chatbot.usage import Row, is_administrator, list_rows
from chatbot.web.requests import USAGE_CSV, person_of

COLUMNS = (
    *("Day (UTC)", "Person", "ID", "Model", "Answers"),
    *("Tokens sent", "From the cache", "Tokens written", "US dollars"),
)


class UsageCsv:
    """Answers requests for `/usage.csv`.

    sessions: the folder of all sessions.
    admin_groups: whose members get the file, if they have signed in.
    """

    def __init__(self, app: ASGIApp, sessions: Path, admin_groups: frozenset[str]) -> None:
        self._app, self._sessions, self._admin_groups = app, sessions, admin_groups
        self._thread = ThreadPoolExecutor(1, "usage-csv")  # others don't wait for a slow storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != f"/{USAGE_CSV}":
            await self._app(scope, receive, send)
            return
        response = await self._respond(scope["method"], person_of(scope))
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _respond(self, method: str, person: Person | None) -> Response:
        if method not in ("GET", "HEAD"):
            return PlainTextResponse(status_code=405, headers={"allow": "GET, HEAD"})
        if not is_administrator(person, self._admin_groups):
            return PlainTextResponse(wording.administrators_only(), status_code=403)
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(self._thread, _draw, self._sessions)
        except StorageError as error:
            return PlainTextResponse(wording.error(error), status_code=503)
        disposition = {"content-disposition": f'attachment; filename="{USAGE_CSV}"'}
        return Response(body, headers=disposition, media_type="text/csv")


def _draw(sessions: Path) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    lines.writerows(map(_line, list_rows(sessions)))
    return text.getvalue().encode("utf-8-sig")  # Excel takes it for another encoding without a mark


def _line(row: Row) -> tuple[str | int, ...]:
    total = row.total
    name, id_ = (row.owner.name, row.owner.subject) if row.owner else ("", row.session[:8])
    return (
        *(row.day, as_cell(name), as_cell(id_), as_cell(row.model)),
        *(total.answers, total.sent, total.cached, total.written),
        f"{total.cost:.6f}" if total.cost else "",
    )
