"""Usage: how many tokens a person has used, by day and model, and what these cost.

It is added up in a file of its own in the session's folder. The file holds numbers and no text, and
stays when the person deletes the chats: otherwise that would give the day's tokens back.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from chatbot.errors import ChatbotError
from chatbot.identity import Person, is_session_folder
from chatbot.journals import DeletedError, Journal, open_journal
from chatbot.models import Model, Tokens
from chatbot.records import Delete, Owner, Record, Used
from chatbot.storage import StorageError, require_root, storage_errors

log = logging.getLogger(__name__)

FILE = "usage.jsonl"
READERS = 8  # files that are read at once: over a network, a file is mostly waited for


class LimitError(ChatbotError):
    """The person has used up the day's tokens.

    facts: limit, in tokens, and until, the end of the day in Unix seconds.
    """


@dataclass(frozen=True)
class Total:
    """What answers used together; an answer that two processes wrote counts in each.

    sent, written: tokens that the model was sent, and that it wrote.
    cost: US dollars; 0 if no price is known.
    cached: how many of those sent came from the model's cache.
    """

    answers: int = 0
    sent: int = 0
    written: int = 0
    cost: float = 0.0
    cached: int = 0

    @property
    def tokens(self) -> int:
        return self.sent + self.written

    def __add__(self, other: "Total") -> "Total":
        return Total(
            self.answers + other.answers,
            self.sent + other.sent,
            self.written + other.written,
            self.cost + other.cost,
            self.cached + other.cached,
        )


class Usage(Journal):
    """What one session has used.

    owner: who that is, if the person has signed in.
    totals: by day (UTC, such as "2026-11-26") and model (its key).
    """

    def clear(self) -> None:
        self.owner: Owner | None = None
        self.totals: dict[tuple[str, str], Total] = {}

    def apply(self, record: Record) -> None:
        match record:
            case Used(day, model, sent, written, cost, cached):
                if min(sent, written, cached) < 0 or not 0 <= cost < float("inf"):
                    raise ValueError("a number that nobody can have used")
                place = (date.fromisoformat(day).isoformat(), model)
                before = self.totals.get(place, Total())
                self.totals[place] = before + Total(1, sent, written, cost, cached)
            case Owner():
                self.owner = record
            case Delete():
                self.clear()
            case _:
                raise TypeError("a record of another kind of file")

    def tokens(self, day: str) -> int:
        """Return how many tokens were used on that day, as far as the file was read."""
        totals = self.totals.copy()  # another thread may add to them
        return sum(total.tokens for (each, _), total in totals.items() if each == day)


def today() -> str:
    """Return the day by UTC, such as "2026-11-26"."""
    return datetime.now(UTC).date().isoformat()


def days_ago(days: int) -> str:
    """Return the day by UTC that was so many days before today."""
    return (datetime.now(UTC).date() - timedelta(days)).isoformat()


def require_tokens(folder: Path, limit: int) -> None:
    """Raise LimitError if the session has used that many tokens today.

    Answers in progress are not counted yet.

    folder: of the session. Raises StorageError if that can't be read.
    """
    used = _open(folder)
    used.refresh()
    day = datetime.now(UTC).date()
    if used.tokens(day.isoformat()) >= limit:
        end = datetime.combine(day + timedelta(1), time(), UTC)
        raise LimitError("daily_tokens", limit=limit, until=int(end.timestamp()))


def prepare(folder: Path) -> None:
    """Make the session's file, before an answer begins. Raises StorageError.

    `record` makes none: nothing may come back of a session that is deleted during an answer.
    """
    _open(folder).update(lambda: [], create=True)


def record(folder: Path, model: Model, tokens: Tokens) -> None:
    """Add what an answer used, unless the session was deleted. Raises StorageError."""
    cost = model.cost(tokens) or 0.0
    used = Used(today(), model.key, tokens.sent, tokens.written, cost, tokens.cached)
    with suppress(DeletedError):
        _open(folder).update(lambda: [used])


def remember(folder: Path, person: Person) -> None:
    """Keep whose usage it is, once the person has asked something. Raises StorageError."""
    used = _open(folder)
    owner = Owner(person.issuer, person.subject, person.name)
    with suppress(DeletedError):
        used.update(lambda: [] if used.owner == owner else [owner])


def _open(folder: Path) -> Usage:
    return open_journal(Usage, folder / FILE)


def is_administrator(person: Person | None, groups: frozenset[str]) -> bool:
    """Return whether the person is in one of the groups whose members see everybody's usage."""
    return person is not None and not groups.isdisjoint(person.groups)


@dataclass(frozen=True)
class Row:
    """What one person has used on one day, of one model.

    session: the session's id. owner: who it is, if the person has signed in.
    """

    day: str
    session: str
    owner: Owner | None
    model: str
    total: Total


def read_everyone(root: Path) -> Iterator[tuple[Path, Usage]]:
    """Yield the folder of each session that has used something, with its usage.

    What can't be read is left out, and the log says so. Raises StorageError if the folder of all
    sessions can't be read.
    """
    with storage_errors():
        try:
            folders = sorted(each for each in root.iterdir() if is_session_folder(each.name))
        except FileNotFoundError:
            require_root(root)  # it is made when the first person asks
            folders = []
    with ThreadPoolExecutor(READERS, "usage") as pool:
        for folder, used in zip(folders, pool.map(_read, folders), strict=True):
            if used is not None and (used.totals or used.owner):
                yield folder, used


def _read(folder: Path) -> Usage | None:
    used = _open(folder)
    try:
        used.refresh()
    except StorageError as error:
        log.warning("The usage of session %s was left out: %s", folder.name[:8], error)
        return None
    return used


def list_rows(root: Path, since: str = "") -> list[Row]:
    """Return what everybody has used since that day, the newest day first.

    Raises StorageError, as `read_everyone` does.
    """
    rows = [
        Row(day, folder.name, used.owner, model, total)
        for folder, used in read_everyone(root)
        for (day, model), total in used.totals.items()
        if day >= since
    ]
    rows.sort(key=lambda row: (row.owner.name if row.owner else "", row.session, row.model))
    return sorted(rows, key=lambda row: row.day, reverse=True)
