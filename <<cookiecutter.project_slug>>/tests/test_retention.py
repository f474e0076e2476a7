"""Sessions that nobody has used for long are deleted, and no others."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import store
from support.store import append

from chatbot.conversations import new_conversation_id
from chatbot.records import Prompt
from chatbot.retention import DAY, MARK, sweep
from chatbot.sessions import Session, delete_session
from chatbot.settings import ROOT
from chatbot.storage import StorageError


def no_wait(_seconds: float) -> None:
    pass


def new_session(root: Path) -> Session:
    """Make a session with a conversation, a value and an attachment."""
    session = store.new_session(root)
    append(session.conversation(new_conversation_id()), Prompt("t1", "Hello"))
    session["team"] = "Sales"
    session.attach(b"a file")
    return session


def make_older(path: Path, days: float) -> None:
    """Make the file, or everything in the folder and the folder, so many days older."""
    for each in [*path.rglob("*"), path]:
        then = each.stat().st_mtime - days * DAY
        os.utime(each, (then, then))


def test_only_sessions_that_nobody_used_for_so_long_go(tmp_path: Path) -> None:
    idle, used = new_session(tmp_path), new_session(tmp_path)
    make_older(idle.folder, 91)
    make_older(used.folder, 89)
    assert sweep(tmp_path, 90, no_wait) == 1
    assert not idle.folder.exists()
    assert used["team"] == "Sales"
    assert used.conversations()


@pytest.mark.parametrize("use", ["message", "value", "attachment"])
def test_any_use_keeps_the_whole_session(tmp_path: Path, use: str) -> None:
    session = new_session(tmp_path)
    old = session.conversations()[0].id
    make_older(session.folder, 91)
    if use == "message":
        append(session.conversation(new_conversation_id()), Prompt("t1", "Back again"))
    elif use == "value":
        session["visited"] = "today"
    else:
        session.attach(b"another file")
    assert sweep(tmp_path, 90, no_wait) == 0
    assert old in [entry.id for entry in session.conversations()]


def test_a_session_that_comes_into_use_meanwhile_stays(tmp_path: Path) -> None:
    """Its owner says something after the sweep has looked, but before it deletes."""
    session = new_session(tmp_path)
    conversation = session.conversation(session.conversations()[0].id)
    make_older(session.folder, 91)

    opened = os.open
    came_back: list[bool] = []

    def come_back(path: object, *arguments: int) -> int:
        if path == conversation.path and not came_back:
            came_back.append(True)
            session["visited"] = "today"
        return opened(path, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", come_back)
        sweep(tmp_path, 90, no_wait)
    assert came_back
    assert [turn.prompt for turn in conversation.turns] == ["Hello"]
    assert conversation.path.exists()


def test_a_file_that_is_attached_during_the_deletion_stays(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    asked, attached = 0, []

    def wanted() -> bool:
        nonlocal asked
        asked += 1
        if asked > 1:  # the conversation has gone, and no use was seen
            attached.append(session.attach(b"a new file"))
        return True

    delete_session(session.folder, wanted)
    assert attached
    assert session.attachment(attached[0]) == b"a new file"
    assert session.get("team") is None


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    foreign = tmp_path / "lost+found" / "file"
    session = new_session(tmp_path)
    inside = session.folder / "notes.txt"
    for each in (foreign, inside):
        each.parent.mkdir(exist_ok=True)
        each.write_text("mine")
    make_older(tmp_path, 91)
    assert sweep(tmp_path, 90, no_wait) == 1
    assert foreign.exists() and inside.exists()
    assert [each.name for each in session.folder.iterdir()] == ["notes.txt"]


def test_one_task_sweeps_once_a_day(tmp_path: Path) -> None:
    new_session(tmp_path)
    assert sweep(tmp_path, 90, no_wait) == 0
    assert sweep(tmp_path, 90, no_wait) is None
    make_older(tmp_path / MARK, 1.1)
    assert sweep(tmp_path, 90, no_wait) == 0
    assert sweep(tmp_path, 90, no_wait) is None


def test_two_tasks_do_not_sweep_at_once(tmp_path: Path) -> None:
    new_session(tmp_path)
    (tmp_path / MARK).touch()
    make_older(tmp_path / MARK, 2)
    other = """
