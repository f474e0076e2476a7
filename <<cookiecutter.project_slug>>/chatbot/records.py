"""What is on the disk: one class per kind of record, and the line of JSON that it becomes.

Every line has `v` (the version of this schema that brought its kind), `at` (when it was written, by
the writer's clock, for people to read) and `type` (the kind of record), then the fields of the
record's class. A field that has its default value is left out.
"""

import json
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, get_origin, get_type_hints

from chatbot.errors import Facts
from chatbot.text import clean, clean_json

VERSION = 2
# Kinds of records that came after version 1. An older version counts their lines and says so. It
# ignores a new field of an older kind, so such a field must not change what the others mean.
_SINCE: dict[str, int] = {"shown": 2, "feedback": 2, "thought": 2}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A person asked something.

    turn: names the prompt and its answer within the conversation.
    text: what was asked.
    model: the key of the model that was chosen then, as in models.toml.
    after: the turn that it follows, "-" if it is the first of a conversation; "": the one before
        it in the file. Turns that follow the same one are versions: one of them is shown.
    again: the turn whose prompt it repeats, to get another answer, or "".
    assistant: the key of the assistant that was asked, as in assistants.toml; "" if there was none.
    files: what was attached: hash, name, kind and size, as in chatbot/file_kinds.py.
    """

    turn: str
    text: str
    model: str = ""
    after: str = ""
    again: str = ""
    assistant: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shown:
    """A person wants to see this turn, instead of others that follow the same one."""

    turn: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person thinks of an answer; the last record of a turn counts.

    rating: "up", "down", or "" if it was withdrawn.
    comment: in the person's words, or "".
    """

    turn: str
    rating: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """From here on, only this writer adds to the turn's answer.

    attempt: counts the claims of the turn, from 1.
    writer: names the Assistant that answers.
    model: the key of the model that answers.
    instead_of: the key of the model that was asked first, and had no room for the question.
    """

    turn: str
    attempt: int
    writer: str
    model: str
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    turn: str
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The next piece of what the model thinks before it answers.

    seconds: for how long it has thought since it was asked, or since the piece before.
    """

    turn: str
    attempt: int
    text: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Beat:
    """The writer is alive, though the model is silent."""

    turn: str
    attempt: int


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows in this attempt.

    state: "complete", "stopped", "failed", or "released" by a process that had to end.
    code: why. If complete, the model's stop reason, or "empty"; if stopped, "person" or
        "superseded"; if failed, the code of a ModelError, or "interrupted".
    facts: what the sentence about it needs, such as {"messages": 9}.
    usage: tokens by kind, as the model reported them.
    sent_turns: how many turns these tokens are for: this one and those before it; 0 if unknown.
    reason, notice: what older versions wrote: a code, and an English sentence.
    """

    turn: str
    attempt: int
    state: str
    code: str = ""
    facts: Facts = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    sent_turns: int = 0
    reason: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A small value of the session's own; the last record with its name counts."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Used:
    """What a process used for an answer, or for the part of it that it wrote.

    day: when that ended, by UTC, such as "2026-11-26".
    model: the key of the model, as in models.toml.
    sent, written: tokens that the model was sent, cached ones included, and that it wrote; if it
        did not report them, they are estimated by the length of the text.
    cost: US dollars; 0 if the model's prices are not known.
    cached: how many of the tokens that the model was sent came from its cache.
    """

    day: str
    model: str
    sent: int
    written: int
    cost: float = 0.0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose usage it is, from here on: somebody who has signed in.

    issuer, subject: who it is, as the sign-in provider says.
    name: for people to read; it may change.
    """

    issuer: str
    subject: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """The file is about to be deleted."""


Record = (
    Prompt | Claim | Text | Thought | Beat | End | Value | Used | Owner | Delete | Shown | Feedback
)
KINDS: dict[str, type[Record]] = {
    "prompt": Prompt,
    "claim": Claim,
    "text": Text,
    "thought": Thought,
    "beat": Beat,
    "end": End,
    "value": Value,
    "used": Used,
    "owner": Owner,
    "delete": Delete,
    "shown": Shown,
    "feedback": Feedback,
}
_TYPES = {kind: name for name, kind in KINDS.items()}


def _default(each: Any) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


LARGEST = 2**53  # of the numbers in a record: no sum or product of some of these is infinite
# What a value must be an instance of, and the default, by class and field.
_FIELDS = {
    kind: [
        (each.name, get_origin(hint) or (object if hint is Any else hint), _default(each))
        for each in fields(kind)
        for hint in [get_type_hints(kind)[each.name]]
    ]
    for kind in KINDS.values()
}
# What each value in a field's object must be an instance of; another one is left out.
_WITHIN: dict[str, Any] = {"facts": str | int, "usage": int}


def to_line(record: Record) -> bytes:
    """Return the record as a line; raises ValueError or TypeError if a value is not JSON."""
    kind = _TYPES[type(record)]
    line = {"v": _SINCE.get(kind, 1), "at": _now(), "type": kind}
    for name, _, default in _FIELDS[type(record)]:
        value = getattr(record, name)
        if value != default:
            line[name] = value
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return clean(text).encode() + b"\n"


def from_line(line: dict[str, Any]) -> Record:
    """Return the record that a line of JSON holds.

    Its text is cleaned, because a line that somebody else wrote may hold half of a surrogate pair.
    `at` and fields that are not known are ignored. Raises KeyError, TypeError or ValueError if the
    line is no record.
    """
    kind = KINDS[line["type"]]
    values: dict[str, Any] = {}
    for name, type_, _ in _FIELDS[kind]:
        if name in line:
            value = values[name] = clean_json(line[name])
            if not isinstance(line[name], type_):
                raise TypeError(f"{name} has the wrong type")
            if type_ in (int, float) and not _can_be(value):
                raise ValueError(f"{name} is no number that can be")
            if name in _WITHIN:
                values[name] = {
                    each: fact
                    for each, fact in value.items()
                    if isinstance(fact, _WITHIN[name]) and _can_be(fact)
                }
    return kind(**values)


def _can_be(value: str | float) -> bool:
    """Return whether that is a text, or a number with which somebody can reckon."""
    return isinstance(value, str) or -LARGEST <= value <= LARGEST


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
