"""Sessions are brought back, beside those that are there, and none of these is destroyed.

Files only grow, at their end. So if what is there is the beginning of what comes back, the rest is
added. If it is anything else, it has been used since, and is left as it is. That also makes it safe
to restore while the chatbot runs, and to do it again after an interruption.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chatbot import attachments, deletions
from chatbot.archives import Entry
from chatbot.sessions import find_used, hashes_in
from chatbot.storage import (
    GONE,
    lock,
    make_session_folder,
    read_chunks,
    storage_errors,
    write_at,
)

CHAT, OTHER = "chat", "other"
# What became of a file. It was not there; its beginning was; another one or the same was there; it
# was deleted on purpose; it is an attachment whose content is not what its name says.
ADDED, CONTINUED, LEFT, DELETED, DAMAGED = "added", "continued", "left", "deleted", "damaged"


@dataclass
class Report:
    """What was brought back.

    files: how many, by kind (CHAT or OTHER) and what became of them.
    sessions: the ids of all that were in the source; and which of them were not there.
    """

    files: Counter[tuple[str, str]] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)

    def count(self, outcome: str, kind: str = "") -> int:
        """Return how many files this became of."""
        return sum(self.files[each, outcome] for each in ([kind] if kind else [CHAT, OTHER]))


def restore(
    root: Path, entries: Iterable[Entry], *, with_deleted: bool = False, dry_run: bool = False
) -> Report:
    """Bring the entries back to the folder of all sessions.

    with_deleted: also what people have deleted and operators erased. Else an attachment is deleted
        if no chat and no value names it that is there in the end: it was deleted with its chat.
    dry_run: only find out what would be done.

    Raises what the entries raise, and StorageError.
    """
    report = Report()
    named, added = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    with storage_errors():
        for entry in entries:
            if entry.session not in report.sessions:
                report.sessions.add(entry.session)
                is_new = not (root / entry.session).exists()
            outcome = _restore(root / entry.session, entry, with_deleted, dry_run)
            report.files[CHAT if entry.conversation_id else OTHER, outcome] += 1
            if is_new and outcome == ADDED:
                report.new.add(entry.session)
            if outcome == ADDED and entry.attachment:
                added[entry.session].add(entry.attachment)
            elif outcome in (ADDED, CONTINUED):
                named[entry.session] |= hashes_in(entry.content)
        for session in [] if with_deleted else added:
            folder = root / session
            unused = added[session] - named[session] - find_used(folder)
            if not dry_run:
                attachments.delete_unused(folder, unused, partial(find_used, folder))
            report.files[OTHER, ADDED] -= len(unused)
            report.files[OTHER, DELETED] += len(unused)
    return report


def _restore(folder: Path, entry: Entry, with_deleted: bool, dry_run: bool) -> str:
    path = folder / entry.name
    if entry.attachment and hashlib.sha256(entry.content).hexdigest() != entry.attachment:
        return DAMAGED
    is_there = os.path.lexists(path)
    is_new = not is_there and not with_deleted
    if is_new and deletions.is_deleted(folder, entry.modified, entry.belongs_to):
        return DELETED
    if entry.attachment:
        if is_there:
            return LEFT
        if not dry_run:
            attachments.save(folder, entry.content)
            os.utime(path, (_time(entry), _time(entry)))
        return ADDED
    flags = os.O_NOFOLLOW | (os.O_RDONLY if dry_run else os.O_RDWR)
    if not is_there:
        if dry_run:
            return ADDED
        make_session_folder(folder)
        flags |= os.O_CREAT
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            return _continue(descriptor, entry, dry_run)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (*GONE, errno.ELOOP):  # deleted meanwhile, or a link
            return LEFT
        raise


def _continue(descriptor: int, entry: Entry, dry_run: bool) -> str:
    """Add to the file what it lacks, if it is the beginning of the entry."""
    lock(descriptor, fcntl.LOCK_SH if dry_run else fcntl.LOCK_EX)
    status = os.fstat(descriptor)
    there = b"".join(read_chunks(descriptor, 0))
    rest = entry.content.removeprefix(there)
    if not rest or len(there) + len(rest) != len(entry.content) or not status.st_nlink:
        return LEFT
    if not dry_run:
        write_at(descriptor, rest, len(there))
        changed = max(_time(entry), status.st_mtime) if there else _time(entry)
        os.utime(descriptor, (changed, changed))  # the newest chat comes first in the list
    return CONTINUED if there else ADDED


def _time(entry: Entry) -> float:
    """Return the entry's time, which is not in the future: retention would never see it pass."""
    return min(max(entry.modified, 0), time.time())