import sys, pathlib
from chatbot.conversations import new_conversation_id
from chatbot.records import Prompt
from chatbot.retention import sweep
def wait(_seconds):
    print("at it", flush=True)
    sys.stdin.readline()
sweep(pathlib.Path(sys.argv[1]), 90, wait)
"""
    with subprocess.Popen(
        [sys.executable, "-c", other, tmp_path],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stdout.readline() == "at it\n"
        assert sweep(tmp_path, 90, no_wait) is None
        process.communicate("go on\n")
    make_older(tmp_path / MARK, 2)
    assert sweep(tmp_path, 90, no_wait) == 0


def test_a_visitor_who_left_nothing_costs_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing", 90, no_wait) is None
    assert not (tmp_path / "missing").exists()


def test_a_session_that_can_not_be_deleted_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted((new_session(tmp_path), new_session(tmp_path)), key=lambda s: s.id)
    make_older(tmp_path, 91)
    monkeypatch.setattr("chatbot.storage.LOCK_TIMEOUT", 0.1)
    entry = first.conversations()[0].id
    with (first.folder / f"{entry}.jsonl").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert sweep(tmp_path, 90, no_wait) == 1
    assert not second.folder.exists()
    assert f"Session {first.id[:8]} was not deleted" in caplog.text
    assert first["team"] == "Sales"


def test_a_folder_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / MARK).mkdir()
    with pytest.raises(StorageError):
        sweep(tmp_path, 90, no_wait)


@pytest.mark.parametrize("ahead", [-100, 100])
def test_a_task_with_a_wrong_clock_deletes_nothing_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ahead: float,
) -> None:
    used, idle = new_session(tmp_path), new_session(tmp_path)
    make_older(idle.folder, 91)
    wrong = time.time() + ahead * DAY
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: wrong)
        assert sweep(tmp_path, 90, no_wait) is None
        assert "clock differs" in caplog.text
    assert sweep(tmp_path, 90, no_wait) == 1  # by a task whose clock is right
    assert used["team"] == "Sales"


def test_a_session_whose_file_system_has_a_wrong_clock_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is 100 days ahead of the task, so everything seems to be old."""
    session = new_session(tmp_path)
    right = time.time()
    make_older(session.folder, 100)
    monkeypatch.setattr(time, "time", lambda: right - 100 * DAY)
    assert sweep(tmp_path, 90, no_wait) is None
    assert session["team"] == "Sales"


def test_a_mark_from_the_future_stops_no_sweep(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    (tmp_path / MARK).touch()
    make_older(session.folder, 91)
    make_older(tmp_path / MARK, -400)
    assert sweep(tmp_path, 90, no_wait) == 1
    assert sweep(tmp_path, 90, no_wait) is None  # the mark is right again


def test_clocks_that_differ_a_little_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, used = new_session(tmp_path), new_session(tmp_path)
    make_older(idle.folder, 90.01)
    make_older(used.folder, 89.99)
    late = time.time() + 1_800  # half an hour, which is more than the hundredth of a day
    monkeypatch.setattr(time, "time", lambda: late)
    assert sweep(tmp_path, 90, no_wait) == 1
    assert used["team"] == "Sales"


def test_time_is_measured_in_days(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    assert time.time() - session.folder.stat().st_mtime < DAY
    make_older(session.folder, 1.5)
    assert sweep(tmp_path, 2, no_wait) == 0
    make_older(tmp_path / MARK, 2)
    assert sweep(tmp_path, 1, no_wait) == 1
