"""An answer in progress belongs to its conversation: who writes, follows, stops, takes over."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.bedrock import BedrockStandIn, Fail, Reason, Refuse, Silence, Stop, texts_of
from support.store import append, reread, reread_turns

from chatbot import answers, usage
from chatbot.answers import Assistant, Progress
from chatbot.bedrock import Bedrock
from chatbot.context import CONTINUE
from chatbot.conversations import Conversation, Turn, new_conversation_id
from chatbot.demo import Demo
from chatbot.journals import DeletedError
from chatbot.models import load_models
from chatbot.page import wording
from chatbot.records import Claim, End, Prompt
from chatbot.sessions import Session, delete_session
from chatbot.settings import ROOT

MODELS = load_models()
MODEL = next(iter(MODELS))


@pytest.fixture
def assistant(bedrock: BedrockStandIn) -> Assistant:
    return Assistant(Bedrock("us-east-1"), MODELS, "Be kind.")


@pytest.fixture
def another(bedrock: BedrockStandIn) -> Assistant:
    """The assistant of another process."""
    return Assistant(Bedrock("us-east-1"), MODELS, "Be kind.")


@pytest.fixture
def conversation(session: Session) -> Conversation:
    return session.conversation(new_conversation_id())


def watch(assistant: Assistant, conversation: Conversation, turn: str) -> Turn:
    """Follow the answer to its end."""
    *_, last = assistant.follow(conversation, turn)
    return last.turn


def watch_until(progress: Iterator[Progress], answer: str) -> None:
    """Follow the answer until it holds that text."""
    next(each for each in progress if answer in each.turn.answer)


def test_an_answer_is_kept_and_its_usage_too(
    conversation: Conversation, assistant: Assistant
) -> None:
    turn = assistant.ask(conversation, "Hello", MODEL)
    assert watch(assistant, conversation, turn).answer == "An answer."
    [kept] = reread_turns(conversation)
    assert (kept.prompt, kept.answer, kept.state) == ("Hello", "An answer.", "complete")
    assert kept.usage["outputTokens"] == 3


@pytest.mark.parametrize("action", ["ask", "edit", "answer_again"])
def test_nothing_that_is_asked_of_a_deleted_chat_brings_its_file_back(
    conversation: Conversation, assistant: Assistant, session: Session, action: str
) -> None:
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch(assistant, conversation, turn)
    delete_session(session.folder)
    conversation.refresh()
    assert conversation.deleted
    asked = {"ask": ("Again",), "edit": (turn, "Again"), "answer_again": (turn,)}[action]
    with pytest.raises(DeletedError):
        getattr(assistant, action)(conversation, *asked, MODEL)
    assert not conversation.path.exists()


@pytest.fixture
def one_fault(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], threading.Event]:
    """Called, it has the disk tell of a fault after it has written that text; once."""
    flush = os.fsync

    def begin(text: str) -> threading.Event:
        told = threading.Event()

        def fsync(descriptor: int) -> None:
            flush(descriptor)
            if not told.is_set() and text in conversation.path.read_text():
                told.set()
                raise OSError(errno.EIO, "a fault")

        monkeypatch.setattr(answers, "SAVE_AGAIN_EVERY", 0.0)
        monkeypatch.setattr(os, "fsync", fsync)
        return told

    return begin


def test_a_piece_that_was_saved_with_a_fault_is_not_saved_twice(
    conversation: Conversation,
    assistant: Assistant,
    bedrock: BedrockStandIn,
    one_fault: Callable[[str], threading.Event],
) -> None:
    told = one_fault('"type":"text"')
    bedrock.reply("One ", told, "two.")
    turn = watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert told.is_set()
    assert (turn.answer, turn.state) == ("One two.", "complete")
    assert reread_turns(conversation) == [turn]


def test_a_disk_that_gets_full_between_two_lines_gets_none_of_them_twice(
    conversation: Conversation,
    assistant: Assistant,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = os.pwrite
    calls: list[str] = []

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if b'"type":"thought"' in data.tobytes() and not calls:
            calls.append("a part")
            return write(descriptor, data[: data.tobytes().index(b"\n") + 30], offset)
        if calls == ["a part"]:
            calls.append("full")
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data, offset)

    monkeypatch.setattr(answers, "SAVE_AGAIN_EVERY", 0.0)
    monkeypatch.setattr(answers, "SAVE_EVERY", 10.0)  # it is saved in one piece, with its end
    monkeypatch.setattr(os, "pwrite", pwrite)
    bedrock.reply(Reason("Hm."), "One ", "two.")
    turn = watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert calls == ["a part", "full"]
    assert (turn.thought, turn.answer, turn.state) == ("Hm.", "One two.", "complete")


def test_the_prompt_is_on_the_disk_before_the_model_is_called(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    seen: list[list[str]] = []
    objection = bedrock.objection

    def look(model: str, request: dict[str, object]) -> str:
        seen.append([turn.prompt for turn in reread_turns(conversation)])
        return objection(model, request)

    bedrock.objection = look  # type: ignore[method-assign]
    watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert seen == [["Hello"]]


def test_what_a_page_shows_is_on_the_disk_already(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(*(word for number in range(20) for word in (f"{number} ", 0.01)))
    turn = assistant.ask(conversation, "Hello", MODEL)
    shown = 0
    for progress in assistant.follow(conversation, turn):
        answer = progress.turn.answer
        assert reread_turns(conversation)[0].answer.startswith(answer)
        shown += 1
    assert shown > 3
    assert answer.split() == [str(number) for number in range(20)]


def test_an_answer_goes_on_when_nobody_looks(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")  # and leave, as a tab that is closed
    more.set()
    assert watch(assistant, conversation, turn).answer == "One two."
    assert len(bedrock.requests) == 1


def test_stop_keeps_what_had_arrived(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "GHOST")
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")
    assistant.stop(conversation, turn)
    assistant.stop(conversation, turn)  # twice is once
    more.set()
    ended = watch(assistant, conversation, turn)
    assert (ended.answer, ended.state) == ("One ", "stopped")
    assert watch(assistant, conversation, assistant.ask(conversation, "More", MODEL)).ended
    assert [each.answer for each in reread_turns(conversation)] == ["One ", "An answer."]


def test_a_second_prompt_stops_the_answer_in_progress(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "GHOST")
    first = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, first), "One")
    second = assistant.ask(conversation, "Another", MODEL)
    assert watch(assistant, conversation, second).answer == "An answer."
    more.set()
    states = [(turn.prompt, turn.answer, turn.state) for turn in reread_turns(conversation)]
    assert states == [("Hello", "One ", "stopped"), ("Another", "An answer.", "complete")]


def test_asking_again_under_the_same_id_is_asking_once(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    """As when a page's run was ended while it waited for the storage."""
    turn = assistant.ask(conversation, "Hello", MODEL, "t1")
    assert assistant.ask(conversation, "Hello", MODEL, "t1") == turn == "t1"
    watch(assistant, conversation, turn)
    assistant.ask(conversation, "Hello", MODEL, "t1")
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
    assistant: Assistant,
    bedrock: BedrockStandIn,
    steps: tuple[str | Refuse | Fail, ...],
    kept: str,
) -> None:
    bedrock.reply(*steps)
    turn = assistant.ask(conversation, "Hello", MODEL)
    failed = watch(assistant, conversation, turn)
    assert (failed.prompt, failed.answer, failed.state) == ("Hello", kept, "failed")
    assert "error" in failed.facts and wording.end(failed)
    assistant.retry(conversation, turn, MODEL)
    again = watch(assistant, conversation, turn)
    assert (again.answer, again.state) == (kept + "An answer.", "complete")
    assert not wording.end(again)
    assert texts_of(bedrock.requests[-1])[-1] == (CONTINUE if kept else "Hello")


