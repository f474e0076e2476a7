"""Sessions in an archive, or in a folder: how they leave the chatbot, and come back.

An archive is a tar file with gzip. It holds each session as the chatbot itself stores it, in the
folder `sessions`: unpacked, that is a folder for CHATBOT_SESSIONS_DIR. Only files that belong to a
session are in it, so marks, locks and unfinished files stay where they are.

Whoever restores an archive may have it from anywhere. So this reads the plainest kind of tar file
only, header by header, and refuses all that an export does not have: links, folders, devices, other
names, extensions of the format, and files larger than LIMIT.
"""

import gzip
import io
import json
import logging
import os
import re
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from chatbot import attachments, conversations, labels, usage
from chatbot.errors import ChatbotError
from chatbot.identity import is_session_folder
from chatbot.records import Delete, from_line
from chatbot.sessions import SIGN_OUTS_FILE, VALUES_FILE
from chatbot.storage import GONE, MEBIBYTE, read_chunks, storage_errors

log = logging.getLogger(__name__)

FOLDER = "sessions"  # within an archive, and within the file system on AWS
LIMIT = 64 * MEBIBYTE  # of a file: the whole of it is kept in memory
BACKUP = "aws-backup-restore_"  # how the name of a folder begins that AWS Backup restored
LEVEL = 6  # of compression: 9 takes three times as long, and saves a hundredth
_ATTACHMENT = f"{attachments.FOLDER}/[0-9a-f]{{64}}"
_FILE = re.compile(
    "|".join(
        [conversations.FILE.pattern, labels.FILE.pattern, _ATTACHMENT]
        + [re.escape(name) for name in (VALUES_FILE, SIGN_OUTS_FILE, usage.FILE)]
    )
)


class ArchiveError(ChatbotError):
    """The archive, or the restored backup, can't be used.

    code: "damaged"; "foreign" or "too_large" (facts: name, and megabytes); "no_backup" (facts:
        folder); or "bucket" (facts: reason).
    """


class Input(Protocol):
    """What an archive is read from, such as a file."""

    def read(self, size: int, /) -> bytes: ...


