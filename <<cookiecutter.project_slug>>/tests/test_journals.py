"""A journal holds what was appended to it, whoever writes beside and whatever breaks."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.store import append, reread

from chatbot.conversations import Conversation, new_conversation_id
from chatbot.identity import session_folder
from chatbot.journals import TAIL, DeletedError
from chatbot.records import Delete, End, Prompt
from chatbot.sessions import Session
from chatbot.settings import ROOT
from chatbot.storage import StorageError, lock
from chatbot.values import Values


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"v":1,"type":"prompt","turn":"t9"}\n',
        b'{"v":1,"type":"text","turn":"t9","attempt":1,"text":"x"}\n',
        b'{"v":1,"type":"prompt","turn":["t9"],"text":"x","at":"2026-01-01T00:00:00+00:00"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_line_costs_only_itself(conversation: Conversation, line: bytes) -> None:
    with conversation.path.open("ab") as file:
        file.write(line)
    append(conversation, Prompt("t2", "More"))
    other = reread(conversation)
    assert [turn.prompt for turn in other.turns] == ["Hello", "More"]
    assert other.damaged == 1


def test_a_torn_line_is_not_shown_and_the_next_writer_closes_it_off(
    conversation: Conversation,
) -> None:
    with conversation.path.open("ab") as file:
        file.write(b'{"v":1,"type":"prompt","turn":"t2","te')
    assert len(reread(conversation).turns) == 1
    append(reread(conversation), Prompt("t3", "More"))
    assert [turn.prompt for turn in reread(conversation).turns] == ["Hello", "More"]


def test_a_line_that_lacks_only_its_newline_counts_for_its_next_writer_too(
    conversation: Conversation,
) -> None:
    append(conversation, Prompt("t2", "More"))
    conversation.path.write_bytes(conversation.path.read_bytes().removesuffix(b"\n"))
    writer = reread(conversation)
    seen: list[str] = []

    def decide() -> list[Prompt]:
        seen.extend(turn.prompt for turn in writer.turns)
        return [Prompt("t3", "And more")]

    writer.update(decide)
    assert seen == ["Hello", "More"]
    assert [turn.prompt for turn in writer.turns] == ["Hello", "More", "And more"]
    assert reread(conversation).turns == writer.turns


def test_a_line_without_its_newline_that_deletes_the_chat_is_heeded(
    conversation: Conversation,
) -> None:
    append(conversation, Delete())
    conversation.path.write_bytes(conversation.path.read_bytes().removesuffix(b"\n"))
    writer = reread(conversation)
    with pytest.raises(DeletedError):
        writer.update(lambda: [End(writer.turn("t1").id, 1, "stopped")])


def test_a_file_cut_short_is_read_again(conversation: Conversation) -> None:
    first = conversation.path.read_bytes().split(b"\n")[0]
    conversation.path.write_bytes(first + b"\n")
    conversation.refresh()
    assert [(turn.prompt, turn.answer) for turn in conversation.turns] == [("Hello", "")]


def test_lines_of_a_newer_version_are_left_alone(conversation: Conversation) -> None:
    with conversation.path.open("a") as file:
        file.write(json.dumps({"v": 3, "type": "prompt", "turn": "t2", "text": {"new": 1}}) + "\n")
    before = conversation.path.read_bytes()
    append(conversation, Prompt("t3", "More"))
    other = reread(conversation)
    assert (other.newer, other.damaged) == (1, 0)
    assert conversation.path.read_bytes().startswith(before)


def test_half_a_surrogate_pair_does_not_stop_the_saving(conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "broken \ud83d emoji"))
    assert reread(conversation).turns[1].prompt == "broken \ufffd emoji"


def test_threads_of_one_process_do_not_disturb_each_other(conversation: Conversation) -> None:
    def write(name: str) -> None:
        own = Conversation(conversation.path)
        for number in range(50):
            append(own, Prompt(f"{name}-{number}", "x"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other = reread(conversation)
    assert len(other.turns) == 1 + 4 * 50
    assert other.damaged == 0


WRITER = """
import sys
from pathlib import Path
from chatbot.conversations import Conversation
from chatbot.records import Prompt
own = Conversation(Path(sys.argv[1]))
for number in range(100):
    turn = f"{sys.argv[2]}-{number}"
    own.update(lambda: [Prompt(turn, "x" * 300)], create=True)
    print(turn, flush=True)
"""


def test_processes_agree_on_one_order_and_lose_nothing(conversation: Conversation) -> None:
    command = [sys.executable, "-c", WRITER, str(conversation.path)]
    processes = [subprocess.Popen([*command, name], cwd=ROOT) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    ids = [turn.id for turn in reread(conversation).turns[1:]]
    for name in "ab":
        own = [each for each in ids if each.startswith(name)]
        assert own == [f"{name}-{number}" for number in range(100)]


def test_what_a_killed_writer_acknowledged_is_there(conversation: Conversation) -> None:
    command = [sys.executable, "-c", WRITER, str(conversation.path), "a"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
    ids = [turn.id for turn in reread(conversation).turns]
    assert ids[1:21] == acknowledged


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_only_be_read_is_named(
    session: Session, conversation: Conversation
) -> None:
    conversation.path.chmod(0o400)
    with pytest.raises(StorageError, match="forbidden"):
        append(conversation, Prompt("t2", "More"))
    assert len(reread(conversation).turns) == 1


def test_a_missing_file_system_is_not_taken_for_an_empty_one(tmp_path: Path, key: str) -> None:
    session = Session(session_folder(tmp_path / "not" / "mounted", key))
    with pytest.raises(StorageError, match="missing"):
        append(session.conversation(new_conversation_id()), Prompt("t1", "Hello"))


def test_a_full_disk_is_named_and_the_file_stays_readable(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def short_write(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data[:30]), offset)

    monkeypatch.setattr(os, "pwrite", short_write)
    with pytest.raises(StorageError, match="full"):
        append(conversation, Prompt("t2", "More"))
    monkeypatch.undo()
    append(conversation, Prompt("t3", "Again"))
    assert [turn.prompt for turn in reread(conversation).turns] == ["Hello", "Again"]


def test_a_lock_that_stays_taken_is_named(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbot.storage.LOCK_TIMEOUT", 0.1)
    with conversation.path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="timeout"):
            conversation.refresh()
    conversation.refresh()


def test_a_value_that_waited_for_a_file_that_went_is_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything was deleted while it waited."""
    opened = threading.Event()

    def wait_for_lock(descriptor: int, kind: int) -> None:
        opened.set()
        lock(descriptor, kind)

    session["team"] = "Sales"
    file = session.folder / "session.jsonl"
    waiting = threading.Thread(target=session.__setitem__, args=("team", "Support"))
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        monkeypatch.setattr("chatbot.journals.lock", wait_for_lock)
        waiting.start()
        assert opened.wait(10)
        file.unlink()
    waiting.join()
    values = Values(file)
    values.refresh()
    assert values.values == {"team": "Support"}


def test_a_turn_costs_the_same_in_a_long_conversation(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(conversation, *(Prompt(f"l{number}", "x" * 500) for number in range(2000)))
    read, written = [], []
    pread, pwrite = os.pread, os.pwrite

    def counted_pread(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        read.append(len(data))
        return data

    def counted_pwrite(descriptor: int, data: bytes, offset: int) -> int:
        written.append(len(data))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pread", counted_pread)
    monkeypatch.setattr(os, "pwrite", counted_pwrite)
    append(conversation, Prompt("t2", "More"))
    conversation.refresh()
    assert sum(read) <= 2 * TAIL
    assert sum(written) < 200