BUSY = Refuse(400, "ThrottlingException")  # not 429, at which botocore tries again
FULL, SPARE, LAST = (
    replace(MODELS[MODEL], key=key, name=key.title(), id=f"{key}-v1:0", fallback=fallback)
    for key, fallback in (("full", "spare"), ("spare", "last"), ("last", "full"))
)


@pytest.fixture
def three(bedrock: BedrockStandIn) -> Assistant:
    """An assistant with models that stand in for each other, in a circle."""
    models = {each.key: each for each in (FULL, SPARE, LAST)}
    return Assistant(Bedrock("us-east-1"), models, "Be kind.")


@pytest.mark.parametrize(
    "error",
    [
        BUSY,
        Refuse(400, "ServiceQuotaExceededException"),
        Refuse(400, "ModelNotReadyException"),
        Refuse(400, "ThrottlingException", "Too many tokens per day"),
        Fail("throttlingException"),
    ],
)
def test_another_model_answers_for_one_that_is_too_busy(
    conversation: Conversation, three: Assistant, bedrock: BedrockStandIn, error: Refuse | Fail
) -> None:
    bedrock.reply(error)
    turn = watch(three, conversation, three.ask(conversation, "Hello", "full"))
    assert (turn.answer, turn.state) == ("An answer.", "complete")
    assert (turn.model, turn.instead_of, turn.tries) == ("spare", "full", 1)
    assert bedrock.models == [FULL.id, SPARE.id]
    assert reread_turns(conversation) == [turn]
    [row] = usage.list_rows(conversation.path.parent.parent)
    assert (row.model, row.total.answers) == ("spare", 1)
    again = watch(three, conversation, three.ask(conversation, "And now?", "full"))
    assert (again.model, again.instead_of) == ("full", "")


