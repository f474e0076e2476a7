"""An answer in progress belongs to its conversation: who writes, follows, stops, takes over."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bedrock_stand_in import BedrockStandIn, Fail, Refuse

from chatbot import answers
from chatbot.answers import Answering, ask, follow, retry, stop
from chatbot.journals import DeletedError
from chatbot.models import CONTINUE, Bedrock, Demo, load_models
from chatbot.sessions import Conversation, Session, Turn, new_conversation_id
from chatbot.settings import ROOT

MODELS = load_models()
MODEL = next(iter(MODELS))


@pytest.fixture
def answering(bedrock: BedrockStandIn) -> Answering:
    return Answering(Bedrock("us-east-1"), MODELS, "Be kind.")


@pytest.fixture
def conversation(session: Session) -> Conversation:
    return session.conversation(new_conversation_id())


def reread(conversation: Conversation) -> list[Turn]:
    other = Conversation(conversation.path)
    other.refresh()
    return other.turns


def watch(conversation: Conversation, turn: str, answering: Answering) -> Turn:
    """Follow the answer to its end."""
    *_, last = follow(conversation, turn, answering)
    return last


def until(turns: Iterator[Turn], answer: str) -> Turn:
    """Follow the answer until it holds that text."""
    return next(turn for turn in turns if answer in turn.answer)


def test_an_answer_is_kept_and_its_usage_too(
    conversation: Conversation, answering: Answering
) -> None:
    turn = ask(conversation, "Hello", MODEL, answering)
    assert watch(conversation, turn, answering).answer == "An answer."
    [kept] = reread(conversation)
    assert (kept.prompt, kept.answer, kept.state) == ("Hello", "An answer.", "complete")
    assert kept.usage["outputTokens"] == 3


def test_the_prompt_is_on_the_disk_before_the_model_is_called(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    seen: list[list[str]] = []
    objection = bedrock.objection

    def look(model: str, request: dict[str, object]) -> str:
        seen.append([turn.prompt for turn in reread(conversation)])
        return objection(model, request)

    bedrock.objection = look  # type: ignore[method-assign]
    watch(conversation, ask(conversation, "Hello", MODEL, answering), answering)
    assert seen == [["Hello"]]


def test_what_a_page_shows_is_on_the_disk_already(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(*(word for number in range(20) for word in (f"{number} ", 0.01)))
    turn = ask(conversation, "Hello", MODEL, answering)
    shown = 0
    for view in follow(conversation, turn, answering):
        answer = view.answer
        assert reread(conversation)[0].answer.startswith(answer)
        shown += 1
    assert shown > 3
    assert answer.split() == [str(number) for number in range(20)]


def test_an_answer_goes_on_when_nobody_looks(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, turn, answering), "One")  # and leave, as a tab that is closed
    more.set()
    assert watch(conversation, turn, answering).answer == "One two."
    assert len(bedrock.requests) == 1


def test_stop_keeps_what_had_arrived(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "GHOST")
    turn = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, turn, answering), "One")
    stop(conversation, turn)
    stop(conversation, turn)  # twice is once
    more.set()
    ended = watch(conversation, turn, answering)
    assert (ended.answer, ended.state) == ("One ", "stopped")
    assert watch(conversation, ask(conversation, "More", MODEL, answering), answering).ended
    assert [each.answer for each in reread(conversation)] == ["One ", "An answer."]


def test_a_second_prompt_stops_the_answer_in_progress(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "GHOST")
    first = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, first, answering), "One")
    second = ask(conversation, "Another", MODEL, answering)
    assert watch(conversation, second, answering).answer == "An answer."
    more.set()
    states = [(turn.prompt, turn.answer, turn.state) for turn in reread(conversation)]
    assert states == [("Hello", "One ", "stopped"), ("Another", "An answer.", "complete")]


def test_asking_again_under_the_same_id_is_asking_once(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    """As when a page's run was ended while it waited for the storage."""
    turn = ask(conversation, "Hello", MODEL, answering, "t1")
    assert ask(conversation, "Hello", MODEL, answering, "t1") == turn == "t1"
    watch(conversation, turn, answering)
    ask(conversation, "Hello", MODEL, answering, "t1")
    assert [turn.prompt for turn in conversation.turns] == ["Hello"]
    assert len(bedrock.requests) == 1


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ((Refuse(403, "AccessDeniedException"),), ""),
        (("Half ", Fail("throttlingException")), "Half "),
    ],
)
def test_a_failure_keeps_the_prompt_and_what_arrived_and_can_be_retried(
    conversation: Conversation,
    answering: Answering,
    bedrock: BedrockStandIn,
    steps: tuple[str | Refuse | Fail, ...],
    kept: str,
) -> None:
    bedrock.reply(*steps)
    turn = ask(conversation, "Hello", MODEL, answering)
    failed = watch(conversation, turn, answering)
    assert (failed.prompt, failed.answer, failed.state) == ("Hello", kept, "failed")
    assert failed.notice and failed.reason
    retry(conversation, turn, MODEL, answering)
    again = watch(conversation, turn, answering)
    assert (again.answer, again.state, again.notice) == (kept + "An answer.", "complete", "")
    last = bedrock.requests[-1]["messages"][-1]["content"][-1]["text"]
    assert last == (CONTINUE if kept else "Hello")


