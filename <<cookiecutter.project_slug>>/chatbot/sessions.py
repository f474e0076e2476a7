"""Durable sessions: append-only files in a folder that many tasks share.

A session is a folder named by a hash of the browser's key. In it, each conversation is a file of
JSON lines, and `session.jsonl` keeps the session's own small values. Nothing is ever rewritten:
whoever wants to change something appends a line while holding the file's lock, after having read
every line before it. So all tasks agree on one order, and a crash can tear only the last line,
which readers skip and the next writer closes off.

The lock is `flock`: unlike `lockf` it also excludes the threads of one process from each other,
and it is not lost when another thread closes the same file. On NFS both are the same lock of the
server, and taking it makes the client drop what it had cached.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard, TypeVar
from weakref import WeakValueDictionary

VERSION = 1
LOCK_WAIT = 10.0  # seconds until a person is told that the storage is busy
TITLE_LENGTH = 60  # characters
MEBIBYTE = 2**20

Record = dict[str, Any]

# What NFS says of a file that another client has deleted: not found, or stale once it is open.
_GONE = (errno.ENOENT, errno.ESTALE)
_KEY = re.compile(r"k[0-9a-f]{32}")
_CONVERSATION_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")


class SessionError(Exception):
    """The stored sessions can't be used as asked; the text tells a person what happened."""


class DeletedError(SessionError):
    """The conversation was deleted, perhaps in another tab."""


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


