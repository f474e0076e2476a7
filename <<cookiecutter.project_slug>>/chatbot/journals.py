"""Append-only files of JSON lines, which many tasks write and follow.

Nothing is ever rewritten: whoever wants to change something appends a line while holding the
file's lock, after having read every line before it. So all tasks agree on one order, and a crash
can tear only the last line, which readers skip and the next writer closes off.
"""

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from chatbot.storage import (
    GONE,
    SessionError,
    explained,
    lock,
    look_around,
    make_session_folder,
    open_file,
    read_chunks,
    write_at,
)

VERSION = 1
TAIL = 64  # bytes: a line ends with a text, and has the time at its beginning

Record = dict[str, Any]
T = TypeVar("T")


class DeletedError(SessionError):
    """The conversation was deleted, perhaps in another tab."""


class Journal:
    """A file of JSON lines that many tasks append to and follow.

    One process has one Journal object a file, which its threads share: see `open_journal`.
    Subclasses fold the records into their own state, in `clear` and `apply`.
    """

    _offset: int
    _tail: bytes
    _torn: int

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._forget()

    @property
    def missing(self) -> bool:
        """Whether there was no such file when this was last refreshed, or it was deleted."""
        return self._file is None or self.deleted

    def clear(self) -> None:
        """Return to the state of an empty file."""
        raise NotImplementedError

    def apply(self, record: Record) -> None:
        """Take in one record; KeyError, TypeError or ValueError mark it as damaged.

        A record of the type "delete" says that the file is about to go.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """Read what has been appended since the last time; a missing file is an empty one.

        Raises SessionError if the file can't be read.
        """
        with self.lock, explained():
            try:
                self._use(os.O_RDONLY, lambda descriptor: None)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                self._lose()

    def update(self, decide: Callable[[], Iterable[Record]], *, create: bool = False) -> bool:
        """Append the records that `decide` returns; say whether there were any.

        `decide` runs under the lock, with all that was appended before taken in: what it sees is
        what its records will follow. Once update returns, the records are on the disk.

        Raises SessionError if they could not be written, DeletedError if there is no file to
        append to and it was not to be made. After an error some of the records may be there.
        """
        with self.lock, explained():
            try:
                if create:
                    make_session_folder(self.path.parent)
                flags = os.O_RDWR | (os.O_CREAT if create else 0)
                return self._use(flags, lambda file: self._append(file, decide()))
            except OSError as error:
                if error.errno not in GONE or create:
                    raise
                self._lose()
                raise DeletedError("This conversation was deleted.") from None

    def _use(self, flags: int, action: Callable[[int], T]) -> T:
        """Open and lock the file, take in what is new, and do the action. Raises OSError.

        A file that lost its name while this waited for it is opened again: there may be another.
        """
        kind = fcntl.LOCK_SH if flags == os.O_RDONLY else fcntl.LOCK_EX
        for again in (True, False):
            try:
                descriptor = open_file(self.path, flags)
                try:
                    lock(descriptor, kind)
                    self._read(descriptor)
                    return action(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                if error.errno != errno.ESTALE or not again:
                    raise
                look_around(self.path)
        raise AssertionError("unreachable")

    def delete(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Delete the file for everybody who has it open, if it is wanted still; under the lock.

        Raises SessionError if it could not be deleted.
        """

        def decide() -> list[Record]:
            return [{"type": "delete"}] if wanted() else []

        try:
            if not self.update(decide):
                return
        except DeletedError:
            return
        except SessionError as error:
            # A full disk has no room for the line, but it is why somebody deletes.
            if getattr(error.__cause__, "errno", 0) not in (errno.ENOSPC, errno.EDQUOT):
                raise
        with explained():
            self.path.unlink(missing_ok=True)

    def _append(self, descriptor: int, decided: Iterable[Record]) -> bool:
        records = [{"v": VERSION, "at": _now()} | record for record in decided]
        if not records:
            return False
        lines = b"".join(to_line(record) for record in records)
        torn = b"\n" if self._torn else b""
        write_at(descriptor, torn + lines, self._offset + self._torn)
        self._offset += self._torn + len(torn) + len(lines)
        self._tail = lines[-TAIL:]
        self._torn = 0
        for record in records:
            self._take(record)
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
        self._tail = b""  # the last bytes before the offset: whether this is still the same file
        self._torn = 0  # bytes behind the offset that do not end in a newline
        self.clear()

    def _read(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not status.st_nlink:  # an NFS client says so with this error
            raise OSError(errno.ESTALE, "the file has been deleted or replaced")
        file = (status.st_dev, status.st_ino)
        if file != self._file:
            self._forget()
            self._file = file
        data = b"".join(read_chunks(descriptor, self._offset - len(self._tail)))
        if not data.startswith(self._tail):
            # Cut by a hand, or a new file that has the number of the one before.
            self._forget()
            self._file = file
            data = b"".join(read_chunks(descriptor, 0))
        data = data[len(self._tail) :]
        complete = data.rfind(b"\n") + 1
        self._offset += complete
        self._tail = (self._tail + data[:complete])[-TAIL:]
        self._torn = len(data) - complete
        if complete:
            for line in data[:complete].split(b"\n"):
                if line:
                    self._take_line(line)

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


def to_line(record: Record) -> bytes:
    """Return the record as a line; raises ValueError or TypeError if it is not JSON."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"  # half of a surrogate pair becomes "?"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def text_of(record: Record, name: str) -> str:
    """Return that field of the record; raises KeyError or TypeError if there is no such text."""
    value = record[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not text")
    return value
