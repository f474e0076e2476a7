"""What answers use is added up by person, day and model, and a limit of it holds."""

import fcntl
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

import pytest
from support.bedrock import BedrockStandIn, Fail, Refuse, Silence
from support.store import append, new_session

from chatbot import usage
from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.conversations import Conversation, Turn, new_conversation_id
from chatbot.identity import Person
from chatbot.models import load_models
from chatbot.records import Used
from chatbot.retention import DAY
from chatbot.sessions import Session, delete_session, last_used
from chatbot.storage import StorageError
from chatbot.usage import LimitError, Row, list_rows

MODELS = load_models()
CHEAP, DEAR = list(MODELS)[:2]
ADA = Person("https://login.example.com", "ada", "Ada Lovelace")


@pytest.fixture
def open_assistant(bedrock: BedrockStandIn) -> Callable[..., Assistant]:
    """Start a task with a limit of so many tokens a day; 0 is none."""
    models = MODELS | {DEAR: replace(MODELS[DEAR], input_price=3, output_price=15)}

    def start(limit: int = 0) -> Assistant:
        return Assistant(Bedrock("us-east-1"), models, "Be kind.", daily_tokens=limit)

    return start


@pytest.fixture
def assistant(open_assistant: Callable[..., Assistant]) -> Assistant:
    return open_assistant()


@pytest.fixture
def conversation(session: Session) -> Conversation:
    return session.conversation(new_conversation_id())


def answer(
    assistant: Assistant, conversation: Conversation, prompt: str = "Hello", model: str = CHEAP
) -> Turn:
    """Ask, and wait until the answer has ended and its usage is recorded."""
    turn = assistant.ask(conversation, prompt, model)
    *_, last = assistant.follow(conversation, turn)
    wait(assistant)
    return last.turn


def wait(assistant: Assistant) -> None:
    """Wait until the usage of all answers that have ended is recorded."""
    assistant.close()


def wait_until_it_answers(assistant: Assistant, conversation: Conversation, turn: str) -> None:
    next(each for each in assistant.follow(conversation, turn) if each.turn.answer)


def rows(session: Session) -> list[Row]:
    """Read what that session has used, as an administrator does."""
    return [row for row in list_rows(session.folder.parent) if row.session == session.id]


