"""Files in a folder that many tasks share: opening, locking, and naming what went wrong.

The lock is `flock`: unlike `lockf`, it also excludes the threads of one process from each other,
and it is not lost when another thread closes the same file. On NFS both become the same lock on the
server, and taking it makes the client drop what it had cached.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatbot.errors import ChatbotError

LOCK_TIMEOUT = 10.0  # seconds
MEBIBYTE = 2**20

# What NFS says of a file that another client has deleted: not found, or stale once it is open.
GONE = (errno.ENOENT, errno.ESTALE)

_CODES = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "forbidden",
    errno.EPERM: "forbidden",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "not_a_folder",
    errno.ETIMEDOUT: "timeout",
    errno.ESTALE: "replaced",
    errno.EIO: "fault",
}


class StorageError(ChatbotError):
    """What is stored can't be used as asked.

    code: one of `_CODES`, or "other"; subclasses have codes of their own.
    facts: errno, the name of the operating system's error, such as "ENOSPC".
    """


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError in the block into a StorageError."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise StorageError(_CODES.get(error.errno or 0, "other"), errno=name) from error


_roots_seen: set[Path] = set()


def mark_root_seen(root: Path) -> None:
    """Remember that the folder of all sessions exists: from now on, its absence is a fault."""
    _roots_seen.add(root)


def require_root(root: Path) -> None:
    """Raise OSError if the folder of all sessions existed once and does not now."""
    if root in _roots_seen:
        root.stat()


def make_session_folder(path: Path) -> None:
    """Make a session's folder if it is missing, and the folder of all sessions the first time.

    Never the folders above, nor the folder of all sessions again: if they are missing, a file
    system is most likely not mounted. Raises OSError.
    """
    if path.parent not in _roots_seen:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        mark_root_seen(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def open_file(path: Path, flags: int) -> int:
    """Open a file, even if an NFS client remembers that it was missing. Raises OSError."""
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        revalidate_directory(path)
        return os.open(path, flags, 0o600)


def is_there(path: Path) -> bool:
    """Return whether there is such a file. Raises OSError.

    It is opened, which an NFS client asks the server about; what it looks up, it may remember for
    seconds after another client has deleted it.
    """
    try:
        os.close(open_file(path, os.O_RDONLY))
    except OSError as error:
        if error.errno not in GONE:
            raise
        return False
    return True


def revalidate_directory(path: Path) -> None:
    """List the two folders above the file, which makes an NFS client ask the server about it."""
    for folder in (path.parent.parent, path.parent):
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            next(entries, None)


def list_files(folder: Path, pattern: re.Pattern[str]) -> dict[str, int]:
    """Return when each file whose name fits was last written to, in Unix nanoseconds.

    Raises OSError.
    """
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


def touch(path: Path) -> float:
    """Set the file's time to now, by the clock of its file system; return it, in Unix seconds.

    Makes the file if it is missing. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.utime(descriptor)
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)


def lock(descriptor: int, kind: int) -> None:
    """Wait for the lock; raise TimeoutError after LOCK_TIMEOUT.

    It polls, because a blocking flock could not be given up.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT
    pause = 0.001
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the file stayed locked")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def read_chunks(descriptor: int, offset: int) -> Iterator[bytes]:
    """Yield the file's bytes from the offset on."""
    while chunk := os.pread(descriptor, MEBIBYTE, offset):
        offset += len(chunk)
        yield chunk


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write the data at the offset; it is on the disk when this returns."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    os.fsync(descriptor)
