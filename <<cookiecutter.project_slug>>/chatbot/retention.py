"""Retention: sessions that nobody has used for long are deleted.

One task at a time looks through the folder, about once a day and in small steps. What counts as
use is a line in one of the session's files; the page writes one on each day it is visited.
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

from chatbot.sessions import delete_session, is_session_folder, last_used
from chatbot.storage import SessionError, explained

log = logging.getLogger(__name__)

DAY = 86_400.0  # seconds
LOOK_EVERY = DAY / 24  # seconds between two looks whether it is time
PAUSE = 0.02  # seconds between two sessions, so that people notice nothing
MARK = ".retention"  # a file that is locked during a sweep, and whose time is the last sweep's


def start(root: Path, days: float) -> None:
    """Delete, from now on and in the background, sessions that nobody used for so many days."""
    if days:
        threading.Thread(target=_keep_sweeping, args=(root, days), daemon=True).start()


def _keep_sweeping(root: Path, days: float) -> None:
    while True:
        # Tasks that start together look at different times.
        time.sleep(LOOK_EVERY * random.uniform(0.1, 1.0))  # noqa: S311
        try:
            sweep(root, days)
        except SessionError as error:
            log.warning("Sessions that nobody uses stay for now: %s", error)


def sweep(root: Path, days: float, wait: Callable[[float], None] = time.sleep) -> int | None:
    """Delete the sessions that nobody has used for so many days; return how many.

    Returns None where there is nothing to do: another task is at it, or was within a day.
    Raises SessionError if the folder of all sessions can't be used.
    """
    if not root.is_dir():
        return None
    with explained(), _turn(root / MARK) as ours:
        return sum(_deleted(root, days, wait)) if ours else None


def _deleted(root: Path, days: float, wait: Callable[[float], None]) -> Iterator[bool]:
    """Look at each session; yield whether it was deleted."""
    with os.scandir(root) as entries:
        folders = [root / each.name for each in entries if is_session_folder(each.name)]
    for folder in folders:
        wait(PAUSE)
        try:
            yield _delete_if_idle(folder, days)
        except SessionError as error:
            log.warning("Session %s stays for now: %s", folder.name[:8], error)


def _delete_if_idle(folder: Path, days: float) -> bool:
    def is_idle() -> bool:
        return time.time() - last_used(folder) > days * DAY

    with explained():
        if time.time() - folder.stat().st_mtime < days * DAY or not is_idle():
            return False
    delete_session(folder, is_idle)
    log.info("Session %s was deleted: not used for %g days", folder.name[:8], days)
    return True


@contextmanager
def _turn(mark: Path) -> Iterator[bool]:
    """Hold the mark's lock, and say whether it is this task's turn."""
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
        ours = new or time.time() - os.fstat(descriptor).st_mtime > DAY
        yield ours
        if ours:
            os.utime(descriptor)
    finally:
        os.close(descriptor)
