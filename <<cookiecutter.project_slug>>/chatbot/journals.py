"""Append-only files of records, which many tasks write and follow.

Nothing is ever rewritten: whoever wants to change something appends a record while holding the
file's lock, after reading every record before it. So all tasks agree on one order, and a crash can
tear only the last line, which readers skip and the next writer closes off.
"""

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from chatbot.records import VERSION, Delete, Record, from_line, to_line
from chatbot.storage import (
    GONE,
    StorageError,
    lock,
    make_session_folder,
    open_file,
    read_chunks,
    revalidate_directory,
    storage_errors,
    write_at,
)

TAIL = 64  # bytes, which hold a time or a text: enough to tell one file from another

T = TypeVar("T")


class DeletedError(StorageError):
    """The conversation was deleted, perhaps in another tab."""

    def __init__(self) -> None:
        super().__init__("deleted")


class Journal:
    """A file of records that many tasks append to and follow.

    A process has one Journal object per file, which its threads share: see `open_journal`.
    Subclasses build their own state from the records, in `clear` and `apply`.

    path: the file, which need not exist.
    lock: held while the file is read or appended to.
    deleted: a record says so, or the file has gone.
    damaged: how many lines hold no record that this can be.
    newer: how many lines were written by a newer version of this program.
    written: when the record was written that is applied, as its writer's clock told; people read
        it, and nothing compares it.
    """

    written: str = ""
    _offset: int
    _tail: bytes
    _torn: bytes

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._forget()

    @property
    def missing(self) -> bool:
        """Whether there was no file when this was last refreshed, or it was deleted."""
        return self._file is None or self.deleted

    @property
    def half_deleted(self) -> bool:
        """Whether a record says that the file is about to be deleted, and it was still there."""
        return self._file is not None and self.deleted

    @property
    def size(self) -> int:
        """How many bytes of the file were read, or written."""
        return self._offset + len(self._torn)

    def clear(self) -> None:
        """Return to the state of an empty file."""
        raise NotImplementedError

    def apply(self, record: Record) -> None:
        """Take in one record. KeyError, TypeError or ValueError mark it as damaged."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Read what was appended since the last time; a missing file counts as empty.

        Raises StorageError if the file can't be read.
        """
        with self.lock, storage_errors():
            try:
                self._use(os.O_RDONLY, lambda descriptor: None)
            except OSError as error:
                if error.errno not in GONE:
                    raise
                self._lose()

    def update(self, decide: Callable[[], Iterable[Record]], *, create: bool = False) -> bool:
        """Append the records that `decide` returns; return whether there were any.

        `decide` runs under the lock, after everything appended before was read: what it sees is
        what its records will follow. Once update returns, the records are on the disk.

        Raises StorageError if they could not be written, DeletedError if there is no file and
        `create` is false. After an error, some of the records may be on the disk.
        """
        with self.lock, storage_errors():
            try:
                if create:
                    make_session_folder(self.path.parent)
                flags = os.O_RDWR | (os.O_CREAT if create else 0)
                return self._use(flags, lambda file: self._decide_and_append(file, decide))
            except OSError as error:
                if error.errno not in GONE or create:
                    raise
                self._lose()
                raise DeletedError from None

    def _use(self, flags: int, action: Callable[[int], T]) -> T:
        """Open and lock the file, read what is new, and do the action. Raises OSError.

        A file that lost its name while this waited for the lock is opened again: there may be
        another one by that name.
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
                revalidate_directory(self.path)
        raise AssertionError("unreachable")

    def delete(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Delete the file for everybody who has it open, unless `wanted` says no under the lock.

        Raises StorageError if it could not be deleted.
        """

        def decide() -> list[Record]:
            return [Delete()] if wanted() else []

        try:
            if not self.update(decide):
                return
        except DeletedError:
            return
        except StorageError as error:
            if error.code != "full":  # people delete because the disk is full
                raise
        with storage_errors():
            self.path.unlink(missing_ok=True)

    def _decide_and_append(self, descriptor: int, decide: Callable[[], Iterable[Record]]) -> bool:
        if self._torn:  # its writer is gone; if only the newline is missing, the line counts
            torn = self._torn
            write_at(descriptor, b"\n", self._offset + len(torn))
            self._take_in(torn + b"\n", b"")
        lines = b"".join(to_line(record) for record in decide())
        if not lines:
            return False
        write_at(descriptor, lines, self._offset)
        self._take_in(lines, b"")
        return True

    def _take_in(self, lines: bytes, torn: bytes) -> None:
        """Apply what the file holds behind the offset: complete lines, and then a part of one."""
        self._offset += len(lines)
        self._tail = (self._tail + lines)[-TAIL:]
        self._torn = torn
        self._take_lines(lines)

    def _lose(self) -> None:
        """Take in that there is no file."""
        if self._file is not None:
            self.path.parent.parent.stat()  # raises if the whole storage is missing
            self._forget()
            self.deleted = True

    def _forget(self) -> None:
        self.deleted = False
        self.damaged = 0
        self.newer = 0
        self._file: tuple[int, int] | None = None
        self._offset = 0  # behind the last complete line that was read
        self._tail = b""  # the last bytes before the offset, which show if the file is the same
        self._torn = b""  # what is behind the offset, and does not end in a newline
        self.clear()

    def _read(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not status.st_nlink:  # an NFS client raises this error by itself
            raise OSError(errno.ESTALE, "the file has been deleted or replaced")
        file = (status.st_dev, status.st_ino)
        if file != self._file:
            self._forget()
            self._file = file
        data = b"".join(read_chunks(descriptor, self._offset - len(self._tail)))
        if not data.startswith(self._tail):
            # Cut by hand, or a new file that has the number of the one before.
            self._forget()
            self._file = file
            data = b"".join(read_chunks(descriptor, 0))
        data = data[len(self._tail) :]
        complete = data.rfind(b"\n") + 1
        self._take_in(data[:complete], data[complete:])

    def _take_lines(self, lines: bytes) -> None:
        for line in lines.split(b"\n"):
            if line:
                try:
                    # json would guess the encoding of bytes, which takes longer than decoding them.
                    self._take(json.loads(line.decode("utf-8", "surrogatepass")))
                except (KeyError, TypeError, ValueError, RecursionError):
                    self.damaged += 1

    def _take(self, line: object) -> None:
        if not isinstance(line, dict):
            raise TypeError("not a record")
        version = line.get("v")
        if isinstance(version, int) and version > VERSION:
            self.newer += 1
            return
        record = from_line(line)
        if isinstance(record, Delete):
            self.deleted = True
        at = line.get("at")
        self.written = at if isinstance(at, str) else ""
        self.apply(record)


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
