"""Files of a session, each kept once under the hash of its content."""

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from chatbot.storage import (
    MEBIBYTE,
    StorageError,
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


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
