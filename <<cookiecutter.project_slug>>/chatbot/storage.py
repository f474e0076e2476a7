"""Files in a folder that many tasks share: opening, locking, and saying what went wrong.

The lock is `flock`: unlike `lockf` it also excludes the threads of one process from each other,
and it is not lost when another thread closes the same file. On NFS both are the same lock of the
server, and taking it makes the client drop what it had cached.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_WAIT = 10.0  # seconds until a person is told that the storage is busy
MEBIBYTE = 2**20

# What NFS says of a file that another client has deleted: not found, or stale once it is open.
GONE = (errno.ENOENT, errno.ESTALE)


class SessionError(Exception):
    """The stored sessions can't be used as asked; the text tells a person what happened."""


_roots_seen: set[Path] = set()


def saw_root(root: Path) -> None:
    """Note that the folder of all sessions is there: from now on, its absence is a fault."""
    _roots_seen.add(root)


def check_root(root: Path) -> None:
    """Raise OSError if the folder of all sessions was there once and is not now."""
    if root in _roots_seen:
        root.stat()


def make_session_folder(path: Path) -> None:
    """Make a session's folder where it is missing, and once the folder of all sessions.

    Not what is above that one, nor that one again: more likely a file system is not mounted.
    """
    if path.parent not in _roots_seen:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        saw_root(path.parent)
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


def open_file(path: Path, flags: int) -> int:
    """Open a file, also one of which an NFS client remembers that it was not there."""
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        look_around(path)
        return os.open(path, flags, 0o600)


def look_around(path: Path) -> None:
    """List the folders above the file, after which an NFS client asks the server for it again."""
    for folder in (path.parent.parent, path.parent):
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            next(entries, None)


def lock(descriptor: int, kind: int) -> None:
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


def read_chunks(descriptor: int, offset: int) -> Iterator[bytes]:
    """Yield what the file holds from the offset on, in bytes."""
    while chunk := os.pread(descriptor, MEBIBYTE, offset):
        offset += len(chunk)
        yield chunk


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write the data there; once this returns, it is on the disk."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
    os.fsync(descriptor)
