"""What was deleted on purpose is remembered, so that a restore does not bring it back.

Backups and exports still hold what a person has deleted since. A mark, an empty file, stands for
each deletion: `.deleted/SESSION` for all that the session held at the mark's time, and
`.deleted/SESSION.CONVERSATION` for one conversation. Retention makes no marks: nobody asked for it.
"""

import errno
from contextlib import suppress
from pathlib import Path

from chatbot.storage import storage_errors, touch

FOLDER = ".deleted"  # beside the sessions
KEPT_DAYS = 366  # then a mark is removed; AWS Backup keeps a backup for 35 days
_FULL = (errno.ENOSPC, errno.EDQUOT)


def remember(session_folder: Path, conversation_id: str = "") -> None:
    """Make the mark of what is about to be deleted: a conversation, or all of a session.

    Where there is no room left, no mark is made: people delete because of that. Raises
    StorageError.
    """
    mark = _mark(session_folder, conversation_id)
    with storage_errors():
        if not session_folder.is_dir():
            return
        try:
            mark.parent.mkdir(mode=0o700, exist_ok=True)
            touch(mark)
        except OSError as error:
            if error.errno not in _FULL:
                raise


def is_deleted(session_folder: Path, modified: float, conversation_id: str = "") -> bool:
    """Return whether a person deleted the file, which is not there, or an operator erased it.

    modified: when the file was last written to, in Unix seconds. What the session came to hold
        after the deletion is not deleted.
    conversation_id: which conversation the file is, or "".

    Raises StorageError.
    """
    with storage_errors():
        if conversation_id and _mark(session_folder, conversation_id).exists():
            return True
        try:
            return int(modified) <= _mark(session_folder).stat().st_mtime
        except FileNotFoundError:
            return False


def forget(root: Path, before: float) -> None:
    """Remove the marks that are older than that time, in Unix seconds. Raises StorageError."""
    with storage_errors(), suppress(FileNotFoundError):
        for mark in (root / FOLDER).iterdir():
            if mark.lstat().st_mtime < before:
                mark.unlink(missing_ok=True)


def _mark(session_folder: Path, conversation_id: str = "") -> Path:
    name = f"{session_folder.name}.{conversation_id}" if conversation_id else session_folder.name
    return session_folder.parent / FOLDER / name
