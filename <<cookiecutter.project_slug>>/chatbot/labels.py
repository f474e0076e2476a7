"""What a person does with a whole chat: a title of their own, a pin, a deletion that can be undone.

A chat that has any of these has a label, a file of values beside its own file. So a rename leaves
the chat where it is in the list, costs nothing where nobody renames, and goes with the chat.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from chatbot import conversations
from chatbot.journals import open_journal
from chatbot.records import Record, Value
from chatbot.values import Values

TITLE_LENGTH = 100  # characters of a title that a person gives
ENDING = ".label.jsonl"
FILE = re.compile(conversations.FILE.pattern.removesuffix(r"\.jsonl") + re.escape(ENDING))
# Names of values, and what `DELETION` can be: it can be undone until it has begun.
TITLE, PINNED, DELETION = "title", "pinned", "deletion"
ASKED, BEGUN = "asked", "begun"
_REMEMBERED = 4096  # labels that this process keeps in memory


@dataclass(frozen=True)
class Label:
    """What a chat's label says.

    title: "" if the person gave none.
    deletion: ASKED, BEGUN or "".
    changes: how many lines say something of a deletion, which tells one from the next.
    """

    title: str = ""
    pinned: bool = False
    deletion: str = ""
    changes: int = 0


class LabelFile(Values):
    """A chat's label."""

    def clear(self) -> None:
        super().clear()
        self._changes = 0

    def apply(self, record: Record) -> None:
        super().apply(record)
        self._changes += isinstance(record, Value) and record.name == DELETION

    @property
    def label(self) -> Label:
        """What the label says, as it was last refreshed; anybody may have written the file."""
        title, deletion = self.values.get(TITLE), self.values.get(DELETION)
        return Label(
            clean_title(title) if isinstance(title, str) else "",
            self.values.get(PINNED) is True,
            deletion if deletion in (ASKED, BEGUN) else "",
            self._changes,
        )


def clean_title(text: str) -> str:
    """Return the title in one line, cut to TITLE_LENGTH."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"


def label_file(folder: Path, conversation_id: str) -> LabelFile:
    """Return the label of a conversation in the session's folder."""
    return open_journal(LabelFile, folder / f"{conversation_id}{ENDING}")


_remembered: OrderedDict[Path, tuple[int, Label]] = OrderedDict()
_lock = Lock()


def read_label(folder: Path, conversation_id: str, written: int) -> Label:
    """Return what a label says; it is read only if it was written to since it was read last.

    written: when the file was last written to, in Unix nanoseconds. Raises StorageError.
    """
    file = label_file(folder, conversation_id)
    with _lock:
        known = _remembered.get(file.path)
    if known and known[0] == written:
        return known[1]
    file.refresh()
    label = file.label
    with _lock:
        _remembered[file.path] = (written, label)
        _remembered.move_to_end(file.path)
        while len(_remembered) > _REMEMBERED:
            _remembered.popitem(last=False)
    return label


def forget_label(folder: Path, conversation_id: str) -> None:
    """Have the label read anew, as this process has changed it."""
    with _lock:
        _remembered.pop(label_file(folder, conversation_id).path, None)
