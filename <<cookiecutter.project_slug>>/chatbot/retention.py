"""Retention: sessions that were not used for long are deleted.

One task at a time sweeps through the folder, about once a day and in small steps. A session is used
when a record is added to one of its files; the page adds one on each day it is visited.

The age of a file is measured by the clock of the file system that holds it. Whether that clock or
the task's is right can't be known, so where they differ much, nothing is deleted.
"""

import errno
import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chatbot import deletions
from chatbot.identity import is_session_folder
from chatbot.sessions import Session, delete_session, delete_unused_files, last_used
from chatbot.storage import StorageError, storage_errors, touch

log = logging.getLogger(__name__)

DAY = 86_400.0  # seconds
CHECK_EVERY = DAY / 24  # seconds between two checks if a sweep is due
PAUSE = 0.02  # seconds between two sessions, so that the page stays fast
CLOCKS_MAY_DIFFER = 3_600.0  # seconds between the task's clock and the file system's
MARK = ".retention"  # a file that is locked during a sweep, and has the time of the last one
CLOCK = ".clock"  # a file that is touched to read the file system's clock


def start(root: Path, days: float) -> None:
    """From now on, delete sessions in the background once they were not used for these days."""
    if days:
        threading.Thread(target=_keep_sweeping, args=(root, days), daemon=True).start()


def _keep_sweeping(root: Path, days: float) -> None:
    while True:
        # So that tasks that start together check at different times.
        time.sleep(CHECK_EVERY * random.uniform(0.1, 1.0))  # noqa: S311
        try:
            sweep(root, days)
        except StorageError as error:
            log.warning("Unused sessions were not deleted: %s", error)


def sweep(root: Path, days: float, wait: Callable[[float], None] = time.sleep) -> int | None:
    """Delete the sessions that were not used for these days; return how many.

    Returns None if another task sweeps now, or did within a day, or if the clocks differ. Raises
    StorageError if the folder of all sessions can't be used.
    """
    if not root.is_dir():
        return None
    with storage_errors():
        now = touch(root / CLOCK)
        difference = time.time() - now
        if abs(difference) > CLOCKS_MAY_DIFFER:
            log.warning(
                "Unused sessions were not deleted: this task's clock differs by %.0f seconds from "
                "that of the file system",
                difference,
            )
            return None
        with _sweep_lock(root / MARK, now) as due:
            if not due:
                return None
            deletions.forget(root, now - deletions.KEPT_DAYS * DAY)
            return sum(_delete_idle(root, now, days, wait))


def _delete_idle(
    root: Path, now: float, days: float, wait: Callable[[float], None]
) -> Iterator[bool]:
    """Check each session; yield whether it was deleted, as it was not used for these days.

    Of others, files are deleted that were attached to no message within a day. now: Unix seconds.
    """
    with os.scandir(root) as entries:
        folders = [root / each.name for each in entries if is_session_folder(each.name)]
    for folder in folders:
        wait(PAUSE)
        try:
            Session(folder).finish_removals(now - DAY / 24)
            deleted = _delete_if_idle(folder, now - days * DAY)
            yield deleted
            if not deleted:
                delete_unused_files(folder, now - DAY)
        except StorageError as error:
            log.warning("Session %s was not deleted: %s", folder.name[:8], error)


def _delete_if_idle(folder: Path, before: float) -> bool:
    def is_idle() -> bool:
        return last_used(folder) < before

    with storage_errors():
        if folder.stat().st_mtime > before or not is_idle():
            return False
    delete_session(folder, is_idle)
    log.info("Session %s was deleted: it was not used for long", folder.name[:8])
    return True


@contextmanager
def _sweep_lock(mark: Path, now: float) -> Iterator[bool]:
    """Hold the mark's lock; yield whether this task should sweep.

    now: the file system's time. A mark from the future, which a clock that was wrong has left,
    stops no sweep.
    """
    new = not mark.exists()
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            yield False
            return
        age = now - os.fstat(descriptor).st_mtime
        due = new or age > DAY or age < -CLOCKS_MAY_DIFFER
        yield due
        if due:
            os.utime(descriptor)
    finally:
        os.close(descriptor)