class Journal:
    """A file of JSON lines that many tasks append to and follow.

    One process has one Journal object a file, which its threads share: see `open_journal`.
    Subclasses fold the records into their own state, in `clear` and `apply`.
    """

    _offset: int
    _torn: int

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = threading.Condition(threading.RLock())
        self._forget()

    def clear(self) -> None:
        """Return to the state of an empty file."""
        raise NotImplementedError

    def apply(self, record: Record) -> None:
        """Take in one record; KeyError, TypeError or ValueError mark it as damaged."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Read what has been appended since the last time; a missing file is an empty one.

        Raises SessionError if the file can't be read.
        """
        with self.changed, explained():
            try:
                descriptor = _open(self.path, os.O_RDONLY)
                try:
                    _lock(descriptor, fcntl.LOCK_SH)
                    self._read(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                self._lose()

    def update(self, decide: Callable[[], Iterable[Record]], *, create: bool = False) -> bool:
        """Append the records that `decide` returns; say whether there were any.

        `decide` runs under the lock, with all that was appended before taken in: what it sees is
        what its records will follow. Once update returns, the records are on the disk.

        Raises SessionError if they could not be written, DeletedError if there is no file to
        append to and it was not to be made. After an error some of the records may be there.
        """
        with self.changed, explained():
            if create:
                make_folder(self.path.parent.parent)
                make_folder(self.path.parent)
            try:
                descriptor = _open(self.path, os.O_RDWR | (os.O_CREAT if create else 0))
                try:
                    _lock(descriptor, fcntl.LOCK_EX)
                    self._read(descriptor)
                    return self._append(descriptor, decide())
                finally:
                    os.close(descriptor)
            except OSError as error:
                if error.errno not in _GONE or (create and error.errno == errno.ENOENT):
                    raise
                self._lose()
                raise DeletedError("This conversation was deleted.") from None

    def _append(self, descriptor: int, decided: Iterable[Record]) -> bool:
        records = [{"v": VERSION, "at": _now()} | record for record in decided]
        if not records:
            return False
        lines = b"".join(_line(record) for record in records)
        torn = b"\n" if self._torn else b""
        _write(descriptor, torn + lines, self._offset + self._torn)
        self._offset += self._torn + len(torn) + len(lines)
        self._torn = 0
        for record in records:
            self._take(record)
        self.changed.notify_all()
        return True

    def _lose(self) -> None:
        """Take in that the file is not there."""
        if self._file is not None:
            self.path.parent.parent.stat()  # raises where the whole storage is missing
            self._forget()
            self.deleted = True

    def _forget(self) -> None:
        self.deleted = False  # a record says so, or the file is gone
        self.damaged = 0  # lines that are no record
        self.newer = 0  # lines that a newer version of this program wrote
        self._file: tuple[int, int] | None = None
        self._offset = 0  # behind the last complete line that was read
        self._torn = 0  # bytes behind the offset that do not end in a newline
        self.clear()

    def _read(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        file = (status.st_dev, status.st_ino)
        if file != self._file or status.st_size < self._offset:  # another file, or cut by a hand
            self._forget()
            self._file = file
        data = b"".join(_chunks(descriptor, self._offset))
        complete = data.rfind(b"\n") + 1
        self._offset += complete
        self._torn = len(data) - complete
        if complete:
            for line in data[:complete].split(b"\n"):
                if line:
                    self._take_line(line)
            self.changed.notify_all()

    def _take_line(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            self._take(record)
        else:
            self.damaged += 1

    def _take(self, record: Record) -> None:
        version = record.get("v")
        if isinstance(version, int) and version > VERSION:
            self.newer += 1
            return
        try:
            self.apply(record)
        except (KeyError, TypeError, ValueError):
            self.damaged += 1


@dataclass
class Turn:
    """A prompt and its answer.

    id: names the turn within its conversation.
    prompt, answer: text; the answer grows while the turn is open.
    attempt: how many times the answer was begun; only the writer of the last attempt may append.
    writer: which process writes, or wrote, the last attempt.
    model: the key of the model that answers, as in models.toml.
    state: "open", "complete", "stopped", "failed", or "released" by a process that had to end.
    reason: a word for machines about how the turn ended.
    notice: a sentence for people about how the turn ended, or "".
    usage: tokens, as the model reported them.
    heard: when this process last read a record of the turn (monotonic seconds).
    written: when that record was written (Unix seconds, the writer's clock).
    """

    id: str
    prompt: str
    attempt: int = 0
    writer: str = ""
    model: str = ""
    answer: str = ""
    state: str = "open"
    reason: str = ""
    notice: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    heard: float = 0.0
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
    """

    @property
    def id(self) -> str:
        return self.path.stem

    def clear(self) -> None:
        self.turns: list[Turn] = []
        self._by_id: dict[str, Turn] = {}

    def turn(self, turn_id: str) -> Turn:
        """Return the turn; raises DeletedError if there is none by that name."""
        with self.changed:
            if self.deleted or turn_id not in self._by_id:
                raise DeletedError("This conversation was deleted.")
            return self._by_id[turn_id]

    def apply(self, record: Record) -> None:
        kind = record["type"]
        if kind == "delete":
            self.deleted = True
            return
        if kind == "prompt":
            turn = Turn(_text(record, "turn"), _text(record, "text"))
            if turn.id in self._by_id:
                raise ValueError("a second prompt of the same turn")
            self._by_id[turn.id] = turn
            self.turns.append(turn)
        else:
            turn = self._by_id[record["turn"]]
            self._apply_answer(turn, kind, record)
        turn.heard = time.monotonic()
        turn.written = datetime.fromisoformat(_text(record, "at")).timestamp()

    def _apply_answer(self, turn: Turn, kind: str, record: Record) -> None:
        attempt = record["attempt"]
        if kind == "claim":
            if not isinstance(attempt, int) or attempt <= turn.attempt:
                raise ValueError("a claim that comes too late")
            turn.writer, turn.model = _text(record, "writer"), _text(record, "model")
            turn.attempt, turn.state, turn.reason, turn.notice = attempt, "open", "", ""
        elif attempt != turn.attempt or turn.ended:
            return
        elif kind == "text":
            turn.answer += _text(record, "text")
        elif kind == "end":
            state = _text(record, "state")
            if state not in ("complete", "stopped", "failed", "released"):
                raise ValueError("an end of an unknown kind")
            turn.state = state
            turn.reason, turn.notice = _text(record, "reason"), _text(record, "notice")
            turn.usage = dict(record.get("usage", {}))
        elif kind != "beat":
            raise ValueError("a record of an unknown kind")

    def delete(self) -> None:
        """Delete the conversation for everybody who has it open, and its file."""
        try:
            self.update(lambda: [] if self.deleted else [{"type": "delete"}])
        except DeletedError:
            return
        with explained():
            self.path.unlink(missing_ok=True)


class Values(Journal):
    """A session's own small values: the last record of a name holds."""

    def clear(self) -> None:
        self.values: dict[str, Any] = {}

    def apply(self, record: Record) -> None:
        self.values[_text(record, "name")] = record["value"]


@dataclass(frozen=True)
class Entry:
    """A line in the list of conversations: its id and a title, its first prompt cut to length."""

    id: str
    title: str


class Session:
    """What is kept for one browser. Nothing is on the disk until something is kept.

    `session["name"] = value` keeps any JSON value; `session.get("name")` brings it back.
    """

    def __init__(self, root: Path, key: str) -> None:
        """Raises ValueError if the key has not the form of a session key."""
        if not is_key(key):
            raise ValueError("not a session key")
        self.id = hashlib.sha256(key.encode()).hexdigest()
        self.folder = root / self.id

    def conversations(self) -> list[Entry]:
        """List the conversations, the one that was last written to first."""
        found = []
        with explained():
            try:
                descriptor = _open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                return []
            try:
                with os.scandir(descriptor) as files:
                    for file in files:
                        name = file.name.removesuffix(".jsonl")
                        if name != file.name and is_conversation_id(name):
                            with suppress(FileNotFoundError):  # deleted meanwhile
                                found.append((file.stat().st_mtime_ns, name))
            finally:
                os.close(descriptor)
        return [Entry(name, self._title(name)) for _, name in sorted(found, reverse=True)]

    def _title(self, conversation_id: str) -> str:
        try:
            return _title(self.folder / f"{conversation_id}.jsonl")
        except (OSError, ValueError, TypeError, KeyError):  # its first line can't be read
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
        journal = self._values()
        journal.refresh()
        return journal.values.get(name, default)

    def __getitem__(self, name: str) -> Any:
        journal = self._values()
        journal.refresh()
        return journal.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        journal = self._values()
        record = {"type": "value", "name": name, "value": value}
        _line(record)  # a value that is not JSON is refused before anything is touched
        same = (name, value)
        journal.update(
            lambda: [] if same in journal.values.items() else [record],
            create=True,
        )

    def _values(self) -> Values:
        return open_journal(Values, self.folder / "session.jsonl")


_journals: WeakValueDictionary[Path, Journal] = WeakValueDictionary()
_journals_lock = threading.Lock()


J = TypeVar("J", bound=Journal)


def open_journal(kind: type[J], path: Path) -> J:
    """Return this process's one object for the file, so that its threads share what was read."""
    with _journals_lock:
        journal = _journals.get(path)
        if not isinstance(journal, kind):
            journal = _journals[path] = kind(path)
        return journal


def make_folder(path: Path) -> None:
    """Make a folder where it is missing, but not those above it.

    Where several are missing, more likely the shared file system was not mounted.
    """
    path.mkdir(mode=0o700, exist_ok=True)


_SENTENCES = {
    errno.ENOSPC: "there is no room left in the folder for conversations",
    errno.EDQUOT: "there is no room left in the folder for conversations",
    errno.EROFS: "the folder for conversations can only be read",
    errno.EACCES: "the folder for conversations may not be used by this program",
    errno.EPERM: "the folder for conversations may not be used by this program",
    errno.ENOENT: "the folder for conversations, or a file in it, is missing",
    errno.ENOTDIR: "the folder for conversations is not a folder",
    errno.ETIMEDOUT: "the storage of conversations did not answer in time",
    errno.ESTALE: "the storage of conversations was exchanged",
    errno.EIO: "the storage of conversations has a fault",
}


@contextmanager
def explained() -> Iterator[None]:
    """Turn an OSError in the block into a SessionError with a sentence for people."""
    try:
        yield
    except OSError as error:
        what = _SENTENCES.get(error.errno or 0, "the storage of conversations failed")
        code = errno.errorcode.get(error.errno or 0, "OSError")
        raise SessionError(f"The chatbot's storage has a problem: {what} ({code}).") from error


def _open(path: Path, flags: int) -> int:
    """Open a file, also one of which an NFS client remembers that it was not there.

    The client asks the server again after it has read the folders above it.
    """
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        for folder in (path.parent.parent, path.parent):
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                next(entries, None)
        return os.open(path, flags, 0o600)


def _lock(descriptor: int, kind: int) -> None:
    """Wait for the lock; raise TimeoutError after LOCK_WAIT.

    It asks again and again, because a waiting flock could not be given up.
    """
    give_up = time.monotonic() + LOCK_WAIT
    pause = 0.001
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() > give_up:
            raise TimeoutError(errno.ETIMEDOUT, "the file stayed locked")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _chunks(descriptor: int, offset: int) -> Iterator[bytes]:
    while chunk := os.pread(descriptor, MEBIBYTE, offset):
        offset += len(chunk)
        yield chunk


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    os.fsync(descriptor)


def _line(record: Record) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"  # half of a surrogate pair becomes "?"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _text(record: Record, name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not text")
    return value


@lru_cache(maxsize=4096)
def _title(path: Path) -> str:
    """Read the title: the first prompt, which is in the file's first line and never changes."""
    with path.open("rb") as file:
        record = json.loads(file.readline(MEBIBYTE))
    words = " ".join(_text(record, "text").split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"
