"""What people think of answers, as a CSV file for whoever runs the chatbot.

`python -m chatbot feedback` is the command; docs/data.md describes it.
"""

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chatbot import conversations
from chatbot.conversations import Conversation
from chatbot.identity import is_session_folder
from chatbot.storage import StorageError, list_files, storage_errors
from chatbot.text import as_cell

log = logging.getLogger(__name__)

COLUMNS = ("Conversation", "Turn", "Model", "Rating", "Comment", "When")
_SIGN = b'"feedback"'  # is in a file that has any


@dataclass(frozen=True)
class Rated:
    """What a person thinks of an answer.

    conversation, turn: their ids.
    model: the key of the model that answered.
    rating: "up" or "down". comment: in the person's words, or "".
    when: it was said, in ISO 8601, by the clock of the task that kept it.
    """

    conversation: str
    turn: str
    model: str
    rating: str
    comment: str
    when: str


def read_feedback(root: Path) -> Iterator[Rated]:
    """Yield what people think of answers, by session and conversation.

    root: the folder of all sessions. What can't be read is left out, and the log says so. Raises
    StorageError if that folder can't be read.
    """
    with storage_errors():
        folders = sorted(each for each in root.iterdir() if is_session_folder(each.name))
    for folder in folders:
        try:
            with storage_errors():
                names = sorted(list_files(folder, conversations.FILE))
            for name in names:
                yield from _read(folder / name)
        except StorageError as error:
            log.warning("The feedback of session %s was left out: %s", folder.name[:8], error)


def _read(path: Path) -> list[Rated]:
    with storage_errors():
        if path.is_symlink() or _SIGN not in path.read_bytes():
            return []
    conversation = Conversation(path)
    conversation.refresh()
    return [
        Rated(conversation.id, turn.id, turn.model, turn.rating, turn.comment, turn.rated)
        for turn in conversation.all_turns
        if turn.rating and not conversation.deleted
    ]


def to_csv(feedback: Iterator[Rated]) -> Iterator[str]:
    """Yield the lines of a CSV file, the names of the columns first."""
    yield _line(COLUMNS)
    for each in feedback:
        words = (each.conversation, each.turn, each.model, each.rating, each.comment, each.when)
        yield _line(tuple(as_cell(_on_one_line(word)) for word in words))


def _line(words: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(words)
    return text.getvalue()


def _on_one_line(text: str) -> str:
    """Return the text without what could do something to a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)