class Output(Protocol):
    """What an archive is written to, such as a file."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class Entry:
    """A file of a session.

    session: the session's id.
    name: the file's, within the session's folder.
    modified: when it was last written to, in Unix seconds.
    """

    session: str
    name: str
    modified: float
    content: bytes

    @property
    def conversation_id(self) -> str:
        """Which conversation the file is, or ""."""
        is_one = conversations.FILE.fullmatch(self.name)
        return self.name.removesuffix(".jsonl") if is_one else ""

    @property
    def belongs_to(self) -> str:
        """Which conversation the file is, or is the label of, or ""."""
        is_label = labels.FILE.fullmatch(self.name)
        return self.name.removesuffix(labels.ENDING) if is_label else self.conversation_id

    @property
    def attachment(self) -> str:
        """The hash of the content that the file should have, if it is an attachment, or ""."""
        folder, _, name = self.name.rpartition("/")
        return name if folder else ""


def read_sessions(
    root: Path, session: str = "", too_large: list[Path] | None = None
) -> Iterator[Entry]:
    """Yield the files of all sessions, or of one, as they are at this moment.

    Files may grow and be deleted meanwhile. A conversation that is just being deleted is left out.
    So is a file that is larger than LIMIT; the log says so, and it is added to `too_large`.

    root: the folder of all sessions. Raises StorageError.
    """
    too_large = [] if too_large is None else too_large
    with storage_errors():
        names = [session] if session else sorted(filter(is_session_folder, os.listdir(root)))  # noqa: PTH208
    for each in names:
        for name in _list(root / each):
            with storage_errors():
                found = _read(root / each / name, too_large)
            if found:
                entry = Entry(each, name, *found)
                if not (entry.conversation_id and _ends_with_deletion(entry.content)):
                    yield entry


def write_archive(entries: Iterable[Entry], file: Output) -> tuple[int, int]:
    """Write the entries to the file, as an archive; return how many sessions and chats it has.

    Raises what the entries raise, and OSError if the file can't be written.
    """
    sessions, chats = set(), 0
    with (
        gzip.GzipFile("", "wb", LEVEL, cast(IO[bytes], file)) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for entry in entries:
            info = tarfile.TarInfo(f"{FOLDER}/{entry.session}/{entry.name}")
            info.size, info.mode, info.mtime = len(entry.content), 0o600, int(entry.modified)
            archive.addfile(info, io.BytesIO(entry.content))
            sessions.add(entry.session)
            chats += bool(entry.conversation_id)
    return len(sessions), chats


def read_archive(file: Input) -> Iterator[Entry]:
    """Yield the entries of an archive. Raises ArchiveError as soon as something is wrong with it.

    Raises OSError if the file can't be read.
    """
    try:
        with gzip.GzipFile("", "rb", fileobj=cast(IO[bytes], file)) as stream:
            while any(header := _take(stream, tarfile.BLOCKSIZE)):
                yield _take_entry(stream, tarfile.TarInfo.frombuf(header, "utf-8", "replace"))
            while rest := stream.read(MEBIBYTE):  # to its end, where its checksum is
                if any(rest):
                    raise ArchiveError("damaged")
    except (EOFError, gzip.BadGzipFile, tarfile.HeaderError, zlib.error) as error:
        raise ArchiveError("damaged") from error


def find_backup(folder: Path) -> Path:
    """Return what AWS Backup restored last into the file system that is mounted at the folder.

    Raises ArchiveError if there is nothing, StorageError.
    """
    with storage_errors():
        found = {
            each.stat(follow_symlinks=False).st_ctime: folder / each.name  # no restore sets it
            for each in os.scandir(folder)
            if each.name.startswith(BACKUP) and each.is_dir(follow_symlinks=False)
        }
    if not found:
        raise ArchiveError("no_backup", folder=str(folder))
    return found[max(found)]


def _list(folder: Path) -> list[str]:
    """Return the names of the session's files."""
    found = []
    with storage_errors():
        for each in (folder, folder / attachments.FOLDER):
            prefix = "" if each == folder else f"{each.name}/"
            try:
                if stat.S_ISDIR(each.lstat().st_mode):  # a link may lead anywhere
                    found += [f"{prefix}{name}" for name in os.listdir(each)]  # noqa: PTH208
            except OSError as error:
                if error.errno not in GONE:
                    raise
    return sorted(name for name in found if _FILE.fullmatch(name))


def _read(path: Path, too_large: list[Path]) -> tuple[float, bytes] | None:
    """Return the file's time and content, or None if there is no such file.

    Also None if it is too large; then it is added to that list.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if status.st_size > LIMIT:
                log.warning("%s was left out: it is larger than %s bytes", path, LIMIT)
                too_large.append(path)
            elif stat.S_ISREG(status.st_mode):
                content = b"".join(read_chunks(descriptor, 0))
                return status.st_mtime, content[:LIMIT]
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in GONE and not path.is_symlink():
            raise
    return None


def _ends_with_deletion(content: bytes) -> bool:
    try:
        line = json.loads(content.rstrip(b"\n").rpartition(b"\n")[2])
        return isinstance(from_line(line), Delete)
    except (KeyError, TypeError, ValueError, RecursionError):
        return False


def _take(stream: Input, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ArchiveError("damaged")
    return data


def _take_entry(stream: Input, info: tarfile.TarInfo) -> Entry:
    folder, _, path = info.name.partition("/")
    session, _, name = path.partition("/")
    ours = folder == FOLDER and is_session_folder(session) and _FILE.fullmatch(name)
    if not ours or info.type != tarfile.REGTYPE:
        raise ArchiveError("foreign", name=_shown(info.name))
    if not 0 <= info.size <= LIMIT:
        raise ArchiveError("too_large", name=_shown(info.name), megabytes=LIMIT // MEBIBYTE)
    content = _take(stream, info.size)
    _take(stream, -info.size % tarfile.BLOCKSIZE)
    return Entry(session, name, info.mtime, content)


def _shown(name: str) -> str:
    return "".join(each if each.isprintable() else " " for each in name[:200])
