"""One person's session: conversations, files and small values in a folder that many tasks share."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

from chatbot import attachments, conversations, deletions, labels, usage
from chatbot.conversations import Conversation, is_conversation_id, title_of
from chatbot.journals import DeletedError, open_journal
from chatbot.labels import Label
from chatbot.records import Record, Value, to_line
from chatbot.storage import (
    StorageError,
    is_there,
    list_files,
    mark_root_seen,
    require_root,
    storage_errors,
)
from chatbot.values import Values

log = logging.getLogger(__name__)

HOUR = 3_600_000_000_000  # nanoseconds
UNDO_SECONDS = 10.0  # in which a person can undo that they deleted a chat
VALUES_FILE = "session.jsonl"
SIGN_OUTS_FILE = "sign-outs.jsonl"
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# What shows, by its time, that a session is in use.
_OTHERS = (VALUES_FILE, SIGN_OUTS_FILE, usage.FILE, attachments.FOLDER)
_CHATS = re.compile(f"{conversations.FILE.pattern}|{labels.FILE.pattern}")
_USED = re.compile("|".join([_CHATS.pattern, *map(re.escape, _OTHERS)]))


@dataclass(frozen=True)
class ConversationSummary:
    """A conversation as the list shows it.

    title: the person's own, or its first prompt, cut to length; "" if that can't be read.
    pinned: whether it comes first in the list.
    written: when it was last written to, in Unix nanoseconds.
    """

    id: str
    title: str
    pinned: bool = False
    written: int = 0


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
        """List the conversations, the one last written to first. Raises StorageError.

        Finishes deletions that another process has left behind.
        """
        written, known = self._chats()
        found = []
        for id_ in written:
            label = known.get(id_, Label())
            if label.deletion:
                self._finish_if_left(id_, label)
                continue
            title = label.title or title_of(self.folder / f"{id_}.jsonl")
            found.append(ConversationSummary(id_, title, label.pinned, written[id_]))
        for id_ in known.keys() - written.keys():  # a process ended between the two files
            if known[id_].deletion:
                self._finish_if_left(id_, known[id_])
        return found

    def newest_conversation(self) -> str:
        """Return the id of the conversation last written to, "" if there is none.

        Raises StorageError.
        """
        written, known = self._chats()
        return next((id_ for id_ in written if not known.get(id_, Label()).deletion), "")

    def _chats(self) -> tuple[dict[str, int], dict[str, Label]]:
        """Return when each conversation was last written to, the newest first; and the labels."""
        with storage_errors():
            files = list_files(self.folder, _CHATS)
            if files:
                mark_root_seen(self.folder.parent)
            else:
                require_root(self.folder.parent)
        written = {
            name.removesuffix(".jsonl"): files[name]
            for name in sorted(files, key=lambda name: (files[name], name), reverse=True)
            if not name.endswith(labels.ENDING)
        }
        known = {}
        for name in files:
            if name.endswith(labels.ENDING):
                id_ = name.removesuffix(labels.ENDING)
                known[id_] = labels.read_label(self.folder, id_, files[name])
        return written, known

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

    def last_known(self, name: str, default: Any = None) -> Any:
        """Return the value as this process has read it last, without asking the storage."""
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

    def change(self, name: str, make: Callable[[Any], Any]) -> Any:
        """Keep what `make` returns for the value kept by that name, or None; return that.

        Nobody changes the value meanwhile. Raises StorageError if it can't be kept.
        """

        def decide() -> list[Record]:
            old = self._values.values.get(name)
            new = make(old)
            return [] if new == old else [Value(name, new)]

        self._values.update(decide, create=True)
        return self._values.values.get(name)

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

    def title_of(self, conversation_id: str) -> str:
        """Return the conversation's title, as the list has it. Raises StorageError."""
        title = self._label(conversation_id).title
        return title or title_of(self.folder / f"{conversation_id}.jsonl")

    def conversation_size(self, conversation_id: str) -> int:
        """Return how many bytes the conversation's file has; 0 if there is none.

        Raises StorageError.
        """
        with storage_errors():
            try:
                return (self.folder / f"{conversation_id}.jsonl").stat().st_size
            except FileNotFoundError:
                return 0

    def rename_conversation(self, conversation_id: str, title: str) -> None:
        """Give the conversation a title; a blank one gives it its first words again.

        Raises StorageError.
        """
        self._set_label(conversation_id, labels.TITLE, labels.clean_title(title))

    def pin_conversation(self, conversation_id: str, pinned: bool) -> None:
        """Have the conversation come first in the list, or no longer. Raises StorageError."""
        self._set_label(conversation_id, labels.PINNED, pinned)

    def _set_label(self, conversation_id: str, name: str, value: object) -> None:
        if not is_conversation_id(conversation_id):
            raise ValueError("not a conversation id")
        file = labels.label_file(self.folder, conversation_id)
        with storage_errors():
            if not is_there(self.folder / f"{conversation_id}.jsonl"):  # deleted in another tab
                return
        old = {labels.TITLE: "", labels.PINNED: False}.get(name)
        file.update(
            lambda: [] if file.values.get(name, old) == value else [Value(name, value)],
            create=True,
        )
        labels.forget_label(self.folder, conversation_id)

    def remove_conversation(self, conversation_id: str) -> bool:
        """Take the conversation out of the list, and delete it after UNDO_SECONDS.

        Returns whether that can be undone: where there is no room left for a line that says so, the
        conversation is deleted at once. Raises StorageError.
        """
        file = labels.label_file(self.folder, conversation_id)
        try:
            self._set_label(conversation_id, labels.DELETION, labels.ASKED)
        except StorageError as error:
            if error.code != "full":  # people delete because the disk is full
                raise
            self.delete_conversation(conversation_id)
            return False
        timer = Timer(UNDO_SECONDS, self._finish, (conversation_id, file.label))
        timer.daemon = True
        timer.start()
        return True

    def bring_back(self, conversation_id: str) -> bool:
        """Undo that the conversation was removed; return whether it is there again.

        Raises StorageError.
        """
        file = labels.label_file(self.folder, conversation_id)
        try:
            file.update(
                lambda: [Value(labels.DELETION, "")] if file.label.deletion == labels.ASKED else []
            )
        except DeletedError:
            return False
        labels.forget_label(self.folder, conversation_id)
        return not file.label.deletion

    def is_removed(self, conversation_id: str) -> bool:
        """Return whether the conversation was removed, and is perhaps not deleted yet.

        Raises StorageError.
        """
        file = labels.label_file(self.folder, conversation_id)
        file.refresh()  # its time is not enough: an NFS client remembers that for seconds
        return bool(file.label.deletion)

    def finish_removals(self, before: float) -> None:
        """Delete for good what was removed before that time, in Unix seconds. Raises StorageError.

        For what a process has left behind that ended meanwhile.
        """
        with storage_errors():
            files = list_files(self.folder, labels.FILE)
        for name, written in files.items():
            id_ = name.removesuffix(labels.ENDING)
            label = labels.read_label(self.folder, id_, written)
            if written < before * 1e9 and label.deletion:
                self._finish(id_, label)

    def _label(self, conversation_id: str) -> Label:
        path = self.folder / f"{conversation_id}{labels.ENDING}"
        with storage_errors():
            try:
                written = path.stat().st_mtime_ns
            except FileNotFoundError:
                return Label()
        return labels.read_label(self.folder, conversation_id, written)

    def _finish_if_left(self, conversation_id: str, label: Label) -> None:
        """Delete what was removed, if this process knows that for longer than it can be undone.

        No clock counts: the other process's may be wrong.
        """
        path = labels.label_file(self.folder, conversation_id).path
        changes, since = _seen.get(path, (0, 0.0))
        if changes != label.changes:  # it was undone, and removed again
            since = time.monotonic()
            _seen[path] = label.changes, since
        if label.deletion == labels.BEGUN or time.monotonic() - since > UNDO_SECONDS:
            self._finish(conversation_id, label)

    def _finish(self, conversation_id: str, label: Label) -> None:
        """Delete what was removed, unless that was undone, and perhaps done again since.

        label: what it said when that was begun.
        """
        file = labels.label_file(self.folder, conversation_id)

        def is_asked() -> bool:
            return file.label.deletion == labels.ASKED and file.label.changes == label.changes

        try:
            try:
                file.update(lambda: [Value(labels.DELETION, labels.BEGUN)] if is_asked() else [])
            except StorageError as error:
                if error.code != "full":
                    raise
            if file.label.deletion == labels.BEGUN or is_asked():
                self.delete_conversation(conversation_id)
        except DeletedError:  # another process has done it
            pass
        except StorageError as error:  # the next look at the list tries it again
            log.warning("A chat that was removed is not deleted yet: %s", error)
        labels.forget_label(self.folder, conversation_id)
        _seen.pop(file.path, None)

    def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation at once. Raises StorageError if it could not be deleted."""
        conversation = self.conversation(conversation_id)
        deletions.remember(self.folder, conversation_id)
        conversation.refresh()
        files = {file.hash for turn in conversation.all_turns for file in turn.files}
        if files:  # first, so that none is left if this process ends; others may have the same
            in_others = partial(find_used, self.folder, but=conversation.path.name)
            with storage_errors():
                attachments.delete_unused(self.folder, files, in_others)
        conversation.delete()
        labels.label_file(self.folder, conversation_id).delete()
        labels.forget_label(self.folder, conversation_id)


# Labels of removed chats, with their `changes`, and since when this process knows.
_seen: dict[Path, tuple[int, float]] = {}


def stamp_of(chats: Iterable[ConversationSummary]) -> str:
    """Return what changes when the list of chats does, as a person sees it.

    A chat that is the newest and grows changes it once an hour.
    """
    shown = "\n".join(
        f"{chat.id} {chat.pinned} {chat.written // HOUR} {chat.title}" for chat in chats
    )
    return hashlib.blake2s(shown.encode("utf-8", "replace"), digest_size=8).hexdigest()


def delete_unused_files(folder: Path, before: float) -> None:
    """Delete a session's files that were kept before that time, and that nothing names.

    They are those of messages that were never sent. before: Unix seconds. Raises StorageError.
    """
    with storage_errors():
        idle = attachments.list_idle(folder, before)
        if not idle:
            return
        status = folder.stat()
        attachments.delete_unused(folder, idle, partial(find_used, folder))
        for each in (folder, folder / attachments.FOLDER):  # this was no use of the session
            with suppress(FileNotFoundError):
                os.utime(each, ns=(status.st_atime_ns, status.st_mtime_ns))


def find_used(folder: Path, but: str = "") -> set[str]:
    """Return the hashes that the session's conversations and values name.

    but: the name of a conversation's file that does not count. Raises OSError.
    """
    used: set[str] = set()
    for name in {*list_files(folder, conversations.FILE), VALUES_FILE} - {but}:
        with suppress(FileNotFoundError):
            used |= hashes_in((folder / name).read_bytes())
    return used


def hashes_in(content: bytes) -> set[str]:
    """Return all in a file's content that may be the hash of an attachment."""
    return {each.decode() for each in _HASH.findall(content)}


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
        for name in list_files(folder, labels.FILE):
            open_journal(labels.LabelFile, folder / name).delete(wanted)
        attached = _list_attachments(folder)
        if not wanted():
            return
        open_journal(Values, folder / VALUES_FILE).delete(wanted)
        if everything:  # the usage after the conversations: answers.py relies on it
            open_journal(Values, folder / SIGN_OUTS_FILE).delete(wanted)
            open_journal(usage.Usage, folder / usage.FILE).delete(wanted)
        now = _list_attachments(folder)  # what was attached meanwhile stays
        old = [name for name in now if attached.get(name) == now[name]]
        if not everything:  # so does what a message names that was sent meanwhile, in a new chat
            attachments.delete_unused(folder, old, partial(find_used, folder))
            old = []
        attachments.delete(folder, old)
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
