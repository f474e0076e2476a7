"""A conversation: turns, which are prompts with their answers, in a file of records."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from chatbot.branches import Branches
from chatbot.errors import Facts
from chatbot.file_kinds import File, files_from_json
from chatbot.journals import DeletedError, Journal
from chatbot.records import (
    Beat,
    Claim,
    Delete,
    End,
    Feedback,
    Prompt,
    Record,
    Shown,
    Text,
    Thought,
    from_line,
)
from chatbot.storage import MEBIBYTE

TITLE_LENGTH = 60  # characters
ENDED = ("complete", "stopped", "failed")  # states in which nobody adds to an answer
RATINGS = ("up", "down")
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
    written: when the newest record of its answer was written, in ISO 8601, for people to read.
    rating, comment: what a person thinks of the answer, as in records.Feedback.
    rated: when that was said, in ISO 8601, for people to read.
    assistant: the key of the assistant that was asked, as in assistants.toml, or "".
    thought: what the model thought before it answered, in all attempts, or "".
    thought_seconds: how long it did.
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
    written: str = ""
    rating: str = ""
    comment: str = ""
    rated: str = ""
    assistant: str = ""
    thought: str = ""
    thought_seconds: float = 0.0
    files: tuple[File, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nobody will add to the answer unless a person asks for it."""
        return self.state in ENDED


def assistant_of(turns: Sequence[Turn]) -> str:
    """Return the key of the assistant that a conversation of these turns is with, or ""."""
    return next((turn.assistant for turn in reversed(turns) if turn.assistant), "")


@dataclass(frozen=True)
class Versions:
    """The versions of a prompt, or of an answer.

    number: of the one that is shown, from 1.
    count: how many there are.
    previous, next: the turns to show instead, "" if there is none.
    """

    number: int
    count: int
    previous: str
    next: str


