"""Files of a session, each kept once under the hash of its content."""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from chatbot.storage import (
    MEBIBYTE,
    StorageError,
    is_there,
    list_files,
    make_session_folder,
    open_file,
    read_chunks,
    storage_errors,
    write_at,
)

LIMIT = 10 * MEBIBYTE
FOLDER = "attachments"  # within the session's folder
_NAME = re.compile(r"[0-9a-f]{64}")
FILE = re.compile(_NAME.pattern + r"(\.[0-9a-f]{8})?")  # one with an ending is unfinished


class AttachmentError(StorageError):
    """An attachment can't be kept or brought back.

    code: "attachment_too_large" (facts: megabytes), "attachment_missing" or "attachment_damaged".
    """


def save(session_folder: Path, content: bytes) -> str:
    """Keep the content of a file; return the name that brings it back.

    Raises AttachmentError if it is larger than LIMIT, StorageError if it can't be kept.
    """
    if len(content) > LIMIT:
        raise AttachmentError("attachment_too_large", megabytes=LIMIT // MEBIBYTE)
    name, folder = _hash(content), session_folder / FOLDER
    with storage_errors():
        make_session_folder(session_folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        unfinished = folder / f"{name}.{secrets.token_hex(4)}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_at(descriptor, content, 0)
            unfinished.rename(folder / name)  # in one step, so that nobody reads half of it
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
    return name


def load(session_folder: Path, name: str) -> bytes:
    """Return the content that `save` kept by that name.

    Raises AttachmentError if there is none or it is damaged, StorageError if it can't be read.
    """
    if not _NAME.fullmatch(name):
        raise AttachmentError("attachment_missing")
    with storage_errors():
        try:
            descriptor = open_file(session_folder / FOLDER / name, os.O_RDONLY)
        except FileNotFoundError:
            raise AttachmentError("attachment_missing") from None
        try:
            content = b"".join(read_chunks(descriptor, 0))
        finally:
            os.close(descriptor)
    if _hash(content) != name:
        raise AttachmentError("attachment_damaged")
    return content


def delete(session_folder: Path, names: list[str]) -> None:
    """Delete these files, and the folder if nothing else is in it. Raises OSError."""
    folder = session_folder / FOLDER
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # there is something that is not ours, or is new
        folder.rmdir()


def list_idle(session_folder: Path, before: float) -> list[str]:
    """Return the names of the files that were last kept before that time, in Unix seconds.

    Raises OSError.
    """
    times = list_files(session_folder / FOLDER, FILE)
    return [name for name, time in times.items() if time / 1e9 < before]


def delete_unused(
    session_folder: Path, names: Iterable[str], find_used: Callable[[], set[str]]
) -> None:
    """Delete those of the files that nothing uses any more. Raises OSError, StorageError.

    A message may be sent meanwhile that has one of them. So a file is first put aside, then what is
    used is read again: either that shows the message, or its sender finds the file gone, and keeps
    it anew (see `is_kept`).

    find_used: returns the names of all that is used, as it is now.
    """
    folder = session_folder / FOLDER
    wanted = set(names) - find_used()
    aside = {}
    for name in wanted:
        unfinished = folder / f"{name[:64]}.{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):
            (folder / name).rename(unfinished)
            aside[name] = unfinished
    used = find_used() if aside else set()
    for name, path in aside.items():
        if name in used and not (folder / name).exists():
            path.rename(folder / name)
        else:
            path.unlink(missing_ok=True)
    if aside:
        delete(session_folder, [])


def is_kept(session_folder: Path, name: str) -> bool:
    """Return whether there is such a file. Raises StorageError."""
    with storage_errors():
        return bool(_NAME.fullmatch(name)) and is_there(session_folder / FOLDER / name)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
