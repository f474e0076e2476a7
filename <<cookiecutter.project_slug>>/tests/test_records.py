"""Records come back from the lines that they were written as, and old lines are still read."""

import json
from dataclasses import asdict, fields

import pytest

from chatbot.records import (
    KINDS,
    Beat,
    Claim,
    Delete,
    End,
    Feedback,
    Owner,
    Prompt,
    Record,
    Shown,
    Text,
    Thought,
    Used,
    Value,
    from_line,
    to_line,
)

EXAMPLES: list[Record] = [
    Prompt("t1", "Grüß dich 👋", "nova", assistant="writing"),
    Prompt("t2", "Noch einmal", "nova", after="-", again="t1"),
    Shown("t1"),
    Feedback("t1", "down", "Nicht gut"),
    Claim("t1", 1, "task-1/0a1b2c3d", "nova"),
    Text("t1", 1, "Hi\n"),
    Thought("t1", 1, "Hm.\n", 2.5),
    Beat("t1", 1),
    End("t1", 1, "complete", "end_turn", {"messages": 9}, {"outputTokens": 3}, 5),
    Value("settings", {"größe": [1, 2.5, None]}),
    Used("2026-11-26", "nova", 1200, 300, 0.0125),
    Owner("https://login.example.com", "0a1b", "Ada Lovelace"),
    Delete(),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_its_line(record: Record) -> None:
    line = to_line(record)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert from_line(json.loads(line)) == record


def test_there_is_an_example_of_each_kind() -> None:
    assert {type(example) for example in EXAMPLES} == set(KINDS.values())


def test_a_line_tells_version_time_and_kind_and_leaves_out_defaults() -> None:
    line = json.loads(to_line(End("t1", 1, "stopped", "person")))
    assert list(line) == ["v", "at", "type", "turn", "attempt", "state", "code"]
    assert (line["v"], line["type"], line["at"][-6:]) == (1, "end", "+00:00")


def test_kinds_that_a_version_before_does_not_know_tell_their_own() -> None:
    versions = {
        json.loads(to_line(each))["type"]: json.loads(to_line(each))["v"] for each in EXAMPLES
    }
    assert {kind for kind, version in versions.items() if version > 1} == {
        "shown",
        "feedback",
        "thought",
    }


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_field_of_the_wrong_type_is_refused(record: Record) -> None:
    line = json.loads(to_line(record))
    for field in fields(record):
        if field.name != "value":  # which may be anything
            with pytest.raises(TypeError):
                from_line(line | {field.name: None})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "1e300"])
@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_number_with_which_nobody_can_reckon_is_refused(record: Record, number: str) -> None:
    line = json.loads(to_line(record))
    for field in fields(record):
        if isinstance(getattr(record, field.name), int | float):
            with pytest.raises((TypeError, ValueError)):
                from_line(line | {field.name: json.loads(number)})


@pytest.mark.parametrize("value", [[], {}, None, 1.5, float("nan"), 10**400])
def test_a_fact_of_another_type_is_left_out(value: object) -> None:
    line = json.loads(to_line(End("t1", 1, "stopped", "x", {"messages": 9}, {"outputTokens": 3})))
    for field in ("facts", "usage"):
        changed = line | {field: line[field] | {"by": value}}
        assert from_line(changed) == from_line(line)


def test_a_field_that_a_later_version_added_is_ignored() -> None:
    line = json.loads(to_line(Beat("t1", 1)))
    assert from_line(line | {"colour": "red"}) == Beat("t1", 1)


HALVES = "a\ud83d\ude00\ud83db\ude00"
WHOLE = "a\U0001f600\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("record", "cleaned"),
    [
        (Prompt("t1", HALVES), Prompt("t1", WHOLE)),
        (Text("t1", 1, HALVES), Text("t1", 1, WHOLE)),
        (
            End("t1", 1, "failed", HALVES, {"by": HALVES}),
            End("t1", 1, "failed", WHOLE, {"by": WHOLE}),
        ),
        (Value(HALVES, {HALVES: [HALVES]}), Value(WHOLE, {WHOLE: [WHOLE]})),
    ],
)
def test_halves_of_surrogate_pairs_are_cleaned_in_both_directions(
    record: Record, cleaned: Record
) -> None:
    line = json.loads(to_line(record))
    assert from_line(line) == cleaned
    by_somebody_else = json.loads(json.dumps(line | asdict(record)))
    assert from_line(by_somebody_else) == cleaned


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_line(Value("name", value))
