"""Durable sessions: conversations and values in a folder that many tasks share.

A session is a folder named by a hash of the browser's key. In it, each conversation is a journal,
and so is `session.jsonl`, which keeps the session's own small values.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

from chatbot.journals import DeletedError, Journal, Record, open_journal, text_of, to_line
from chatbot.storage import (
    MEBIBYTE,
    SessionError,
    check_root,
    explained,
    make_session_folder,
    open_file,
    read_chunks,
    saw_root,
    write_at,
)

TITLE_LENGTH = 60  # characters
ATTACHMENT_LIMIT = 10 * MEBIBYTE
VALUES = "session.jsonl"
ATTACHMENTS = "attachments"

_KEY = re.compile(r"k[0-9a-f]{32}")
_CONVERSATION_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")
_CONVERSATION_FILE = re.compile(_CONVERSATION_ID.pattern + r"\.jsonl")
_USED = re.compile(rf"{_CONVERSATION_FILE.pattern}|{re.escape(VALUES)}|{ATTACHMENTS}")
_HASH = re.compile(r"[0-9a-f]{64}")
_ATTACHMENT_FILE = re.compile(_HASH.pattern + r"(\.[0-9a-f]{8})?")  # the latter is unfinished


def new_key() -> str:
    """Make a session key of 128 random bits.

    The letter in front keeps JavaScript and JSON from taking it for a number.
    """
    return "k" + secrets.token_hex(16)


def is_key(value: object) -> TypeGuard[str]:
    """Whether the value, which may be anything a browser sends, has the form of a session key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def new_conversation_id() -> str:
    """Make a conversation id; ids sort by the time of their making, in UTC."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


def is_conversation_id(value: object) -> bool:
    """Whether the value, which may come from an address, has the form of a conversation id."""
    return isinstance(value, str) and _CONVERSATION_ID.fullmatch(value) is not None


@dataclass
class Turn:
    """A prompt and its answer.

    id: names the turn within its conversation.
    prompt, answer: text; the answer grows while the turn is open.
    attempt: how many times the answer was begun; only the writer of the last attempt may append.
    tries: how many of them since a person asked for the answer, or for another try.
    writer: which process writes, or wrote, the last attempt.
    model: the key of the model that answers, as in models.toml.
    state: "open", "complete", "stopped", "failed", or "released" by a process that had to end.
    reason: a word for machines about how the turn ended.
    notice: a sentence for people about how the turn ended, or "".
    usage: tokens, as the model reported them.
    lines: how many records of the turn this process has read.
    written: when the last of them was written (Unix seconds, the writer's clock).
    """

    id: str
    prompt: str
    attempt: int = 0
    tries: int = 0
    writer: str = ""
    model: str = ""
    answer: str = ""
    state: str = "open"
    reason: str = ""
    notice: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    written: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether nobody will add to the answer by himself any more."""
        return self.state in ("complete", "stopped", "failed")


class Conversation(Journal):
    """A conversation: its turns, in the order in which they were asked.

    The records, beside `v`, `at` and `type`:
    prompt (turn, text); claim (turn, attempt, writer, model); text (turn, attempt, text);
    beat (turn, attempt); end (turn, attempt, state, reason, notice, usage); delete.
    A text, beat or end of an attempt that is no longer the last one is ignored.

    trouble: why its answer in progress can't be saved or followed at the moment, or "".
    """

    trouble = ""

    @property
    def id(self) -> str:
        return self.path.stem

    def clear(self) -> None:
        self.turns: list[Turn] = []
        self._by_id: dict[str, Turn] = {}

    def turn(self, turn_id: str) -> Turn:
        """Return the turn; raises DeletedError if there is none by that name."""
        # Without the lock: somebody may hold it while the storage does not answer.
        turn = self._by_id.get(turn_id)
        if self.deleted or turn is None:
            raise DeletedError("This conversation was deleted.")
        return turn

    def apply(self, record: Record) -> None:
        kind = record["type"]
        if kind == "delete":
            self.deleted = True
            return
        if kind == "prompt":
            turn = Turn(text_of(record, "turn"), text_of(record, "text"))
            if turn.id in self._by_id:
                raise ValueError("a second prompt of the same turn")
            self._by_id[turn.id] = turn
            self.turns.append(turn)
        else:
            turn = self._by_id[record["turn"]]
            self._apply_answer(turn, kind, record)
        turn.lines += 1
        turn.written = datetime.fromisoformat(text_of(record, "at")).timestamp()

    def _apply_answer(self, turn: Turn, kind: str, record: Record) -> None:
        attempt = record["attempt"]
        if kind == "claim":
            if not isinstance(attempt, int) or attempt <= turn.attempt:
                raise ValueError("a claim that comes too late")
            turn.tries = 1 if turn.state == "failed" else turn.tries + 1
            turn.writer, turn.model = text_of(record, "writer"), text_of(record, "model")
            turn.attempt, turn.state, turn.reason, turn.notice = attempt, "open", "", ""
        elif attempt != turn.attempt or turn.ended:
            return
        elif kind == "text":
            turn.answer += text_of(record, "text")
        elif kind == "end":
            state = text_of(record, "state")
            if state not in ("complete", "stopped", "failed", "released"):
                raise ValueError("an end of an unknown kind")
            turn.state = state
            turn.reason, turn.notice = text_of(record, "reason"), text_of(record, "notice")
            turn.usage = dict(record.get("usage", {}))
        elif kind != "beat":
            raise ValueError("a record of an unknown kind")


class Values(Journal):
    """A session's own small values: the last record of a name holds."""

    def clear(self) -> None:
        self.values: dict[str, Any] = {}

    def apply(self, record: Record) -> None:
        if record["type"] == "delete":
            self.clear()
        else:
            self.values[text_of(record, "name")] = record["value"]


@dataclass(frozen=True)
class Entry:
    """A line in the list of conversations: its id and a title, its first prompt cut to length."""

    id: str
    title: str


class Session:
    """What is kept for one browser. Nothing is on the disk until something is kept.

    `session["name"] = value` keeps any JSON value; `session.get("name")` brings it back.
    `session.attach(content)` keeps a file's content; `session.attachment(name)` brings it back.
    """

    def __init__(self, root: Path, key: str) -> None:
        """Raises ValueError if the key has not the form of a session key."""
        if not is_key(key):
            raise ValueError("not a session key")
        self.id = _hash(key.encode())
        self.folder = root / self.id
        self._values = open_journal(Values, self.folder / VALUES)

    def conversations(self) -> list[Entry]:
        """List the conversations, the one that was last written to first."""
        with explained():
            files = _list_files(self.folder, _CONVERSATION_FILE)
            if files:
                saw_root(self.folder.parent)
            else:
                check_root(self.folder.parent)
        found = [(written, name.removesuffix(".jsonl")) for name, written in files.items()]
        return [Entry(name, self._title(name)) for _, name in sorted(found, reverse=True)]

    def _title(self, conversation_id: str) -> str:
        try:
            return _title(self.folder / f"{conversation_id}.jsonl")
        except (OSError, ValueError, TypeError, KeyError, RecursionError):  # of its first line
            day = conversation_id
            return f"Conversation of {day[:4]}-{day[4:6]}-{day[6:8]} {day[9:11]}:{day[11:13]} UTC"

    def conversation(self, conversation_id: str) -> Conversation:
        """Open a conversation; one that is not on the disk is empty.

        Raises ValueError if the id has not the form of one, SessionError if it can't be read.
        """
        if not is_conversation_id(conversation_id):
            raise ValueError("not a conversation id")
        return open_journal(Conversation, self.folder / f"{conversation_id}.jsonl")

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value kept by that name, else the default."""
        self._values.refresh()
        return self._values.values.get(name, default)

    def __getitem__(self, name: str) -> Any:
        self._values.refresh()
        return self._values.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        record = {"type": "value", "name": name, "value": value}
        to_line(record)  # a value that is not JSON is refused before anything is touched
        same = (name, value)
        self._values.update(
            lambda: [] if same in self._values.values.items() else [record],
            create=True,
        )

    def attach(self, content: bytes) -> str:
        """Keep the content of a file; return the name that brings it back, a hash of the content.

        Raises SessionError if it is larger than ATTACHMENT_LIMIT, or can't be kept.
        """
        if len(content) > ATTACHMENT_LIMIT:
            raise SessionError(f"A file may have up to {ATTACHMENT_LIMIT // MEBIBYTE} MB.")
        name, folder = _hash(content), self.folder / ATTACHMENTS
        with explained():
            make_session_folder(self.folder)
            folder.mkdir(mode=0o700, exist_ok=True)
            unfinished = folder / f"{name}.{secrets.token_hex(4)}"
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                write_at(descriptor, content, 0)
                unfinished.rename(folder / name)  # at once, so that nobody reads a half
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
        return name

    def attachment(self, name: str) -> bytes:
        """Return the content that `attach` kept by that name.

        Raises SessionError if there is none, or if it is damaged.
        """
        if not _HASH.fullmatch(name):
            raise SessionError("There is no such file.")
        with explained():
            try:
                descriptor = open_file(self.folder / ATTACHMENTS / name, os.O_RDONLY)
            except FileNotFoundError:
                raise SessionError("There is no such file.") from None
            try:
                content = b"".join(read_chunks(descriptor, 0))
            finally:
                os.close(descriptor)
        if _hash(content) != name:
            raise SessionError("The file is damaged.")
        return content

    def delete(self) -> None:
        """Delete everything that is kept. Raises SessionError if something could not be deleted."""
        delete_session(self.folder)


def delete_session(folder: Path, wanted: Callable[[], bool] = lambda: True) -> None:
    """Delete everything in a session's folder, and the folder; what is not ours stays.

    `wanted` is asked again before each file that tells of the session's use, under its lock.
    Raises SessionError if something could not be deleted.
    """
    with explained():
        for name in _list_files(folder, _CONVERSATION_FILE):
            open_journal(Conversation, folder / name).delete(wanted)
        attached = _list_files(folder / ATTACHMENTS, _ATTACHMENT_FILE)
        if not wanted():
            return
        open_journal(Values, folder / VALUES).delete(wanted)
        for name, written in _list_files(folder / ATTACHMENTS, _ATTACHMENT_FILE).items():
            if attached.get(name) == written:  # else it was attached meanwhile
                (folder / ATTACHMENTS / name).unlink(missing_ok=True)
        with suppress(OSError):  # something that is not ours, or is new
            (folder / ATTACHMENTS).rmdir()
        with suppress(OSError):
            folder.rmdir()


def last_used(folder: Path) -> float:
    """Return when something was last kept in the session's folder, in seconds since 1970.

    Where nothing is kept, that is 0. Raises SessionError if it can't be found out.
    """
    with explained():
        return max(_list_files(folder, _USED).values(), default=0) / 1e9


def is_session_folder(name: str) -> bool:
    """Whether a folder of that name is a session's."""
    return _HASH.fullmatch(name) is not None


def _list_files(folder: Path, pattern: re.Pattern[str]) -> dict[str, int]:
    """Return when each file whose name fits was last written to, in nanoseconds since 1970."""
    found = {}
    try:
        descriptor = open_file(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return {}
    try:
        with os.scandir(descriptor) as files:
            for file in files:
                if pattern.fullmatch(file.name):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        found[file.name] = file.stat().st_mtime_ns
    finally:
        os.close(descriptor)
    return found


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=4096)
def _title(path: Path) -> str:
    """Read the title: the first prompt, which is in the file's first line and never changes."""
    with path.open("rb") as file:
        record = json.loads(file.readline(MEBIBYTE))
    words = " ".join(text_of(record, "text").split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"
