"""Whatever is attached, and however it is called, Bedrock takes the request."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.bedrock import BedrockStandIn, documents_of, texts_of
from support.models import MODEL, talk
from support.uploads import GOOD, PDF, png

from chatbot import file_blocks
from chatbot.bedrock import Bedrock
from chatbot.context import count_fitting_turns, stream_answer
from chatbot.conversations import Turn
from chatbot.file_blocks import Memory, name_documents
from chatbot.file_kinds import KINDS, File, FileLimits, kind_of
from chatbot.models import Cancellation, Finish, Model, ModelError
from chatbot.sessions import Session
from chatbot.storage import StorageError

READER = replace(MODEL, context_window=100_000, files=FileLimits(tuple(KINDS)))
Attach = Callable[[str, bytes], File]


@pytest.fixture
def attach(session: Session) -> Attach:
    """Keep a file in the session."""

    def attach(name: str, content: bytes) -> File:
        return File(session.attach(content), name, kind_of(name), len(content))

    return attach


def ask(turns: list[Turn], session: Session, model: Model = READER) -> Finish:
    """Let the model answer; return how it ended."""
    backend = Bedrock("us-east-1")
    *_, finish = stream_answer(
        backend, model, turns, "Be kind.", Cancellation(), session.attachment
    )
    assert isinstance(finish, Finish)
    return finish


def kinds_of(request: dict[str, object]) -> list[str]:
    """Return what the blocks of the request are, in their order."""
    blocks = [block for each in request["messages"] for block in each["content"]]  # type: ignore
    return [next(iter(block)) for block in blocks]


def test_files_come_before_their_text_and_again_with_each_request(
    bedrock: BedrockStandIn, session: Session, attach: Attach
) -> None:
    turns = talk(("Compare", "Done."), ("And now?", ""))
    turns[0].files = (attach("report.pdf", PDF), attach("report.docx", GOOD["a.docx"]))
    turns[0].files += (attach("photo.png", png()),)
    ask([replace(turns[0], answer="")], session)
    assert ask(turns, session).facts == {}
    first, second = bedrock.requests
    assert documents_of(first) == documents_of(second) == ["report", "report 2"]
    assert kinds_of(first) == ["document", "text", "document", "image", "text"]
    assert first["messages"][0] == second["messages"][0]
    assert "[The document report 2 is the file report.docx.]" in texts_of(first)


def test_a_file_needs_no_text(bedrock: BedrockStandIn, session: Session, attach: Attach) -> None:
    turns = talk((" ", ""))
    turns[0].files = (attach("report.pdf", PDF),)
    assert ask(turns, session).code == "end_turn"
    assert texts_of(bedrock.requests[0]) == ["report.pdf"]


def test_the_oldest_files_are_left_out_where_there_are_too_many(
    bedrock: BedrockStandIn, session: Session, attach: Attach
) -> None:
    turns = talk(*[(f"{number}", "Yes") for number in range(4)], ("Last", ""))
    for number, turn in enumerate(turns):
        turn.files = tuple(attach(f"{number} {each}.pdf", PDF) for each in "ab")
    assert ask(turns, session).facts == {"files": 5}
    assert documents_of(bedrock.requests[0]) == ["2 b", "3 a", "3 b", "4 a", "4 b"]
    assert "[The file 0 a.pdf was attached here, but is not sent.]" in texts_of(bedrock.requests[0])


def test_a_model_without_files_gets_the_text_alone(
    bedrock: BedrockStandIn, session: Session, attach: Attach
) -> None:
    turns = talk(("Compare", "Done."), ("And now?", ""))
    turns[0].files = (attach("report.pdf", PDF),)
    assert ask(turns, session, replace(MODEL, files=FileLimits())).facts == {"files": 1}
    assert kinds_of(bedrock.requests[0]) == ["text"] * 4


def test_a_file_that_is_lost_does_not_end_the_chat(
    bedrock: BedrockStandIn, session: Session, attach: Attach
) -> None:
    turns = talk(("Compare", ""))
    turns[0].files = (attach("report.pdf", PDF), attach("b.pdf", PDF + b"!"))
    (session.folder / "attachments" / turns[0].files[0].hash).unlink()
    assert ask(turns, session).facts == {"files": 1}
    assert documents_of(bedrock.requests[0]) == ["b"]


def test_a_storage_that_fails_is_told(session: Session, attach: Attach) -> None:
    turns = talk(("Compare", ""))
    turns[0].files = (attach("report.pdf", PDF),)

    def fail(name: str) -> bytes:
        raise StorageError("timeout", errno="ETIMEDOUT")

    stream = stream_answer(Bedrock("us-east-1"), READER, turns, "", Cancellation(), fail)
    with pytest.raises(ModelError, match="files: error=timeout"):
        list(stream)


def test_a_file_takes_its_part_of_the_window(attach: Attach) -> None:
    turns = talk(("Compare", "Done."), ("And now?", ""))
    turns[0].files = (attach("report.txt", b"word " * 2_000),)
    model = replace(READER, context_window=4_000)
    assert count_fitting_turns(turns, model, "") == 1
    assert count_fitting_turns(turns, replace(model, context_window=9_000), "") == 2


def test_text_is_sent_as_utf_8_whatever_program_saved_it(
    bedrock: BedrockStandIn, session: Session, attach: Attach
) -> None:
    turns = talk(("Read", ""))
    turns[0].files = (attach("a.txt", GOOD["a.txt"]), attach("b.csv", GOOD["a.csv"]))
    ask(turns, session)
    blocks = bedrock.requests[0]["messages"][0]["content"]
    sent = [block["document"]["source"]["bytes"] for block in blocks if "document" in block]
    assert sent == ["R3LDvMOfZQ==", "YTtiCjE7MiDigqwK"]


NAMES = [
    *("report.pdf", "report.docx", "Report.txt", "report 2.pdf", "report  2.csv", "a.b.c.pdf"),
    *("見積書.pdf", "見積書\u3000最終.pdf", "🎉.png", ".pdf", "..pdf", " .md", "-.txt", "_.txt"),
    *("x" * 300 + ".pdf", "x" * 300 + ".docx", "(1).pdf", "[1].pdf", "a/b.pdf", "a\tb.pdf"),
    *("a\u00a0b.pdf", "a\u200bb.pdf", "\u202efdp.exe.pdf", "CON.pdf", "a&b<c>.html", "é.csv"),
]


@pytest.mark.parametrize("seed", range(30))
def test_any_names_and_any_set_of_files_make_a_request_that_bedrock_takes(
    bedrock: BedrockStandIn, session: Session, attach: Attach, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    turns = []
    for number in range(chance.randrange(1, 9)):
        prompt = chance.choice(["Read", " ", "\u200b", "What is it?"])
        answer = chance.choice(["Yes.", "", "  "])
        [turn] = talk((prompt, answer))
        turn.id = f"t{number}"
        for _ in range(chance.choice([0, 1, 2, 9])):
            kind = chance.choice(list(GOOD))[2:]
            stem = chance.choice(NAMES).rpartition(".")[0]
            stem += "".join(chr(chance.randrange(32, 0x3100)) for _ in range(chance.randrange(4)))
            turn.files += (attach(f"{stem}.{kind}", GOOD[f"a.{kind}"]),)
        turns.append(turn)
    turns[-1].answer = ""
    turns[-1].files = turns[-1].files or (attach(chance.choice(NAMES[:6]), PDF),)
    assert ask(turns, session).code == "end_turn"
    assert len(bedrock.requests) == 1  # it was not refused, and then shortened


def test_a_name_does_not_change_as_the_chat_goes_on() -> None:
    files = [File("0" * 64, name, "pdf", 1) for name in NAMES * 2]
    names = name_documents(files)
    assert len({name.lower() for name in names}) == len(names)
    for length in range(len(files)):
        assert name_documents(files[:length]) == names[:length]


def test_large_requests_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_blocks, "LOOK_EVERY", 0.01)
    memory, given_up, got = Memory(10), threading.Event(), threading.Event()
    assert memory.take(6, given_up.is_set)

    def wait() -> None:
        if memory.take(6, given_up.is_set):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert memory.take(4, given_up.is_set)  # there is room for a small one
    memory.give_back(4)
    assert not got.is_set()
    memory.give_back(6)
    waiting.join(20)
    assert got.is_set()
    given_up.set()
    assert not memory.take(6, given_up.is_set)
    memory.give_back(6)
    assert memory.take(11, lambda: False)  # larger than all the room, but alone