def test_a_model_that_stands_in_goes_on_if_that_was_saved_with_a_fault(
    conversation: Conversation,
    three: Assistant,
    bedrock: BedrockStandIn,
    one_fault: Callable[[str], threading.Event],
) -> None:
    told = one_fault('"instead_of"')
    bedrock.reply(BUSY)
    turn = watch(three, conversation, three.ask(conversation, "Hello", "full"))
    assert told.is_set()
    assert (turn.answer, turn.state, turn.attempt) == ("An answer.", "complete", 2)


def test_each_model_is_asked_once(
    conversation: Conversation, three: Assistant, bedrock: BedrockStandIn
) -> None:
    for _ in range(3):
        bedrock.reply(BUSY)
    turn = watch(three, conversation, three.ask(conversation, "Hello", "full"))
    assert (turn.state, turn.code, turn.model, turn.instead_of) == (
        *("failed", "throttled", "last", "full"),
    )
    assert bedrock.models == [FULL.id, SPARE.id, LAST.id]


@pytest.mark.parametrize(
    "steps", [(Refuse(403, "AccessDeniedException"),), ("Half ", Fail("throttlingException"))]
)
def test_no_model_stands_in_for_one_that_may_not_answer_or_has_begun_to(
    conversation: Conversation,
    three: Assistant,
    bedrock: BedrockStandIn,
    steps: tuple[str | Refuse | Fail, ...],
) -> None:
    bedrock.reply(*steps)
    turn = watch(three, conversation, three.ask(conversation, "Hello", "full"))
    assert (turn.state, turn.model, turn.instead_of) == ("failed", "full", "")
    assert bedrock.models == [FULL.id]