class Conversation(Journal):
    """The turns of a conversation.

    turns: those that are shown, in the order in which they were asked. Where a person has asked
        again, these are one of several branches: see branches.py.

    A text, beat or end counts only if its attempt is the turn's last one, and the turn has not
    ended.
    """

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def unfinished(self) -> list[Turn]:
        """The turns that were begun last, as far back as none has ended, whether shown or not.

        They are one in progress, and those that wait for it.
        """
        turns = self._begun
        first = len(turns)
        while first and not turns[first - 1].ended:
            first -= 1
        return turns[first:]

    @property
    def all_turns(self) -> list[Turn]:
        """All turns, shown or not, in the order in which they were asked."""
        return list(self._by_id.values())

    @property
    def is_forked(self) -> bool:
        """Whether there are turns that are not shown, in another branch."""
        return self._branches.forked

    @property
    def newest(self) -> str:
        """The id of the turn that was sent last, shown or not, or ""."""
        return next(reversed(self._by_id), "")

    def has(self, turn_id: str) -> bool:
        """Return whether there is a turn by that name, shown or not."""
        return turn_id in self._by_id

    def turn(self, turn_id: str) -> Turn:
        """Return the turn, shown or not; raises DeletedError if there is none by that name."""
        # Without the lock: somebody may hold it while the storage does not answer.
        turn = self._by_id.get(turn_id)
        if self.deleted or turn is None:
            raise DeletedError
        return turn

    def turns_to(self, turn_id: str) -> list[Turn]:
        """Return the turns that lead to this one, and this one. Raises DeletedError."""
        with self.lock:
            self.turn(turn_id)
            return [self._by_id[each] for each in self._branches.path_to(turn_id)]

    def end_of_branch(self, turn_id: str) -> str:
        """Return what a message follows that is sent where this turn is shown, or "".

        turn_id: "", or one that is not known, stands for the turns that are shown now.
        """
        with self.lock:
            if turn_id in self._by_id:
                return self._branches.end_of(turn_id)
            return self.turns[-1].id if self.turns else ""

    def before(self, turn_id: str) -> str:
        """Return which turn this one follows, branches.FIRST if none. Raises DeletedError."""
        with self.lock:
            return self._branches.before(self.turn(turn_id).id)

    def prompt_versions(self, turn_id: str) -> Versions:
        """Return the versions of the turn's prompt. Raises DeletedError."""
        with self.lock:
            return _versions(self._branches.prompts(self.turn(turn_id).id), turn_id)

    def answer_versions(self, turn_id: str) -> Versions:
        """Return the versions of the answer to the turn's prompt. Raises DeletedError."""
        with self.lock:
            return _versions(self._branches.answers(self.turn(turn_id).id), turn_id)

    def show(self, turn_id: str) -> None:
        """Show the turn, for every tab and from now on. Raises StorageError."""

        def decide() -> list[Record]:
            return [] if self.turn(turn_id) in self.turns else [Shown(turn_id)]

        self.update(decide)

    def rate(self, turn_id: str, rating: str | None = None, comment: str | None = None) -> None:
        """Keep what a person thinks of an answer; None leaves that as it is. Raises StorageError.

        rating: one of RATINGS, or "" to withdraw it, with the comment.
        """

        def decide() -> list[Record]:
            turn = self.turn(turn_id)
            new = turn.rating if rating is None else rating
            said = Feedback(
                turn_id, new, (turn.comment if comment is None else comment) * bool(new)
            )
            return [] if (turn.rating, turn.comment) == (said.rating, said.comment) else [said]

        self.update(decide)

    def clear(self) -> None:
        self.turns: list[Turn] = []
        self._by_id: dict[str, Turn] = {}
        self._branches = Branches()
        self._begun: list[Turn] = []  # as `unfinished` has them

    def apply(self, record: Record) -> None:
        match record:
            case Delete():
                return
            case Prompt():
                if record.turn in self._by_id:
                    raise ValueError("a second prompt of the same turn")
                turn = Turn(record.turn, record.text, record.model, written=self.written)
                turn.assistant = record.assistant
                turn.files = files_from_json(record.files)
                self._branches.add(turn.id, record.after, record.again)
                self._by_id[turn.id] = turn
                self._begun.append(turn)
                self._show_branch()
            case Shown():
                self._branches.show(record.turn)
                self._show_branch()
                return
            case Feedback():
                if record.rating not in (*RATINGS, ""):
                    raise ValueError("a rating of an unknown kind")
                turn = self._by_id[record.turn]
                turn.rating, turn.comment = record.rating, record.comment
                turn.rated = self.written
                return
            case Claim() | Text() | Thought() | Beat() | End():
                turn = self._by_id[record.turn]
                had_ended = turn.ended
                _apply_to_answer(turn, record)
                if not turn.ended or not had_ended:
                    turn.written = self.written
                if had_ended and not turn.ended and self._begun[-1] is not turn:
                    self._begun = [each for each in self._begun if each is not turn] + [turn]
            case _:
                raise TypeError("a record of another kind of file")
        turn.lines += 1

    def _show_branch(self) -> None:
        """Have `turns` be what is shown. Others may read it meanwhile, without the lock."""
        shown, turns = self._branches.shown, self.turns
        if len(shown) == len(turns) + 1 and (not turns or shown[-2] == turns[-1].id):
            turns.append(self._by_id[shown[-1]])
        else:
            self.turns = [self._by_id[each] for each in shown]


def _versions(turns: Sequence[str], turn_id: str) -> Versions:
    place = turns.index(turn_id)
    previous = turns[place - 1] if place else ""
    following = turns[place + 1] if place + 1 < len(turns) else ""
    return Versions(place + 1, len(turns), previous, following)


def _apply_to_answer(turn: Turn, record: Claim | Text | Thought | Beat | End) -> None:
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
        if turn.thought and not turn.thought.endswith("\n\n"):
            turn.thought += "\n\n"  # the next attempt thinks anew
    elif record.attempt != turn.attempt or turn.ended:
        return
    elif isinstance(record, Text):
        turn.answer += record.text
    elif isinstance(record, Thought):
        turn.thought += record.text
        turn.thought_seconds += max(0.0, record.seconds)
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


@lru_cache(maxsize=16_384)  # the first line never changes
def _read_title(path: Path) -> str:
    with path.open("rb") as file:
        record = from_line(json.loads(file.readline(MEBIBYTE)))
    if not isinstance(record, Prompt):
        raise TypeError("a conversation begins with a prompt")
    names = (file.name for file in files_from_json(record.files))
    words = " ".join(record.text.split()) or ", ".join(names)
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"
