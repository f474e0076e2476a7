"""A conversation: turns, which are prompts with their answers, in a file of records."""

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from chatbot.errors import Facts
from chatbot.file_kinds import File, files_from_json
from chatbot.journals import DeletedError, Journal
from chatbot.records import Beat, Claim, Delete, End, Prompt, Record, Text, from_line
from chatbot.storage import MEBIBYTE

TITLE_LENGTH = 60  # characters
ENDED = ("complete", "stopped", "failed")  # states in which nobody adds to an answer
_ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")
FILE = re.compile(_ID.pattern + r"\.jsonl")


def new_conversation_id() -> str:
    """Make a conversation id.

    The UTC time in it is for people who look at the files. Nothing compares it, because the task's
    clock may be wrong; the random part makes the id unique.
    """
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


def is_conversation_id(value: object) -> bool:
    """Return whether the value, which may come from an address, is formed like an id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def new_turn_id() -> str:
    """Make a turn id."""
    return secrets.token_hex(8)


@dataclass
class Turn:
    """A prompt and its answer.

    id: names the turn within its conversation.
    prompt, answer: text; the answer grows while the state is "open".
    model: the key of the model that answers, or that was chosen for it, as in models.toml.
    instead_of: the key of the model for which that one stands in, or "".
    attempt: how many times the answer was begun; only the writer of the last attempt may add to it.
    tries: how many of these since a person asked for the answer, or asked for it again; a model
        that stands in for another one does not count.
    writer: which Assistant writes, or wrote, the last attempt; "" before the first one.
    state: "open", "complete", "stopped", "failed", or "released" by a process that had to end.
    code, facts: why it ended, as in records.End.
    notice: the sentence that an older version stored in their place, or "".
    usage, sent_turns: tokens by kind, and for how many turns, as in records.End.
    lines: how many records of the turn this process has read.
    files: what was attached to the prompt.
    """

    id: str
    prompt: str
    model: str = ""
    instead_of: str = ""
    attempt: int = 0
    tries: int = 0
    writer: str = ""
    answer: str = ""
    state: str = "open"
    code: str = ""
    facts: Facts = field(default_factory=dict)
    notice: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    sent_turns: int = 0
    lines: int = 0
    files: tuple[File, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nobody will add to the answer unless a person asks for it."""
        return self.state in ENDED


class Conversation(Journal):
    """The turns of a conversation, in the order in which they were asked.

    A text, beat or end counts only if its attempt is the turn's last one, and the turn has not
    ended.
    """

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def unfinished(self) -> list[Turn]:
        """The newest turns, as far back as none has ended: one in progress, and who wait for it."""
        turns = self.turns
        first = len(turns)
        while first and not turns[first - 1].ended:
            first -= 1
        return turns[first:]

    def turn(self, turn_id: str) -> Turn:
        """Return the turn; raises DeletedError if there is none by that name."""
        # Without the lock: somebody may hold it while the storage does not answer.
        turn = self._by_id.get(turn_id)
        if self.deleted or turn is None:
            raise DeletedError
        return turn

    def clear(self) -> None:
        self.turns: list[Turn] = []
        self._by_id: dict[str, Turn] = {}

    def apply(self, record: Record) -> None:
        match record:
            case Delete():
                return
            case Prompt():
                if record.turn in self._by_id:
                    raise ValueError("a second prompt of the same turn")
                turn = Turn(record.turn, record.text, record.model)
                turn.files = files_from_json(record.files)
                self._by_id[turn.id] = turn
                self.turns.append(turn)
            case Claim() | Text() | Beat() | End():
                turn = self._by_id[record.turn]
                _apply_to_answer(turn, record)
            case _:
                raise TypeError("a record of another kind of file")
        turn.lines += 1


def _apply_to_answer(turn: Turn, record: Claim | Text | Beat | End) -> None:
    if isinstance(record, Claim):
        if record.attempt <= turn.attempt:
            raise ValueError("a claim that comes too late")
        if turn.state == "failed":
            turn.tries = 1
        elif record.model == turn.model or not record.instead_of:
            turn.tries += 1
        turn.writer, turn.model, turn.attempt = record.writer, record.model, record.attempt
        turn.instead_of = record.instead_of
        turn.state, turn.code, turn.facts, turn.notice = "open", "", {}, ""
    elif record.attempt != turn.attempt or turn.ended:
        return
    elif isinstance(record, Text):
        turn.answer += record.text
    elif isinstance(record, End):
        if record.state not in (*ENDED, "released"):
            raise ValueError("an end of an unknown kind")
        turn.state, turn.code = record.state, record.code or record.reason
        turn.facts, turn.notice = record.facts, record.notice
        turn.usage, turn.sent_turns = record.usage, record.sent_turns


def title_of(path: Path) -> str:
    """Return the title of the conversation in the file: its first prompt, cut to TITLE_LENGTH.

    Returns "" if the first line can't be read.
    """
    try:
        return _read_title(path)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""


@lru_cache(maxsize=4096)  # the first line never changes
def _read_title(path: Path) -> str:
    with path.open("rb") as file:
        record = from_line(json.loads(file.readline(MEBIBYTE)))
    if not isinstance(record, Prompt):
        raise TypeError("a conversation begins with a prompt")
    names = (file.name for file in files_from_json(record.files))
    words = " ".join(record.text.split()) or ", ".join(names)
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"
