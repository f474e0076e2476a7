"""One person's session: conversations, files and small values in a folder that many tasks share."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chatbot import attachments, conversations, deletions, usage
from chatbot.conversations import Conversation, is_conversation_id, title_of
from chatbot.journals import Journal, open_journal
from chatbot.records import Delete, Record, Value, to_line
from chatbot.storage import list_files, mark_root_seen, require_root, storage_errors

VALUES_FILE = "session.jsonl"
SIGN_OUTS_FILE = "sign-outs.jsonl"
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# What shows, by its time, that a session is in use.
_OTHERS = (VALUES_FILE, SIGN_OUTS_FILE, usage.FILE, attachments.FOLDER)
_USED = re.compile("|".join([conversations.FILE.pattern, *map(re.escape, _OTHERS)]))


class Values(Journal):
    """A session's own small values: the last record of a name counts."""

    def clear(self) -> None:
        self.values: dict[str, Any] = {}

    def apply(self, record: Record) -> None:
        match record:
            case Value(name, value):
                self.values[name] = value
            case Delete():
                self.clear()
            case _:
                raise TypeError("a record of another kind of file")


@dataclass(frozen=True)
class ConversationSummary:
    """A conversation as the list shows it.

    title: its first prompt, cut to length; "" if that can't be read.
    """

    id: str
    title: str


class Session:
    """What is kept in one session's folder. Nothing is on the disk until something is kept.

    `session.set("name", value)`, or `session["name"] = value`, keeps any JSON value;
    `session.get("name")` brings it back. `session.attach(content)` keeps a file's content;
    `session.attachment(name)` brings it back.

    usage: how many tokens the person has used, as it was last refreshed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._values = open_journal(Values, folder / VALUES_FILE)
        self._sign_outs = open_journal(Values, folder / SIGN_OUTS_FILE)
        self.usage = open_journal(usage.Usage, folder / usage.FILE)

    @property
    def id(self) -> str:
        """The public id of the session, which does not open it."""
        return self.folder.name

    def conversations(self) -> list[ConversationSummary]:
        """List the conversations, the one last written to first. Raises StorageError."""
        return [
            ConversationSummary(name.removesuffix(".jsonl"), title_of(self.folder / name))
            for name in self._newest_first()
        ]

    def newest_conversation(self) -> str:
        """Return the id of the conversation last written to, "" if there is none.

        Raises StorageError.
        """
        return next(iter(self._newest_first()), "").removesuffix(".jsonl")

    def _newest_first(self) -> list[str]:
        with storage_errors():
            files = list_files(self.folder, conversations.FILE)
            if files:
                mark_root_seen(self.folder.parent)
            else:
                require_root(self.folder.parent)
        return sorted(files, key=lambda name: (files[name], name), reverse=True)

    def conversation(self, conversation_id: str) -> Conversation:
        """Return the conversation, empty until it is refreshed.

        Raises ValueError if the id is not formed like one.
        """
        if not is_conversation_id(conversation_id):
            raise ValueError("not a conversation id")
        return open_journal(Conversation, self.folder / f"{conversation_id}.jsonl")

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value kept by that name, else the default. Raises StorageError."""
        self._values.refresh()
        return self._values.values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Keep a value.

        Raises TypeError or ValueError if it is not JSON, StorageError if it can't be kept.
        """
        record = Value(name, value)
        to_line(record)  # what is not JSON is refused before anything is touched
        self._values.update(
            lambda: [] if (name, value) in self._values.values.items() else [record],
            create=True,
        )

    def __getitem__(self, name: str) -> Any:
        self._values.refresh()
        return self._values.values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def attach(self, content: bytes) -> str:
        """Keep the content of a file; return the name that brings it back.

        Raises attachments.AttachmentError if it is too large, StorageError if it can't be kept.
        """
        return attachments.save(self.folder, content)

    def attachment(self, name: str) -> bytes:
        """Return the content that `attach` kept by that name.

        Raises attachments.AttachmentError if there is none or it is damaged.
        """
        return attachments.load(self.folder, name)

    def has_attachment(self, name: str) -> bool:
        """Return whether `attach` kept a content by that name. Raises StorageError."""
        return attachments.is_kept(self.folder, name)

    def end_sign_in(self, sign_in: str) -> None:
        """Keep in mind that the person signed out: copies of their cookies are of no use then.

        sign_in: the id of what ends. Raises StorageError.
        """
        self._sign_outs.update(lambda: [Value(sign_in, True)], create=True)

    def has_ended(self, sign_in: str) -> bool:
        """Return whether the person signed out of this sign-in. Raises StorageError."""
        self._sign_outs.refresh()
        return sign_in in self._sign_outs.values

    def delete(self) -> None:
        """Delete everything that is kept, but for the sign-outs and the usage, which must count on.

        Raises StorageError if something was not deleted.
        """
        deletions.remember(self.folder)
        delete_session(self.folder, everything=False)

    def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation. Raises StorageError if it could not be deleted."""
        conversation = self.conversation(conversation_id)
        deletions.remember(self.folder, conversation_id)
        conversation.refresh()
        files = {file.hash for turn in conversation.turns for file in turn.files}
        conversation.delete()
        if files:  # which another conversation may have as well
            with storage_errors():
                attachments.delete_unused(self.folder, files, partial(_find_used, self.folder))