def test_an_empty_answer_leaves_the_conversation_usable(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("")
    empty = watch(conversation, ask(conversation, "Hello", MODEL, answering), answering)
    assert "empty answer" in empty.notice
    turn = watch(conversation, ask(conversation, "More", MODEL, answering), answering)
    assert turn.answer == "An answer."


def test_a_fault_of_the_backend_itself_is_told(session: Session) -> None:
    class Broken(Demo):
        def stream(self, *_: object) -> Iterator[object]:  # type: ignore[override]
            raise RuntimeError("a bug")

    answering = Answering(Broken(), MODELS, "Be kind.")  # type: ignore[arg-type]
    conversation = session.conversation(new_conversation_id())
    turn = watch(conversation, ask(conversation, "Hello", MODEL, answering), answering)
    assert (turn.state, turn.reason) == ("failed", "Fault")


def test_an_answer_to_a_deleted_conversation_is_dropped(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, turn, answering), "One")
    conversation.delete()
    more.set()
    with pytest.raises(DeletedError):
        watch(conversation, turn, answering)
    assert not conversation.path.exists()


def test_a_model_that_is_no_longer_offered_is_replaced_by_the_default(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    watch(conversation, ask(conversation, "Hello", "retired", answering), answering)
    assert bedrock.models == [MODELS[MODEL].id]


def test_stop_ends_the_request_of_a_model_that_is_silent(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("One ", threading.Event())
    turn = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, turn, answering), "One")
    [reader] = [each for each in threading.enumerate() if each.name == f"read-{turn}"]
    stop(conversation, turn)
    reader.join(10)
    assert not reader.is_alive()
    assert watch(conversation, turn, answering).state == "stopped"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers and those who follow them do in a tenth of a second what takes a second."""
    monkeypatch.setattr(answers, "BEAT_EVERY", 0.05)
    monkeypatch.setattr(answers, "DEAD_AFTER", 0.5)
    monkeypatch.setattr(answers, "POLL_EVERY", 0.05)


@pytest.mark.usefixtures("hasty")
def test_a_silent_model_is_not_taken_for_dead(
    conversation: Conversation,
    answering: Answering,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bedrock.reply(1.5, "Well.")
    turn = ask(conversation, "Hello", MODEL, answering)
    monkeypatch.setattr(answers, "WRITER", "another process")
    other = Conversation(conversation.path)
    other.refresh()
    ended = watch(other, turn, answering)
    assert (ended.answer, ended.attempt) == ("Well.", 1)
    assert len(bedrock.requests) == 1


@pytest.mark.usefixtures("hasty")
def test_a_writer_is_not_taken_for_dead_because_the_storage_stood_still(
    conversation: Conversation,
    answering: Answering,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = ask(conversation, "Hello", MODEL, answering)
    monkeypatch.setattr(answers, "WRITER", "another process")
    other = Conversation(conversation.path)
    other.refresh()
    page = threading.Thread(target=watch, args=(other, turn, answering))
    page.start()
    with conversation.path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as long as it is held, nobody reads or writes
        time.sleep(1.5)
    time.sleep(0.3)
    more.set()
    page.join()
    [kept] = reread(conversation)
    assert (kept.answer, kept.attempt) == ("One two.", 1)


TASK = """
import signal
import sys
from pathlib import Path
from chatbot import answers, models
from chatbot.sessions import Conversation
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
models.DEMO_PAUSE = 0.05
answering = answers.Answering(models.Demo(), models.load_models(), "Be kind.")
conversation = Conversation(Path(sys.argv[1]))
turn = answers.ask(conversation, "Hello", "", answering)
for view in answers.follow(conversation, turn, answering):
    print(len(view.answer), flush=True)
