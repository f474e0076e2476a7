"""The store: what was kept is found again, whoever writes beside it and whatever breaks."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chatbot.journals import TAIL, DeletedError, Record
from chatbot.sessions import (
    Conversation,
    Session,
    Values,
    is_conversation_id,
    is_key,
    new_conversation_id,
    new_key,
)
from chatbot.settings import ROOT
from chatbot.storage import SessionError, lock


def prompt(turn: str, text: str) -> Record:
    return {"type": "prompt", "turn": turn, "text": text}


def claim(turn: str, attempt: int, writer: str = "w") -> Record:
    head = {"type": "claim", "turn": turn, "attempt": attempt}
    return head | {"writer": writer, "model": "m"}


def text(turn: str, attempt: int, words: str) -> Record:
    return {"type": "text", "turn": turn, "attempt": attempt, "text": words}


def end(turn: str, attempt: int, state: str) -> Record:
    head = {"type": "end", "turn": turn, "attempt": attempt, "state": state}
    return head | {"reason": "", "notice": "", "usage": {}}


def keep(conversation: Conversation, *records: Record) -> None:
    conversation.update(lambda: records, create=True)


def reread(conversation: Conversation) -> Conversation:
    """Read the file as another process would."""
    other = Conversation(conversation.path)
    other.refresh()
    return other


@pytest.fixture
def conversation(session: Session) -> Conversation:
    conversation = session.conversation(new_conversation_id())
    keep(conversation, prompt("t1", "Hello"), claim("t1", 1), text("t1", 1, "Hi"))
    keep(conversation, text("t1", 1, " there"), end("t1", 1, "complete"))
    return conversation


def test_a_conversation_is_found_again(session: Session, conversation: Conversation) -> None:
    [turn] = reread(conversation).turns
    assert (turn.prompt, turn.answer, turn.state) == ("Hello", "Hi there", "complete")
    [entry] = session.conversations()
    assert (entry.id, entry.title) == (conversation.id, "Hello")


def test_looking_leaves_nothing(session: Session, tmp_path: Path) -> None:
    session.conversation(new_conversation_id()).refresh()
    assert session.conversations() == []
    assert session.get("model") is None
    assert not (tmp_path / "sessions").exists()


def test_only_the_owner_may_read(session: Session, conversation: Conversation) -> None:
    assert stat.S_IMODE(session.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(conversation.path.stat().st_mode) == 0o600


def test_the_folder_does_not_give_the_key_away(session: Session, key: str) -> None:
    assert key not in str(session.folder)
    assert session.id == Session(session.folder.parent, key).id


@pytest.mark.parametrize(
    "key",
    ["", "../x", "/etc/passwd", "k" * 33, new_key() + "\n", new_key().upper(), 7, None, {"a": 1}],
)
def test_a_key_of_the_wrong_shape_opens_nothing(key: object, tmp_path: Path) -> None:
    assert not is_key(key)
    with pytest.raises(ValueError, match="not a session key"):
        Session(tmp_path, key)  # type: ignore[arg-type]


def test_an_address_of_the_wrong_shape_opens_nothing(session: Session) -> None:
    for chat in ("", "../session", "20260101T000000000000-0000000g", f"{new_conversation_id()}/.."):
        assert not is_conversation_id(chat)
        with pytest.raises(ValueError, match="not a conversation id"):
            session.conversation(chat)


def test_values_are_kept_and_the_last_one_holds(session: Session) -> None:
    session["model"] = "nova"
    session["model"] = "claude"
    session["settings"] = {"tone": "formal", "größe": [1, 2.5, None]}
    assert session["model"] == "claude"
    assert session.get("settings") == {"tone": "formal", "größe": [1, 2.5, None]}
    assert session.conversations() == []


def test_a_value_that_is_not_json_is_refused_and_nothing_is_kept(session: Session) -> None:
    with pytest.raises(TypeError):
        session["file"] = object()
    assert not session.folder.exists()


def test_a_value_kept_twice_is_written_once(session: Session) -> None:
    session["model"] = "nova"
    size = (session.folder / "session.jsonl").stat().st_size
    session["model"] = "nova"
    assert (session.folder / "session.jsonl").stat().st_size == size


def test_a_late_writer_changes_nothing(conversation: Conversation) -> None:
    keep(conversation, prompt("t2", "More"), claim("t2", 1, "slow"), text("t2", 1, "One"))
    keep(conversation, claim("t2", 2, "fast"))
    keep(conversation, text("t2", 1, "GHOST"), end("t2", 1, "failed"), text("t2", 2, " two"))
    turn = reread(conversation).turns[1]
    assert (turn.answer, turn.writer, turn.state) == ("One two", "fast", "open")


def test_what_follows_an_end_is_ignored(conversation: Conversation) -> None:
    keep(conversation, text("t1", 1, "GHOST"), end("t1", 1, "failed"))
    turn = reread(conversation).turns[0]
    assert (turn.answer, turn.state) == ("Hi there", "complete")


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
    keep(conversation, prompt("t2", "More"))
    other = reread(conversation)
    assert [turn.prompt for turn in other.turns] == ["Hello", "More"]
    assert other.damaged == 1


def test_a_torn_line_is_not_shown_and_the_next_writer_closes_it_off(
    conversation: Conversation,
) -> None:
    with conversation.path.open("ab") as file:
        file.write(b'{"v":1,"type":"prompt","turn":"t2","te')
    assert len(reread(conversation).turns) == 1
    keep(reread(conversation), prompt("t3", "More"))
    assert [turn.prompt for turn in reread(conversation).turns] == ["Hello", "More"]


def test_a_file_cut_short_is_read_again(conversation: Conversation) -> None:
    first = conversation.path.read_bytes().split(b"\n")[0]
    conversation.path.write_bytes(first + b"\n")
    conversation.refresh()
    assert [(turn.prompt, turn.answer) for turn in conversation.turns] == [("Hello", "")]


def test_lines_of_a_newer_version_are_left_alone(conversation: Conversation) -> None:
    with conversation.path.open("a") as file:
        file.write(json.dumps({"v": 2, "type": "prompt", "turn": "t2", "text": {"new": 1}}) + "\n")
    before = conversation.path.read_bytes()
    keep(conversation, prompt("t3", "More"))
    other = reread(conversation)
    assert (other.newer, other.damaged) == (1, 0)
    assert conversation.path.read_bytes().startswith(before)


def test_a_foreign_file_is_not_listed(session: Session, conversation: Conversation) -> None:
    (session.folder / "notes.jsonl").write_text("{}")
    (session.folder / f"{conversation.id}.jsonl.bak").write_text("{}")
    assert [entry.id for entry in session.conversations()] == [conversation.id]


def test_a_conversation_without_a_readable_title_is_listed(session: Session, key: str) -> None:
    session["model"] = "nova"
    (session.folder / "20260102T030405000000-00000000.jsonl").write_bytes(b"\xff\n")
    assert session.conversations()[0].title == "Conversation of 2026-01-02 03:04 UTC"


def test_half_a_surrogate_pair_does_not_stop_the_saving(conversation: Conversation) -> None:
    keep(conversation, prompt("t2", "broken \ud83d emoji"))
    assert reread(conversation).turns[1].prompt == "broken ? emoji"


def test_a_deleted_conversation_is_gone_for_everybody(
    session: Session, conversation: Conversation
) -> None:
    other = reread(conversation)
    session.conversation(conversation.id).delete()
    assert not conversation.path.exists()
    assert session.conversations() == []
    other.refresh()
    assert other.deleted and other.turns == []
    with pytest.raises(DeletedError):
        other.update(lambda: [text("t1", 1, "GHOST")])
    assert not conversation.path.exists()
    conversation.delete()  # twice is once


def test_threads_of_one_process_do_not_disturb_each_other(conversation: Conversation) -> None:
    def write(name: str) -> None:
        own = Conversation(conversation.path)
        for number in range(50):
            keep(own, prompt(f"{name}-{number}", "x"))

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
from chatbot.sessions import Conversation
own = Conversation(Path(sys.argv[1]))
for number in range(100):
    turn = f"{sys.argv[2]}-{number}"
    own.update(lambda: [{"type": "prompt", "turn": turn, "text": "x" * 300}], create=True)
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
    with pytest.raises(SessionError, match="may not be used"):
        keep(conversation, prompt("t2", "More"))
    assert len(reread(conversation).turns) == 1


def test_a_missing_file_system_is_not_taken_for_an_empty_one(tmp_path: Path, key: str) -> None:
    session = Session(tmp_path / "not" / "mounted", key)
    with pytest.raises(SessionError, match="missing"):
        keep(session.conversation(new_conversation_id()), prompt("t1", "Hello"))


def test_a_full_disk_is_named_and_the_file_stays_readable(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def short_write(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data[:30]), offset)

    monkeypatch.setattr(os, "pwrite", short_write)
    with pytest.raises(SessionError, match="no room left"):
        keep(conversation, prompt("t2", "More"))
    monkeypatch.undo()
    keep(conversation, prompt("t3", "Again"))
    assert [turn.prompt for turn in reread(conversation).turns] == ["Hello", "Again"]


def test_a_lock_that_stays_taken_is_named(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbot.storage.LOCK_WAIT", 0.1)
    with conversation.path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SessionError, match="did not answer in time"):
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
    keep(conversation, *(prompt(f"l{number}", "x" * 500) for number in range(2000)))
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
    keep(conversation, prompt("t2", "More"))
    conversation.refresh()
    assert sum(read) <= 2 * TAIL
    assert sum(written) < 200


def test_an_attachment_comes_back_by_the_hash_of_its_content(session: Session) -> None:
    name = session.attach(b"\x00 a picture")
    assert session.attach(b"\x00 a picture") == name
    assert session.attachment(name) == b"\x00 a picture"
    assert [each.name for each in (session.folder / "attachments").iterdir()] == [name]


def test_an_attachment_has_a_largest_size(session: Session) -> None:
    with pytest.raises(SessionError, match="up to 10 MB"):
        session.attach(bytes(10 * 2**20 + 1))
    assert not session.folder.exists()


@pytest.mark.parametrize("name", ["../session.jsonl", "/etc/passwd", "", "0" * 64, "\0"])
def test_no_other_file_is_read_as_an_attachment(session: Session, name: str) -> None:
    session["team"] = "Sales"
    with pytest.raises(SessionError, match="no such file"):
        session.attachment(name)


def test_a_damaged_attachment_is_told(session: Session) -> None:
    name = session.attach(b"a picture")
    (session.folder / "attachments" / name).write_bytes(b"a pictur")
    with pytest.raises(SessionError, match="damaged"):
        session.attachment(name)


def test_everything_that_is_kept_is_deleted(session: Session, conversation: Conversation) -> None:
    keep(conversation, prompt("t2", "Secret"))
    session["team"] = "Sales"
    session.attach(b"a picture")
    other = Session(session.folder.parent, new_key())
    other["team"] = "Support"
    session.delete()
    assert [each.name for each in session.folder.parent.iterdir()] == [other.id]
    assert session.conversations() == []
    assert session.get("team") is None
    with pytest.raises(DeletedError):
        conversation.update(lambda: [prompt("t3", "Late")])
    session["team"] = "Sales again"  # it can be used as before
    assert session["team"] == "Sales again"
    session.delete()
    session.delete()
