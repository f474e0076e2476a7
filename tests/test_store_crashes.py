"""Writers that are killed anywhere lose nothing that they had acknowledged, and tear nothing else.

On the folder that MOUNT_A names, else on this machine's disk.
"""

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from chatbot.conversations import Conversation
from chatbot.identity import new_key, session_folder
from chatbot.records import Prompt
from chatbot.sessions import Session
from chatbot.storage import StorageError

LARGE = 4 * 2**20  # bytes: the kernel writes that in many steps
# These tests run on this machine's disk, too, where a writer takes a fiftieth of the time. So a
# sample is enough on NFS: it shows what another file system could change.
ON_NFS = "MOUNT_A" in os.environ
KILLED_AT_RANDOM = 60 if ON_NFS else 500  # writers; those that are killed at lines come on top
STEP = 7 if ON_NFS else 1  # a writer is killed at each line, or at each seventh


@pytest.fixture
def session(tmp_path: Path) -> Session:
    root = Path(os.environ.get("MOUNT_A", tmp_path)) / "crashes"
    return Session(session_folder(root, new_key()))


@pytest.fixture
def path(session: Session) -> Iterator[Path]:
    """Of a conversation whose folder is not there yet."""
    session.folder.parent.mkdir(exist_ok=True)
    yield session.folder / "20261124T090000000000-00000000.jsonl"
    session.delete()


def text_of(turn: str) -> str:
    """Return what is said in a turn of that name; the name tells the length."""
    return turn + "." * int(turn.partition("/")[2])


def append(path: Path, turn: str) -> None:
    Conversation(path).update(lambda: [Prompt(turn, text_of(turn))], create=True)


def write_in_child(write: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Run `write` in a process of its own; return its number, and the end of a pipe to read.

    What `write` hands to the function that it is given comes out of the pipe at once.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:

        def acknowledge(turn: str) -> None:
            os.write(writing, f"{turn}\n".encode())

        try:
            write(acknowledge)
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writing)
    return child, reading


def what_it_acknowledged(child: int, reading: int, first: str = "") -> tuple[list[str], int]:
    """Wait for the end of the child; return the turns that it acknowledged, and how it ended.

    `first` is what was read from the pipe already.
    """
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return (first + pipe.read()).split(), os.waitstatus_to_exitcode(status)


def check(path: Path, acknowledged: list[str]) -> None:
    """Check that all of them are there, in their order, and nothing that was never said."""
    conversation = Conversation(path)
    conversation.refresh()
    turns = [turn.id for turn in conversation.turns]
    assert [turn for turn in turns if turn in set(acknowledged)] == acknowledged
    assert all(turn.prompt == text_of(turn.id) for turn in conversation.turns)