"""


def start_task(conversation: Conversation) -> subprocess.Popen[str]:
    """Let another process answer, until it has shown some of its answer."""
    command = [sys.executable, "-c", TASK, str(conversation.path)]
    task = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    while int(task.stdout.readline()) < 60:
        pass
    return task


@pytest.fixture
def demo() -> Answering:
    return Answering(Demo(), MODELS, "Be kind.")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_answer_of_a_process_that_ended_is_completed_without_repeating(
    conversation: Conversation,
    demo: Answering,
    how: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "DEAD_AFTER", 3.0)
    task = start_task(conversation)
    task.send_signal(how)
    task.wait(10)
    ended = time.monotonic()
    conversation.refresh()
    [turn] = conversation.turns
    before = turn.answer
    assert len(before) >= 60
    assert turn.state == ("released" if how == signal.SIGINT else "open")
    turn = watch(conversation, turn.id, demo)
    assert (turn.state, turn.attempt) == ("complete", 2)
    assert turn.answer.startswith(before)
    assert turn.answer.count("no model was called") == 1
    if how == signal.SIGINT:
        assert time.monotonic() - ended < 3.0  # it need not wait for a silence


def test_two_that_take_over_at_once_call_the_model_once(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn
) -> None:
    task = start_task(conversation)
    task.send_signal(signal.SIGINT)
    task.wait(10)
    pages = []
    for _ in range(4):
        page = Conversation(conversation.path)
        page.refresh()
        turn = page.turns[0].id
        pages.append(threading.Thread(target=watch, args=(page, turn, answering)))
    for thread in pages:
        thread.start()
    for thread in pages:
        thread.join()
    assert len(bedrock.requests) == 1
    [kept] = reread(conversation)
    assert kept.state == "complete"
    assert kept.answer.endswith("An answer.")


def test_a_process_that_was_frozen_and_comes_back_does_no_harm(
    conversation: Conversation, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "DEAD_AFTER", 1.0)
    task = start_task(conversation)
    task.send_signal(signal.SIGSTOP)
    try:
        conversation.refresh()
        turn = watch(conversation, conversation.turns[0].id, answering)
        answer = turn.answer
        assert turn.attempt == 2
        assert answer.endswith("An answer.")
    finally:
        task.send_signal(signal.SIGCONT)
    assert task.wait(20) == 0  # it has seen that the answer was completed by another one
    [kept] = reread(conversation)
    assert (kept.answer, kept.attempt) == (answer, 2)


def test_an_answer_interrupted_again_and_again_is_left_to_a_person(
    conversation: Conversation, demo: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(kind: str, attempt: int, **more: object) -> dict[str, object]:
        return {"type": kind, "turn": "t", "attempt": attempt} | more

    conversation.update(
        lambda: [
            {"type": "prompt", "turn": "t", "text": "Hello"},
            *(record("claim", number, writer="dead", model=MODEL) for number in (1, 2, 3)),
        ],
        create=True,
    )
    monkeypatch.setattr(answers, "DEAD_AFTER", 0.1)
    monkeypatch.setattr(answers, "POLL_EVERY", 0.05)
    turn = watch(conversation, "t", demo)
    assert (turn.state, turn.reason) == ("failed", "interrupted")


def test_an_answer_waits_for_a_storage_that_comes_back(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn, tmp_path: Path
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = ask(conversation, "Hello", MODEL, answering)
    until(follow(conversation, turn, answering), "One")
    sessions, away = tmp_path / "sessions", tmp_path / "away"
    os.rename(sessions, away)  # noqa: PTH104
    more.set()
    for _ in follow(conversation, turn, answering):
        if "is missing" in conversation.trouble:
            break
    os.rename(away, sessions)  # noqa: PTH104
    assert watch(conversation, turn, answering).answer == "One two."
    assert not conversation.trouble


def test_who_follows_from_another_process_waits_for_the_storage_too(
    conversation: Conversation, answering: Answering, bedrock: BedrockStandIn, tmp_path: Path
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = ask(conversation, "Hello", MODEL, answering)
    other = Conversation(conversation.path)
    other.refresh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "WRITER", "another process")
        looks = follow(other, turn, answering)
        until(looks, "One")
        sessions, away = tmp_path / "sessions", tmp_path / "away"
        os.rename(sessions, away)  # noqa: PTH104
        for _ in looks:
            if "is missing" in other.trouble:
                break
        os.rename(away, sessions)  # noqa: PTH104
        more.set()
        *_, ended = looks
    assert (ended.answer, ended.attempt) == ("One two.", 1)
    assert not other.trouble


def test_a_try_that_a_person_asked_for_is_taken_over_like_the_first(
    conversation: Conversation, demo: Answering, bedrock: BedrockStandIn, answering: Answering
) -> None:
    for _ in range(3):
        bedrock.reply(Refuse(429, "ThrottlingException"))
    turn = ask(conversation, "Hello", MODEL, answering)
    for _ in range(2):
        watch(conversation, turn, answering)
        retry(conversation, turn, MODEL, answering)
    assert watch(conversation, turn, answering).attempt == 3
    claim = {"type": "claim", "turn": turn, "attempt": 4, "writer": "dead", "model": MODEL}
    released = {"type": "end", "turn": turn, "attempt": 4, "state": "released"}
    conversation.update(lambda: [claim, released | {"reason": "", "notice": ""}])
    assert watch(conversation, turn, demo).state == "complete"
