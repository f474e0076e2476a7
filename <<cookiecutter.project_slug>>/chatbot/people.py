"""What is kept of one person, for whoever has to tell, hand out or erase it.

`python -m chatbot people` is the command; docs/data.md describes it.
"""

import base64
import io
import os
import shutil
import stat
import tarfile
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from chatbot import deletions
from chatbot.conversations import Conversation
from chatbot.identity import Person, session_folder
from chatbot.languages import say
from chatbot.page import wording
from chatbot.records import Owner
from chatbot.sessions import ConversationSummary, Session, delete_session, last_used
from chatbot.storage import storage_errors
from chatbot.usage import Total, read_everyone

LINE = 6_000  # bytes that make a line of 8,000 characters of base64
LINE_EVERY = (
    0.016  # seconds: a log on AWS keeps up with half a megabyte a second, and drops the rest
)
BEGIN, END = b"-----BEGIN EXPORT-----\n", b"-----END EXPORT-----\n"
ERASE_TRIES = 20  # until nobody writes to a folder any more that is being erased
PAUSE = 0.1  # seconds between two of them


@dataclass(frozen=True)
class Kept:
    """What is kept of a person.

    session: the id of the person's session.
    chats, files: how many there are; the chats are among the files.
    size: of the files, in bytes.
    used: when something was last kept, in Unix seconds.
    total: all that answers have used.
    """

    session: str
    chats: int
    files: int
    size: int
    used: float
    total: Total


class Output(Protocol):
    """What an export is written to, such as a file."""

    def write(self, data: bytes, /) -> object: ...


class NobodyError(Exception):
    """Nothing is kept of that person."""


def find(root: Path, person: Person) -> Kept:
    """Return what is kept of the person.

    root: the folder of all sessions. Raises NobodyError, StorageError.
    """
    folder = _folder(root, person)
    session = Session(folder)
    session.usage.refresh()
    files = _list_files(folder)
    return Kept(
        session.id,
        len(_list_chats(session, files)),
        len(files),
        sum(status.st_size for status in files.values()),
        last_used(folder),
        sum(session.usage.totals.values(), Total()),
    )


def erase(root: Path, person: Person) -> Kept:
    """Delete everything of the person, and return what that was.

    An answer in progress ends: its writer finds that the conversation is deleted, and makes no file
    anew. A mark stays, which keeps a restore from bringing anything back.

    Raises NobodyError, and StorageError if something was not deleted.
    """
    kept = find(root, person)
    folder = root / kept.session
    with storage_errors():
        for path in folder.iterdir():
            if path.is_symlink():  # to what may be somebody else's
                path.unlink()
    deletions.remember(folder)
    delete_session(folder)
    with storage_errors():
        for left in reversed(range(ERASE_TRIES)):
            try:
                if folder.is_dir():  # there is something that is not the chatbot's
                    shutil.rmtree(folder)
                break
            except OSError:
                if not left:
                    raise
                time.sleep(PAUSE)
    return kept


def export(root: Path, person: Person, file: Output) -> None:
    """Write what is kept of the person to the file, as a tar archive with gzip.

    It has all regular files as they are, in `files/`, and the chats to read, in `chats/`. Links and
    other special files are left out: they could lead to what is somebody else's.

    Raises NobodyError, StorageError, and OSError if the file can't be written.
    """
    folder = _folder(root, person)
    session = Session(folder)
    files = _list_files(folder)
    with tarfile.open(fileobj=cast(BinaryIO, file), mode="w|gz") as archive:  # it only writes
        for path in files:
            _add_file(archive, path, f"files/{path.relative_to(folder)}")
        for chat in _list_chats(session, files):
            conversation = session.conversation(chat.id)
            conversation.refresh()
            text = to_markdown(conversation, chat.title).encode()
            info = tarfile.TarInfo(f"chats/{chat.id}.md")
            info.size, info.mode, info.mtime = len(text), 0o600, int(last_used(folder))
            archive.addfile(info, io.BytesIO(text))


def list_people(root: Path) -> Iterator[tuple[Owner, float]]:
    """Yield each person who has signed in and asked, and when something was last kept of them.

    Raises StorageError.
    """
    with storage_errors():
        root.stat()
    for folder, used in read_everyone(root):
        if used.owner:
            yield used.owner, last_used(folder)


def to_markdown(conversation: Conversation, title: str) -> str:
    """Return the conversation for people to read."""
    begun = wording.untitled(conversation.id)
    parts = [f"# {title}", begun] if title else [f"# {begun}"]
    for turn in conversation.turns:
        sentence = say("Stopped.") if turn.state == "stopped" else wording.end(turn)
        answer = say("Answer ({model})", model=turn.model)
        parts += [f"## {say('Question')}", turn.prompt, f"## {answer}", turn.answer]
        parts += [f"({sentence})"] if sentence else []
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


class Base64Lines:
    """An output that writes what it gets to another one, as lines of base64 between two marks.

    So a file comes through where only text does, as in a terminal.
    """

    def __init__(self, file: Output) -> None:
        self._file, self._rest = file, b""
        file.write(BEGIN)

    def write(self, data: bytes, /) -> None:
        self._rest += data
        while len(self._rest) >= LINE:
            self._write_line(self._rest[:LINE])
            self._rest = self._rest[LINE:]

    def complete(self) -> None:
        """Write the rest, and the mark at the end, which promises that nothing is missing."""
        if self._rest:
            self._write_line(self._rest)
        self._file.write(END)

    def _write_line(self, data: bytes) -> None:
        self._file.write(base64.b64encode(data) + b"\n")
        time.sleep(LINE_EVERY)


def _folder(root: Path, person: Person) -> Path:
    folder = session_folder(root, person)
    with storage_errors():
        try:
            is_folder = stat.S_ISDIR(folder.lstat().st_mode)
        except FileNotFoundError:
            root.stat()  # a folder of all sessions that is missing is another matter
            is_folder = False
    if not is_folder:
        raise NobodyError
    return folder


def _list_files(folder: Path) -> dict[Path, os.stat_result]:
    """Return all regular files in the folder, and in those in it, with their status."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # deleted meanwhile
            raise error

    found = {}
    with storage_errors():
        for parent, _, names in os.walk(folder, onerror=fail):  # which follows no links
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found[path] = status
    return dict(sorted(found.items()))


def _list_chats(session: Session, files: Container[Path]) -> list[ConversationSummary]:
    """Return the chats in these files: a link could lead to somebody else's."""
    chats = session.conversations()
    return [chat for chat in chats if session.folder / f"{chat.id}.jsonl" in files]


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> None:
    with storage_errors():
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:  # deleted meanwhile
            return
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = status.st_size, 0o600, int(status.st_mtime)
                archive.addfile(info, file)