def tell(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock to noon of that day, by UTC."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromisoformat(f"{day}T12:00").replace(tzinfo=tz)

    monkeypatch.setattr(usage, "datetime", Clock)


def test_tokens_are_added_up_by_day_and_model_and_cost_what_both_prices_say(
    session: Session,
    conversation: Conversation,
    assistant: Assistant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tell("2026-11-25", monkeypatch)
    first = answer(assistant, conversation)
    second = answer(assistant, session.conversation(new_conversation_id()))
    tell("2026-11-26", monkeypatch)
    third = answer(assistant, conversation, model=DEAR)
    new, *_, old = rows(session)
    assert len(rows(session)) == 2
    assert (old.day, old.model, old.total.answers) == ("2026-11-25", CHEAP, 2)
    assert old.total.sent == first.usage["inputTokens"] + second.usage["inputTokens"]
    assert old.total.written == first.usage["outputTokens"] + second.usage["outputTokens"]
    assert old.total.cost == 0  # the prices are not known
    assert (new.day, new.model, new.total.answers) == ("2026-11-26", DEAR, 1)
    sent, written = third.usage["inputTokens"], third.usage["outputTokens"]
    assert new.total.cost == pytest.approx((sent * 3 + written * 15) / 1_000_000)


def test_a_stopped_answer_counts_by_the_length_of_what_was_sent_and_received(
    session: Session, conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("x" * 2000, more, "GHOST")
    turn = assistant.ask(conversation, "y" * 3000, CHEAP)
    wait_until_it_answers(assistant, conversation, turn)
    assistant.stop(conversation, turn)
    wait(assistant)
    more.set()
    [row] = rows(session)
    assert 1500 <= row.total.sent <= 1510  # with "Be kind."
    assert row.total.written == 1000


def test_an_answer_that_fails_halfway_counts_and_one_that_was_refused_does_not(
    session: Session, conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Refuse(429, "ThrottlingException"))
    assert answer(assistant, conversation).state == "failed"
    assert rows(session) == []
    bedrock.reply("x" * 2000, Fail("modelStreamErrorException"))
    assert answer(assistant, conversation).state == "failed"
    [row] = rows(session)
    assert row.total.written == 1000


def test_an_answer_that_is_stopped_before_its_first_word_counts_what_was_sent(
    session: Session, conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Silence(threading.Event()))
    turn = assistant.ask(conversation, "y" * 3000, CHEAP)
    bedrock.wait_for(lambda: bedrock.silent > 0)
    assistant.stop(conversation, turn)
    wait(assistant)
    [row] = rows(session)
    assert row.total.sent >= 1500 and row.total.written == 0


def test_an_answer_that_another_task_continues_counts_in_each(
    session: Session,
    conversation: Conversation,
    open_assistant: Callable[..., Assistant],
    bedrock: BedrockStandIn,
) -> None:
    one, other = open_assistant(), open_assistant()
    bedrock.reply("x" * 2000, threading.Event())
    turn = one.ask(conversation, "Hello", CHEAP)
    wait_until_it_answers(one, conversation, turn)
    one.close()
    [row] = rows(session)  # before the process ends
    assert row.total.written == 1000
    *_, last = other.follow(conversation, turn)
    wait(other)
    [row] = rows(session)
    assert row.total.answers == 2
    assert row.total.written == 1000 + last.turn.usage["outputTokens"]


def test_two_tasks_count_together_and_the_limit_refuses_the_next_question(
    session: Session,
    conversation: Conversation,
    open_assistant: Callable[..., Assistant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tell("2026-11-26", monkeypatch)
    one, other = open_assistant(30), open_assistant(30)
    answer(one, conversation)  # 5 tokens are sent, or more, and 3 written
    again = session.conversation(new_conversation_id())
    while (used := sum(row.total.tokens for row in rows(session))) < 30:
        answer(other, again)
    asked = len(conversation.turns)
    for task in (one, other):
        with pytest.raises(LimitError) as caught:
            task.ask(conversation, "More", CHEAP)
        until = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
        assert caught.value.facts == {"limit": 30, "until": until}
    fresh = session.conversation(new_conversation_id())
    with pytest.raises(LimitError):
        one.ask(fresh, "More", CHEAP)
    assert not fresh.path.exists()
    assert len(conversation.turns) == asked
    tell("2026-11-27", monkeypatch)
    assert answer(one, conversation).state == "complete"
    assert sum(row.total.tokens for row in rows(session)) > used


def test_the_limit_lets_an_answer_end_but_refuses_to_try_it_again(
    conversation: Conversation, open_assistant: Callable[..., Assistant], bedrock: BedrockStandIn
) -> None:
    assistant = open_assistant(10)
    bedrock.reply("x" * 2000, Fail("modelStreamErrorException"))
    turn = answer(assistant, conversation)
    assert len(turn.answer) == 2000
    with pytest.raises(LimitError):
        assistant.retry(conversation, turn.id, CHEAP)
    assert conversation.turns[0].attempt == 1
    assistant.ask(conversation, "Hello", CHEAP, turn.id)  # it was asked already


def test_without_a_limit_nothing_is_refused(
    session: Session, conversation: Conversation, assistant: Assistant
) -> None:
    assert answer(assistant, conversation).state == "complete"
    append_used(session, 10**9)
    assert answer(assistant, conversation).state == "complete"


def append_used(session: Session, tokens: int) -> None:
    session.usage.update(lambda: [Used(usage.today(), CHEAP, tokens, 0)], create=True)


def test_usage_survives_the_person_who_deletes_everything_but_not_the_session(
    session: Session, conversation: Conversation, assistant: Assistant
) -> None:
    answer(assistant, conversation)
    before = rows(session)
    session.delete()
    assert session.conversations() == []
    assert rows(session) == before != []
    delete_session(session.folder)
    assert rows(session) == [] and not session.folder.exists()


def test_an_answer_that_is_deleted_with_its_session_brings_nothing_back(
    session: Session, conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", CHEAP)
    wait_until_it_answers(assistant, conversation, turn)
    delete_session(session.folder)
    more.set()
    wait(assistant)
    assert not session.folder.exists()


def test_a_fault_of_the_file_hurts_no_answer(
    session: Session,
    conversation: Conversation,
    assistant: Assistant,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session.folder.mkdir(parents=True)
    (session.folder / "usage.jsonl").mkdir()
    assert answer(assistant, conversation).state == "complete"
    assert "The usage of an answer was not recorded" in caplog.text


def test_a_limit_that_can_not_be_checked_refuses_nothing_for_good(
    session: Session, conversation: Conversation, open_assistant: Callable[..., Assistant]
) -> None:
    session.folder.mkdir(parents=True)
    file = session.folder / "usage.jsonl"
    file.mkdir()
    assistant = open_assistant(1000)
    with pytest.raises(StorageError):
        assistant.ask(conversation, "Hello", CHEAP)
    file.rmdir()
    assert answer(assistant, conversation).state == "complete"


def test_whose_usage_it_is_is_kept_once_there_is_some(
    session: Session, conversation: Conversation, assistant: Assistant
) -> None:
    usage.remember(session.folder, ADA)
    assert not session.folder.exists()
    answer(assistant, conversation)
    usage.remember(session.folder, ADA)
    size = (session.folder / "usage.jsonl").stat().st_size
    usage.remember(session.folder, replace(ADA, groups=frozenset({"staff"})))
    assert (session.folder / "usage.jsonl").stat().st_size == size
    usage.remember(session.folder, replace(ADA, name="Ada King"))
    [row] = rows(session)
    assert row.owner and row.owner.name == "Ada King"


def test_one_file_that_can_not_be_read_hides_no_other(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = new_session(session.folder.parent)
    for each in (session, other):
        append_used(each, 7)
    monkeypatch.setattr("chatbot.storage.LOCK_TIMEOUT", 0.1)
    with (session.folder / "usage.jsonl").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [row.session for row in list_rows(session.folder.parent)] == [other.id]
    assert session.id[:8] in caplog.text


@pytest.mark.parametrize(
    "used",
    [
        Used("yesterday", CHEAP, 1, 1),
        Used("2026-11-26", CHEAP, -1, 5),
        Used("2026-11-26", CHEAP, 1, 1, -0.5),
    ],
)
def test_a_record_that_can_not_be_counts_nothing(session: Session, used: Used) -> None:
    append(session.conversation(new_conversation_id()))  # makes the folder
    session.usage.update(lambda: [used], create=True)
    assert session.usage.damaged == 1
    assert rows(session) == []


def test_usage_counts_as_use_of_the_session(session: Session) -> None:
    append_used(session, 1)
    assert last_used(session.folder) > datetime.now(UTC).timestamp() - DAY
