"""Every code has its sentence, and a file that somebody else wrote can't break one."""

import re

import pytest
from support.store import append

from chatbot.conversations import Conversation, Turn
from chatbot.errors import ChatbotError
from chatbot.journals import DeletedError
from chatbot.models import ModelError, TooLongError
from chatbot.page import wording
from chatbot.records import Claim, End, Prompt
from chatbot.settings import ROOT, SettingsError
from chatbot.storage import StorageError


def ended(state: str, code: str, **facts: str | int) -> Turn:
    return Turn("t1", "Hello", state=state, code=code, facts=facts)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StorageError("full", errno="ENOSPC"), "no room left in the folder for conversations (EN"),
        (StorageError("read_only", errno="EROFS"), "can only be read"),
        (StorageError("forbidden", errno="EACCES"), "may not be used by this program"),
        (StorageError("missing", errno="ENOENT"), "or a file in it, is missing"),
        (StorageError("timeout", errno="ETIMEDOUT"), "did not answer in time"),
        (StorageError("attachment_too_large", megabytes=10), "up to 10 MB"),
        (StorageError("attachment_missing"), "no such file"),
        (StorageError("attachment_damaged"), "is damaged"),
        (DeletedError(), "This conversation was deleted."),
        (ModelError("throttled"), "too many requests"),
        (ModelError("denied"), "may not use this model"),
        (ModelError("no_such_model"), "does not exist"),
        (ModelError("refused"), "refused the request"),
        (ModelError("credentials"), "no valid AWS credentials"),
        (ModelError("no_region"), "no valid AWS region"),
        (ModelError("daily_quota"), "for today"),
        (ModelError("form_missing"), "form with use case details"),
        (ModelError("needs_profile"), "inference profile"),
        (ModelError("no_access"), "no access to this model"),
        (ModelError("retired"), "no longer offered"),
        (ModelError("network"), "over the network"),
        (ModelError("unavailable"), "not available"),
        (ModelError("timeout"), "did not answer in time"),
        (ModelError("broke_off"), "broke off"),
        (ModelError("other"), "unexpected fault"),
        (TooLongError(), "too long for this model"),
    ],
)
def test_an_error_is_explained(error: ChatbotError, sentence: str) -> None:
    assert sentence in wording.error(error)


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        (ended("complete", "max_tokens"), "limit of length"),
        (ended("complete", "guardrail_intervened"), "guardrail"),
        (ended("complete", "guardrail_intervened"), "no longer sees this message and its answer"),
        (ended("complete", "refusal"), "no longer sees this message and its answer"),
        (ended("complete", "content_filtered"), "content filter"),
        (ended("complete", "model_context_window_exceeded"), "memory"),
        (ended("complete", "something_new"), "unexpected way"),
        (ended("complete", "empty"), "empty answer"),
        (ended("complete", "end_turn", messages=9), "only the newest 9 messages"),
        (ended("failed", "throttled", error="ThrottlingException"), "too many requests"),
        (ended("failed", "interrupted"), "interrupted several times"),
    ],
)
def test_an_end_is_explained(turn: Turn, sentence: str) -> None:
    assert sentence in wording.end(turn)


@pytest.mark.parametrize("code", ["end_turn", "stop_sequence"])
def test_an_ordinary_end_needs_no_comment(code: str) -> None:
    assert wording.end(ended("complete", code)) == ""


def test_every_code_in_the_source_has_its_sentence() -> None:
    kinds = ("Model", "Storage", "Settings", "Limit", "File")
    found: dict[str, set[str]] = {kind: set() for kind in kinds}
    for file in (ROOT / "chatbot").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for kind, code in re.findall(rf'\b({"|".join(kinds)})Error\(\s*"(\w+)"', source):
            found[kind].add(code)
    for name in ("bedrock", "storage"):
        source = (ROOT / "chatbot" / f"{name}.py").read_text(encoding="utf-8")
        [table] = re.findall(r"^_CODES = \{(.*?)^\}", source, re.DOTALL | re.MULTILINE)
        found["Model" if name == "bedrock" else "Storage"] |= set(re.findall(r': "(\w+)"', table))
        for reasons in re.findall(r"^_REASONS = \{(.*?)^\}", source, re.DOTALL | re.MULTILINE):
            found["Model"] |= set(re.findall(r'^    "(\w+)":', reasons, re.MULTILINE))
        for codes in re.findall(r"^ +code(?:, name)? = (.*)", source, re.MULTILINE):
            found["Model"] |= set(re.findall(r'(?<![(\w])"(\w+)"(?! in)', codes))
    assert all(found.values())
    assert found["Model"] <= set(wording._MODEL)
    assert found["Storage"] <= set(wording._STORAGE)
    of_assistants = {code for code in found["Settings"] if code.startswith("assistants_")}
    assert found["Settings"] - of_assistants <= set(wording._SETTINGS)
    assert of_assistants <= set(wording._ASSISTANTS)
    assert found["File"] <= set(wording._FILES)
    facts = {"file": "f", "table": "t", "name": "n", "value": "v", "reason": "r"}
    for code in of_assistants:
        sentence = wording.error(SettingsError(code, most=1, limit=2, **facts))
        assert sentence != wording.error(SettingsError("assistants_"))
    assert found["Limit"] <= set(wording._LIMITS)


@pytest.mark.parametrize(
    "end",
    [
        End("t1", 1, "failed", "of a later version"),
        End("t1", 1, "failed", "throttled", {"error": "{0}{messages.__class__}"}),
        End("t1", 1, "complete", "{0}", {"messages": "{}"}),
        End("t1", 1, "complete", "max_tokens", {"": 1}),
    ],
)
def test_no_end_on_the_disk_breaks_the_page(conversation: Conversation, end: End) -> None:
    append(conversation, Prompt("t2", "More"), Claim("t2", 1, "w", "m"))
    append(conversation, End("t2", 1, end.state, end.code, end.facts))
    assert wording.end(conversation.turns[-1]).endswith((".", "{} messages of it."))


def test_the_sentence_that_an_older_version_stored_is_still_shown(
    conversation: Conversation,
) -> None:
    append(conversation, Prompt("t2", "More"), Claim("t2", 1, "w", "m"))
    notice = "Too many people ask."
    append(conversation, End("t2", 1, "failed", reason="ThrottlingException", notice=notice))
    turn = conversation.turns[-1]
    assert (turn.code, wording.end(turn)) == ("ThrottlingException", notice)


def test_an_error_without_its_facts_still_has_a_sentence() -> None:
    assert "storage of conversations failed" in wording.error(StorageError("full"))