def test_another_process_goes_on_with_the_model_that_stands_in(
    conversation: Conversation, three: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(BUSY)
    bedrock.reply("One ", threading.Event())
    bedrock.reply("two.")
    turn = three.ask(conversation, "Hello", "full")
    watch_until(three.follow(conversation, turn), "One")
    three.close()
    another = Assistant(three.backend, three.models, "Be kind.")
    ended = watch(another, reread(conversation), turn)
    assert (ended.answer, ended.model, ended.instead_of) == ("One two.", "spare", "full")
    assert ended.tries == 2


def test_an_empty_answer_leaves_the_conversation_usable(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("")
    empty = watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert empty.code == "empty"
    turn = watch(assistant, conversation, assistant.ask(conversation, "More", MODEL))
    assert turn.answer == "An answer."


def test_a_fault_of_the_backend_itself_is_told(session: Session) -> None:
    class Broken(Demo):
        def stream(self, *_: object) -> Iterator[object]:  # type: ignore[override]
            raise RuntimeError("a bug")

    assistant = Assistant(Broken(), MODELS, "Be kind.")  # type: ignore[arg-type]
    conversation = session.conversation(new_conversation_id())
    turn = watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert (turn.state, turn.code) == ("failed", "bug")
    assert turn.facts == {"error": "RuntimeError"}


def test_an_answer_to_a_deleted_conversation_is_dropped(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")
    conversation.delete()
    more.set()
    with pytest.raises(DeletedError):
        watch(assistant, conversation, turn)
    assert not conversation.path.exists()


def test_a_model_that_is_no_longer_offered_is_replaced_by_the_default(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    watch(assistant, conversation, assistant.ask(conversation, "Hello", "retired"))
    assert bedrock.models == [MODELS[MODEL].id]


def test_stop_ends_the_request_of_a_model_that_is_silent(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("One ", threading.Event())
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")
    [reader] = [each for each in threading.enumerate() if each.name == f"read-{turn}"]
    assistant.stop(conversation, turn)
    reader.join(10)
    assert not reader.is_alive()
    assert watch(assistant, conversation, turn).state == "stopped"


def test_stop_ends_the_request_of_a_model_that_has_said_nothing(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Silence(threading.Event()))
    turn = assistant.ask(conversation, "Hello", MODEL)
    bedrock.wait_for(lambda: bedrock.silent > 0)
    writers = [each for each in threading.enumerate() if each.name.endswith(turn)]
    assert len(writers) == 2
    assistant.stop(conversation, turn)
    for each in writers:
        each.join(30)
    assert not any(each.is_alive() for each in writers)
    assert watch(assistant, conversation, turn).state == "stopped"
    assert len(bedrock.requests) == 1


def fail_to_start(monkeypatch: pytest.MonkeyPatch, kind: str, times: int) -> None:
    """Let the first threads of that kind fail to start."""
    start, left = threading.Thread.start, [None] * times

    def start_or_fail(thread: threading.Thread) -> None:
        if left and thread.name.startswith(kind):
            left.pop()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)


@pytest.mark.parametrize("kind", ["read", "save"])
def test_an_answer_whose_thread_does_not_start_is_begun_again(
    conversation: Conversation,
    assistant: Assistant,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    fail_to_start(monkeypatch, kind, 1)
    turn = assistant.ask(conversation, "Hello", MODEL)
    ended = watch(assistant, conversation, turn)
    assert (ended.answer, ended.state, ended.attempt) == ("An answer.", "complete", 2)
    assert len(bedrock.requests) == 1


@pytest.mark.parametrize("kind", ["read", "save"])
def test_an_answer_whose_threads_never_start_is_left_to_a_person(
    conversation: Conversation, assistant: Assistant, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    fail_to_start(monkeypatch, kind, 99)
    ended = watch(assistant, conversation, assistant.ask(conversation, "Hello", MODEL))
    assert (ended.state, ended.code) == ("failed", "interrupted")


def test_a_process_that_ends_waits_for_all_its_answers_though_one_is_only_beginning(
    session: Session,
    assistant: Assistant,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (session.conversation(new_conversation_id()) for _ in range(2))
    beginning = threading.Event()
    start = threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name.startswith("save") and not beginning.is_set():
            beginning.set()
            while not [turn for turn in reread_turns(second) if turn.state == "released"]:
                pass
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    asking = threading.Thread(target=assistant.ask, args=(first, "Hello", MODEL))
    asking.start()
    beginning.wait(30)
    bedrock.reply("One ", threading.Event())
    turn = assistant.ask(second, "Hello", MODEL)
    watch_until(assistant.follow(second, turn), "One")
    assistant.close()
    assert [reread_turns(each)[0].state for each in (first, second)] == ["released"] * 2


def test_a_process_that_ends_leaves_its_answers_to_others_while_it_still_shows_them(
    conversation: Conversation,
    assistant: Assistant,
    another: Assistant,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "POLL_EVERY", 0.01)
    bedrock.reply("One ", threading.Event())
    bedrock.reply("two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    page = assistant.follow(conversation, turn)
    watch_until(page, "One")
    assistant.close()
    for _ in range(9):
        next(page)
    assert reread_turns(conversation)[0].state == "released"
    ended = watch(another, reread(conversation), turn)
    assert (ended.answer, ended.state, ended.writer) == ("One two.", "complete", another.id)
    assert [each.turn.answer for each in page][-1] == "One two."


def test_a_guardrail_that_blocked_one_answer_does_not_block_the_next(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("Sorry.", Stop("guardrail_intervened"))
    blocked = watch(assistant, conversation, assistant.ask(conversation, "Bad", MODEL))
    assert "no longer sees this message and its answer" in wording.end(blocked)
    turn = watch(assistant, conversation, assistant.ask(conversation, "Good", MODEL))
    assert turn.answer == "An answer."
    assert texts_of(bedrock.requests[-1]) == ["Good"]


def test_halves_of_an_emoji_are_the_same_in_memory_and_in_the_file(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("A \ud83d", 0.1, "\ude00 and \ud83d", 0.1, " half")
    turn = watch(assistant, conversation, assistant.ask(conversation, "B \ud83d", MODEL))
    assert (turn.prompt, turn.answer) == ("B \ufffd", "A \U0001f600 and \ufffd half")
    [kept] = reread_turns(conversation)
    assert (kept.prompt, kept.answer) == (turn.prompt, turn.answer)


def test_the_turns_that_were_sent_are_kept_with_the_usage(
    conversation: Conversation, assistant: Assistant
) -> None:
    for prompt in ("One", "Two"):
        watch(assistant, conversation, assistant.ask(conversation, prompt, MODEL))
    assert [turn.sent_turns for turn in reread_turns(conversation)] == [1, 2]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers and those who follow them do in a tenth of a second what takes a second."""
    monkeypatch.setattr(answers, "BEAT_EVERY", 0.05)
    monkeypatch.setattr(answers, "DEAD_AFTER", 0.5)
    monkeypatch.setattr(answers, "POLL_EVERY", 0.05)


@pytest.mark.usefixtures("hasty")
def test_a_silent_model_is_not_taken_for_dead(
    conversation: Conversation,
    assistant: Assistant,
    another: Assistant,
    bedrock: BedrockStandIn,
) -> None:
    bedrock.reply(1.5, "Well.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    ended = watch(another, reread(conversation), turn)
    assert (ended.answer, ended.attempt) == ("Well.", 1)
    assert len(bedrock.requests) == 1


@pytest.mark.usefixtures("hasty")
def test_a_writer_is_not_taken_for_dead_because_the_storage_stood_still(
    conversation: Conversation,
    assistant: Assistant,
    another: Assistant,
    bedrock: BedrockStandIn,
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    page = threading.Thread(target=watch, args=(another, reread(conversation), turn))
    page.start()
    with conversation.path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as long as it is held, nobody reads or writes
        time.sleep(1.5)
    time.sleep(0.3)
    more.set()
    page.join()
    [kept] = reread_turns(conversation)
    assert (kept.answer, kept.attempt) == ("One two.", 1)


@pytest.mark.parametrize("days", [-100, 100])
def test_a_wrong_clock_makes_no_writer_look_dead(
    conversation: Conversation,
    assistant: Assistant,
    another: Assistant,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")
    wrong = time.time() + days * 86_400
    monkeypatch.setattr(time, "time", lambda: wrong)
    looks = another.follow(reread(conversation), turn)
    for _ in range(3):
        next(looks)
    more.set()
    *_, last = looks
    assert (last.turn.answer, last.turn.attempt) == ("One two.", 1)
    assert len(bedrock.requests) == 1


TASK = """
import signal
import sys
from contextlib import closing
from pathlib import Path
from chatbot import demo
from chatbot.answers import Assistant
from chatbot.conversations import Conversation
from chatbot.models import load_models
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
demo.PAUSE = 0.05
conversation = Conversation(Path(sys.argv[1]))
with closing(Assistant(demo.Demo(), load_models(), "Be kind.")) as assistant:
    turn = assistant.ask(conversation, "Hello", "")
    for progress in assistant.follow(conversation, turn):
        print(len(progress.turn.answer), flush=True)
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
def demo() -> Assistant:
    return Assistant(Demo(), MODELS, "Be kind.")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_answer_of_a_process_that_ended_is_completed_without_repeating(
    conversation: Conversation,
    demo: Assistant,
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
    turn = watch(demo, conversation, turn.id)
    assert (turn.state, turn.attempt) == ("complete", 2)
    assert turn.answer.startswith(before)
    assert turn.answer.count("no model was called") == 1
    if how == signal.SIGINT:
        assert time.monotonic() - ended < 3.0  # it need not wait for a silence


def test_two_that_take_over_at_once_call_the_model_once(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    task = start_task(conversation)
    task.send_signal(signal.SIGINT)
    task.wait(10)
    pages = []
    for _ in range(4):
        page = Conversation(conversation.path)
        page.refresh()
        turn = page.turns[0].id
        pages.append(threading.Thread(target=watch, args=(assistant, page, turn)))
    for thread in pages:
        thread.start()
    for thread in pages:
        thread.join()
    assert len(bedrock.requests) == 1
    [kept] = reread_turns(conversation)
    assert kept.state == "complete"
    assert kept.answer.endswith("An answer.")


def test_a_process_that_was_frozen_and_comes_back_does_no_harm(
    conversation: Conversation, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "DEAD_AFTER", 1.0)
    task = start_task(conversation)
    task.send_signal(signal.SIGSTOP)
    try:
        conversation.refresh()
        turn = watch(assistant, conversation, conversation.turns[0].id)
        answer = turn.answer
        assert turn.attempt == 2
        assert answer.endswith("An answer.")
    finally:
        task.send_signal(signal.SIGCONT)
    assert task.wait(20) == 0  # it has seen that the answer was completed by another one
    [kept] = reread_turns(conversation)
    assert (kept.answer, kept.attempt) == (answer, 2)


def test_an_answer_interrupted_again_and_again_is_left_to_a_person(
    conversation: Conversation, demo: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [Claim("t", attempt, "dead", MODEL) for attempt in (1, 2, 3)]
    append(conversation, Prompt("t", "Hello"), *claims)
    monkeypatch.setattr(answers, "DEAD_AFTER", 0.1)
    monkeypatch.setattr(answers, "POLL_EVERY", 0.05)
    turn = watch(demo, conversation, "t")
    assert (turn.state, turn.code) == ("failed", "interrupted")


def test_an_answer_waits_for_a_storage_that_comes_back(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, tmp_path: Path
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, turn), "One")
    sessions, away = tmp_path / "sessions", tmp_path / "away"
    os.rename(sessions, away)  # noqa: PTH104
    more.set()
    for progress in assistant.follow(conversation, turn):
        if progress.storage_error:
            assert progress.storage_error.code == "missing"
            break
    os.rename(away, sessions)  # noqa: PTH104
    *_, last = assistant.follow(conversation, turn)
    assert (last.turn.answer, last.storage_error) == ("One two.", None)


def test_who_follows_from_another_process_waits_for_the_storage_too(
    conversation: Conversation,
    assistant: Assistant,
    another: Assistant,
    bedrock: BedrockStandIn,
    tmp_path: Path,
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL)
    looks = another.follow(reread(conversation), turn)
    watch_until(looks, "One")
    sessions, away = tmp_path / "sessions", tmp_path / "away"
    os.rename(sessions, away)  # noqa: PTH104
    next(each for each in looks if each.storage_error and each.storage_error.code == "missing")
    os.rename(away, sessions)  # noqa: PTH104
    more.set()
    *_, last = looks
    assert (last.turn.answer, last.turn.attempt) == ("One two.", 1)
    assert not last.storage_error


def test_a_try_that_a_person_asked_for_is_taken_over_like_the_first(
    conversation: Conversation, demo: Assistant, bedrock: BedrockStandIn, assistant: Assistant
) -> None:
    for _ in range(3):
        bedrock.reply(Refuse(429, "ThrottlingException"))
    turn = assistant.ask(conversation, "Hello", MODEL)
    for _ in range(2):
        watch(assistant, conversation, turn)
        assistant.retry(conversation, turn, MODEL)
    assert watch(assistant, conversation, turn).attempt == 3
    append(conversation, Claim(turn, 4, "dead", MODEL), End(turn, 4, "released"))
    assert watch(demo, conversation, turn).state == "complete"


def test_a_message_that_stops_an_answer_is_named_in_its_end(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("One ", threading.Event())
    first = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, first), "One")
    second = assistant.ask(conversation, "Another", MODEL)
    watch(assistant, conversation, second)
    stopped, _ = reread_turns(conversation)
    assert (stopped.state, stopped.code) == ("stopped", "superseded")
    assert stopped.facts == {"by": second}


def test_messages_sent_in_a_row_are_answered_one_after_the_other(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    sent: list[str] = []
    for prompt in ("First", "Second", "Third"):
        sent.append(assistant.ask(conversation, prompt, MODEL, after=tuple(sent)))
    watch_until(assistant.follow(conversation, sent[0]), "One")
    waiting = assistant.follow(conversation, sent[1])
    assert [next(waiting).turn.attempt for _ in range(2)] == [0, 0]
    assert len(bedrock.requests) == 1
    more.set()
    for turn in sent:
        watch(assistant, conversation, turn)
    turns = [(turn.prompt, turn.answer, turn.state) for turn in reread_turns(conversation)]
    assert turns == [
        ("First", "One two.", "complete"),
        ("Second", "An answer.", "complete"),
        ("Third", "An answer.", "complete"),
    ]
    assert texts_of(bedrock.requests[-1]) == ["First", "One two.", "Second", "An answer.", "Third"]


def test_an_answer_that_waits_begins_when_nobody_looks(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    first = assistant.ask(conversation, "First", MODEL)
    assistant.ask(conversation, "Second", MODEL, after=[first])
    writers = [each for each in threading.enumerate() if each.name == f"save-{first}"]
    more.set()
    for writer in writers:
        writer.join()
    assert reread_turns(conversation)[1].attempt == 1


def test_an_answer_that_waits_has_the_model_that_was_chosen_for_it(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    first = assistant.ask(conversation, "First", MODEL)
    last = list(MODELS)[-1]
    second = assistant.ask(conversation, "Second", last, after=[first])
    watch(assistant, conversation, second)
    assert bedrock.models == [MODELS[MODEL].id, MODELS[last].id]


def test_an_answer_that_waits_survives_the_death_of_its_process(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    append(conversation, Prompt("t1", "First"), Claim("t1", 1, "dead", MODEL))
    append(conversation, Prompt("t2", "Second"), End("t1", 1, "released"))
    for turn in ("t1", "t2"):
        assert watch(assistant, conversation, turn).answer == "An answer."
    assert len(bedrock.requests) == 2


def test_stop_lets_the_answer_that_waits_begin(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("One ", threading.Event())
    first = assistant.ask(conversation, "First", MODEL)
    second = assistant.ask(conversation, "Second", MODEL, after=[first])
    watch_until(assistant.follow(conversation, first), "One")
    assistant.stop(conversation, first)
    assert watch(assistant, conversation, second).state == "complete"
    assert [turn.state for turn in reread_turns(conversation)] == ["stopped", "complete"]


def test_a_turn_in_the_middle_without_an_end_is_not_answered_again(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    """Its end is on a damaged line."""
    append(conversation, Prompt("t1", "First"), Claim("t1", 1, "w", MODEL))
    append(conversation, Prompt("t2", "Second"), Claim("t2", 1, "w", MODEL))
    append(conversation, End("t2", 1, "complete", "end_turn"))
    third = assistant.ask(conversation, "Third", MODEL)
    watch(assistant, conversation, third)
    assert [turn.state for turn in reread_turns(conversation)] == ["open", "complete", "complete"]


def test_an_edited_prompt_is_asked_without_what_followed_the_old_one(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    second = assistant.ask(conversation, "Two", MODEL)
    watch(assistant, conversation, second)
    edited = assistant.edit(conversation, second, "Two, better", MODEL)
    assert watch(assistant, conversation, edited).state == "complete"
    assert texts_of(bedrock.requests[-1]) == ["One", "An answer.", "Two, better"]
    assert [turn.prompt for turn in reread_turns(conversation)] == ["One", "Two, better"]
    conversation.show(second)
    third = assistant.ask(conversation, "Three", MODEL)
    watch(assistant, conversation, third)
    assert texts_of(bedrock.requests[-1]) == ["One", "An answer.", "Two", "An answer.", "Three"]
    anew = assistant.edit(conversation, first, "Anew", MODEL)
    watch(assistant, conversation, anew)
    assert texts_of(bedrock.requests[-1]) == ["Anew"]


def test_another_model_answers_the_same_prompt_again(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    other = list(MODELS)[-1]
    again = assistant.answer_again(conversation, first, other, "a" * 16)
    assert watch(assistant, conversation, again).model == other
    assert texts_of(bedrock.requests[-1]) == ["One"]
    assert conversation.answer_versions(again).previous == first
    assert assistant.answer_again(conversation, first, other, again) == again  # does nothing
    assert conversation.answer_versions(again).count == 2


@pytest.mark.parametrize("verb", ["edit", "answer_again"])
def test_another_version_stops_an_answer_in_progress(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, verb: str
) -> None:
    bedrock.reply("One ", threading.Event())
    first = assistant.ask(conversation, "Hello", MODEL)
    watch_until(assistant.follow(conversation, first), "One")
    if verb == "edit":
        second = assistant.edit(conversation, first, "Hello again", MODEL)
    else:
        second = assistant.answer_again(conversation, first, MODEL)
    watch(assistant, conversation, second)
    stopped = conversation.turn(first)
    assert (stopped.state, stopped.code, stopped.answer) == ("stopped", "superseded", "One ")
    assert stopped.facts == {"by": second}
    assert [turn.id for turn in reread_turns(conversation)] == [second]


def test_a_message_follows_what_its_tab_showed(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    second = assistant.edit(conversation, first, "Other", MODEL)  # in another tab
    watch(assistant, conversation, second)
    third = assistant.ask(conversation, "Two", MODEL, where=first)
    watch(assistant, conversation, third)
    assert texts_of(bedrock.requests[-1]) == ["One", "An answer.", "Two"]
    assert [turn.id for turn in reread_turns(conversation)] == [first, third]


def test_a_failed_answer_of_another_branch_is_tried_again_alone(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Refuse(429, "ThrottlingException"))
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    bedrock.reply("Half ", threading.Event())
    second = assistant.edit(conversation, first, "Other", MODEL)
    watch_until(assistant.follow(conversation, second), "Half")
    conversation.show(first)
    assistant.retry(conversation, first, MODEL)
    assert watch(assistant, conversation, first).state == "complete"
    assert conversation.turn(second).facts == {"by": first}


def test_a_late_click_does_not_try_again_what_the_conversation_has_left_behind(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Refuse(429, "ThrottlingException"))
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    bedrock.reply("Half ", threading.Event())
    second = assistant.ask(conversation, "Two", MODEL)
    watch_until(assistant.follow(conversation, second), "Half")
    assistant.retry(conversation, first, MODEL)
    assert conversation.turn(first).state == "failed"
    assert not conversation.turn(second).ended
    assistant.stop(conversation, second)


@pytest.mark.parametrize("verb", ["edit", "answer_again"])
def test_nothing_is_asked_of_a_conversation_that_was_deleted(
    conversation: Conversation, assistant: Assistant, verb: str
) -> None:
    first = assistant.ask(conversation, "One", MODEL)
    watch(assistant, conversation, first)
    conversation.delete()
    with pytest.raises(DeletedError):
        if verb == "edit":
            assistant.edit(conversation, first, "Other", MODEL)
        else:
            assistant.answer_again(conversation, first, MODEL)
    assert not conversation.path.exists()