def test_writers_that_are_killed_at_random_lose_nothing(path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    acknowledged: list[str] = []
    killed = 0
    for writer in range(KILLED_AT_RANDOM):

        def write(acknowledge: Callable[[str], None], writer: int = writer) -> None:
            for number in range(1000):
                size = LARGE if writer % 20 == 0 and number == 2 else 100 * (number % 5)
                append(path, f"{writer}-{number}/{size}")
                acknowledge(f"{writer}-{number}/{size}")

        child, reading = write_in_child(write)
        # Some before they have said anything, the others while they go on after their first turn.
        first = os.read(reading, 100).decode() if writer % 4 else ""
        time.sleep(chance.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        turns, status = what_it_acknowledged(child, reading, first)
        acknowledged += turns
        killed += status == -signal.SIGKILL
        if writer % 20 == 0:
            check(path, acknowledged)
    append(path, "last/0")
    check(path, [*acknowledged, "last/0"])
    assert killed == KILLED_AT_RANDOM
    assert len(acknowledged) >= KILLED_AT_RANDOM * 3 / 4


def killed_at_line(number: int, action: Callable[[], object]) -> Callable[..., None]:
    """Return what kills its process at the so-manieth line of the store that the action runs."""
    lines = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        if "chatbot" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def write(acknowledge: Callable[[str], None]) -> None:
        sys.settrace(trace)
        action()
        sys.settrace(None)
        acknowledge("done")

    return write


def kill_at_each_line(action: Callable[[], object], check_after: Callable[[bool], None]) -> int:
    """Run the action in processes that are killed at its first line, second line, and so on.

    Return the number of the line at which none was killed any more.
    """
    for number in range(1, 1000, STEP):
        turns, status = what_it_acknowledged(*write_in_child(killed_at_line(number, action)))
        assert status in (0, -signal.SIGKILL)
        check_after(bool(turns))
        if status == 0:
            return number
    raise AssertionError("The action does not end.")


def test_a_writer_that_is_killed_at_any_line_of_the_store_loses_nothing(path: Path) -> None:
    append(path, "before/0")
    conversation = Conversation(path)
    conversation.refresh()  # what a killed writer wrote all the same is read by the next one
    size = 0

    def write() -> None:
        prompt = Prompt(f"{size}/{size}", text_of(f"{size}/{size}"))
        conversation.update(lambda: [prompt])

    def check_after(done: bool) -> None:
        nonlocal size
        check(path, ["before/0", f"{size}/{size}"] if done else ["before/0"])
        conversation.refresh()
        size += 1

    assert kill_at_each_line(write, check_after) > 50


def test_the_first_writer_of_a_session_can_be_killed_at_any_line(
    path: Path, session: Session
) -> None:
    def check_after(_done: bool) -> None:
        append(path, "after/0")
        check(path, ["after/0"])
        session.delete()
        assert not session.folder.exists()

    assert kill_at_each_line(lambda: append(path, "first/10"), check_after) > 50


def test_deleting_can_be_killed_at_any_line(path: Path, session: Session) -> None:
    """What was to be deleted is whole or gone, and can be deleted again."""

    def check_after(_done: bool) -> None:
        conversation = Conversation(path)
        conversation.refresh()
        assert conversation.missing or [turn.id for turn in conversation.turns] == ["secret/9"]
        session.delete()
        assert not session.folder.exists()
        append(path, "secret/9")
        session["team"] = "Sales"
        session.attach(b"a file")

    check_after(False)
    assert kill_at_each_line(session.delete, check_after) > 50


def test_values_and_attachments_can_be_killed_at_any_line(path: Path, session: Session) -> None:
    def check_after(done: bool) -> None:
        again = Session(session_folder(session.folder.parent, key))
        assert again.get("team") in (["Sales"] if done else [None, "Sales"])

    key = new_key()
    victim = Session(session_folder(session.folder.parent, key))
    assert kill_at_each_line(lambda: victim.__setitem__("team", "Sales"), check_after) > 50

    def check_attachment(_done: bool) -> None:
        names = {each.name for each in (victim.folder / "attachments").iterdir()}
        whole = {victim.attachment(name) for name in names if "." not in name}
        assert whole <= {b"a file", b"another file"}

    victim.attach(b"another file")
    kill_at_each_line(lambda: victim.attach(b"a file"), check_attachment)
    victim.delete()
    assert not victim.folder.exists()


@pytest.mark.parametrize("torn_after", [1, 20, 100, 4000])
def test_a_line_that_the_disk_took_half_of_is_no_line(path: Path, torn_after: int) -> None:
    """The process survives that, tells it, and goes on once there is room."""
    append(path, "before/0")

    def write(acknowledge: Callable[[str], None]) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + torn_after, hard))
        try:
            append(path, "torn/5000")
        except StorageError:
            acknowledge("told/0")
        check(path, ["before/0"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        append(path, "after/0")
        acknowledge("after/0")

    size = path.stat().st_size
    turns, status = what_it_acknowledged(*write_in_child(write))
    assert (turns, status) == (["told/0", "after/0"], 0)
    check(path, ["before/0", "after/0"])
    lines = path.read_bytes()[size:].splitlines()
    assert len(lines[0]) == torn_after
    assert isinstance(json.loads(lines[1]), dict)


def test_a_reader_never_sees_half_a_line(path: Path) -> None:
    """It reads on while writers append large lines."""

    def write(acknowledge: Callable[[str], None]) -> None:
        for number in range(30):
            append(path, f"{number}/{LARGE // 8}")
            acknowledge(f"{number}/{LARGE // 8}")

    append(path, "first/0")
    child, reading = write_in_child(write)
    conversation = Conversation(path)
    while len(conversation.turns) <= 30:
        conversation.refresh()
        assert all(turn.prompt == text_of(turn.id) for turn in conversation.turns)
        assert not conversation.damaged
    assert what_it_acknowledged(child, reading)[1] == 0