def delete_unused_files(folder: Path, before: float) -> None:
    """Delete a session's files that were kept before that time, and that nothing names.

    They are those of messages that were never sent. before: Unix seconds. Raises StorageError.
    """
    with storage_errors():
        idle = attachments.list_idle(folder, before)
        if not idle:
            return
        status = folder.stat()
        attachments.delete_unused(folder, idle, partial(_find_used, folder))
        for each in (folder, folder / attachments.FOLDER):  # this was no use of the session
            with suppress(FileNotFoundError):
                os.utime(each, ns=(status.st_atime_ns, status.st_mtime_ns))


def _find_used(folder: Path) -> set[str]:
    """Return the hashes that the session's conversations and values name. Raises OSError."""
    used: set[str] = set()
    for name in [*list_files(folder, conversations.FILE), VALUES_FILE]:
        with suppress(FileNotFoundError):
            text = (folder / name).read_bytes()
            used.update(hash_.decode() for hash_ in _HASH.findall(text))
    return used


def delete_session(
    folder: Path, wanted: Callable[[], bool] = lambda: True, *, everything: bool = True
) -> None:
    """Delete everything in a session's folder, and the folder; other people's files stay.

    everything: also what a person can't delete: the sign-outs, and the usage.

    `wanted` is asked again before each file that shows the session's use, under its lock.
    Raises StorageError if something could not be deleted.
    """
    with storage_errors():
        for name in list_files(folder, conversations.FILE):
            open_journal(Conversation, folder / name).delete(wanted)
        attached = _list_attachments(folder)
        if not wanted():
            return
        open_journal(Values, folder / VALUES_FILE).delete(wanted)
        if everything:  # the usage after the conversations: answers.py relies on it
            open_journal(Values, folder / SIGN_OUTS_FILE).delete(wanted)
            open_journal(usage.Usage, folder / usage.FILE).delete(wanted)
        now = _list_attachments(folder)  # what was attached meanwhile stays
        attachments.delete(folder, [name for name in now if attached.get(name) == now[name]])
        with suppress(OSError):  # there is something that is not ours, or is new
            folder.rmdir()


def last_used(folder: Path) -> float:
    """Return when something was last kept in the session's folder, in Unix seconds.

    Returns 0 where nothing is kept. Raises StorageError.
    """
    with storage_errors():
        return max(list_files(folder, _USED).values(), default=0) / 1e9


def _list_attachments(folder: Path) -> dict[str, int]:
    return list_files(folder / attachments.FOLDER, attachments.FILE)
