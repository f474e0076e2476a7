"""Records come back from the lines that they were written as, and old lines are still read."""

import json
from dataclasses import fields

import pytest

from chatbot.records import (
    KINDS,
    Beat,
    Claim,
    Delete,
    End,
    Prompt,
    Record,
    Text,
    Value,
    from_line,
    to_line,
)

EXAMPLES: list[Record] = [
    Prompt("t1", "Grüß dich 👋", "nova"),
    Claim("t1", 1, "task-1/0a1b2c3d", "nova"),
    Text("t1", 1, "Hi\n"),
    Beat("t1", 1),
    End("t1", 1, "complete", "end_turn", {"messages": 9}, {"outputTokens": 3}),
    Value("settings", {"größe": [1, 2.5, None]}),
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


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_field_of_the_wrong_type_is_refused(record: Record) -> None:
    line = json.loads(to_line(record))
    for field in fields(record):
        if field.name != "value":  # which may be anything
            with pytest.raises(TypeError):
                from_line(line | {field.name: None})


def test_a_field_that_a_later_version_added_is_ignored() -> None:
    line = json.loads(to_line(Beat("t1", 1)))
    assert from_line(line | {"colour": "red"}) == Beat("t1", 1)


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_line(Value("name", value))
