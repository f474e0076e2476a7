"""A chat's title, pin and deletion, as two tasks see them in one folder."""

import errno
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest
from support.page import OpenPage, click, read_messages, say
from support.store import append, new_session

from chatbot import deletions, labels, sessions
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.page.chats import group_by_age
from chatbot.page.state import NEW, Tab
from chatbot.records import Delete, Prompt, Value
from chatbot.retention import sweep
from chatbot.sessions import ConversationSummary, Session, stamp_of
from chatbot.settings import ROOT


def write(session: Session, prompt: str) -> Conversation:
    conversation = session.conversation(new_conversation_id())
    append(conversation, Prompt("t1", prompt, "m"))
    return conversation


def titles(session: Session) -> list[str]:
    return [chat.title for chat in session.conversations()]


def label_of(conversation: Conversation) -> Path:
    return conversation.path.with_name(f"{conversation.id}{labels.ENDING}")


class AnotherTask(labels.LabelFile):
    """The label as another process has it open."""


def test_a_title_of_ones_own_stays_and_moves_nothing(session: Session) -> None:
    first, second = write(session, "First"), write(session, "Second")
    session.rename_conversation(first.id, "  My\n title ")
    assert titles(session) == ["Second", "My title"]
    session.rename_conversation(first.id, "x" * 500)
    assert len(session.conversations()[1].title) == labels.TITLE_LENGTH
    session.rename_conversation(first.id, " ")
    assert titles(session) == ["Second", "First"]
    assert not label_of(second).exists()


def test_a_pin_is_kept_once(session: Session) -> None:
    chat = write(session, "Hello")
    for pinned in (True, True, False, True):
        session.pin_conversation(chat.id, pinned)
    assert session.conversations()[0].pinned
    assert label_of(chat).read_bytes().count(b"\n") == 3


def test_what_another_task_does_is_seen(session: Session) -> None:
    chat = write(session, "Hello")
    session.rename_conversation(chat.id, "Mine")
    assert titles(session) == ["Mine"]
    other = AnotherTask(label_of(chat))
    other.update(lambda: [Value(labels.TITLE, "Theirs"), Value(labels.PINNED, True)])
    [seen] = session.conversations()
    assert (seen.title, seen.pinned) == ("Theirs", True)
    other.update(lambda: [Value(labels.TITLE, 5), Value(labels.DELETION, "nonsense")])
    assert titles(session) == ["Hello"]


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What is to be done after UNDO_SECONDS; it is not done by itself."""
    begun: list[Callable[[], None]] = []

    class Later(Timer):
        def start(self) -> None:
            begun.append(self.run)
            self.finished.wait = lambda timeout=None: False  # type: ignore[method-assign]

    monkeypatch.setattr(sessions, "Timer", Later)
    return begun


def test_a_removed_chat_comes_back_whole(
    session: Session, timers: list[Callable[[], None]]
) -> None:
    chat = write(session, "Hello")
    session.rename_conversation(chat.id, "Mine")
    before = chat.path.read_bytes()
    assert session.remove_conversation(chat.id)
    assert titles(session) == [] and session.is_removed(chat.id)
    assert session.newest_conversation() == ""
    assert session.bring_back(chat.id)
    assert titles(session) == ["Mine"] and not session.is_removed(chat.id)
    timers[0]()
    assert chat.path.read_bytes() == before


def test_a_chat_that_is_removed_again_can_be_brought_back_again(
    session: Session, timers: list[Callable[[], None]]
) -> None:
    chat = write(session, "Hello")
    session.remove_conversation(chat.id)
    assert session.bring_back(chat.id)
    session.remove_conversation(chat.id)
    timers[0]()  # of the first time
    assert session.bring_back(chat.id) and titles(session) == ["Hello"]
    session.remove_conversation(chat.id)
    timers[2]()
    assert not chat.path.exists()


def test_another_task_waits_anew_for_a_chat_that_is_removed_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: now))
    chat = leave_removed(session, "Hello")
    assert titles(session) == []
    now += sessions.UNDO_SECONDS + 1
    for deletion in ("", labels.ASKED):
        AnotherTask(label_of(chat)).update(lambda said=deletion: [Value(labels.DELETION, said)])  # type: ignore[misc]
    assert titles(session) == [] and chat.path.exists()
    now += sessions.UNDO_SECONDS + 1
    assert titles(session) == [] and not chat.path.exists()


def test_a_removed_chat_is_deleted_for_good_after_a_while(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "UNDO_SECONDS", 0.05)
    chat, kept = write(session, "Forget this"), write(session, "Keep this")
    session.rename_conversation(chat.id, "Mine")
    session.remove_conversation(chat.id)
    deadline = time.monotonic() + 10
    while label_of(chat).exists() and time.monotonic() < deadline:
        pass
    assert [each.name for each in session.folder.iterdir()] == [kept.path.name]
    assert deletions.is_deleted(session.folder, 0, chat.id)  # for a restore
    assert not session.bring_back(chat.id)


def leave_removed(session: Session, prompt: str, *values: Value) -> Conversation:
    """Leave a chat behind as a task does that is killed after it was removed."""
    chat = write(session, prompt)
    values = values or (Value(labels.DELETION, labels.ASKED),)
    AnotherTask(label_of(chat)).update(lambda: values, create=True)
    return chat


def test_what_a_killed_task_has_removed_is_deleted_by_the_next_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = leave_removed(session, "Forget this")
    assert titles(session) == []
    assert chat.path.exists()  # it may still be undone
    monkeypatch.setattr(sessions, "UNDO_SECONDS", 0.0)
    assert titles(session) == []
    assert list(session.folder.iterdir()) == []


@pytest.mark.parametrize("step", ["before", "between"])
def test_a_task_that_is_killed_while_it_deletes_leaves_nothing_half(
    session: Session, step: str
) -> None:
    chat = leave_removed(session, "Forget this", Value(labels.DELETION, labels.BEGUN))
    assert not session.bring_back(chat.id)
    if step == "between":
        chat.path.unlink()
    assert titles(session) == []
    assert list(session.folder.iterdir()) == []


def test_retention_deletes_what_was_removed_and_never_looked_at_again(session: Session) -> None:
    chat, kept = leave_removed(session, "Forget this"), write(session, "Keep this")
    young = leave_removed(session, "Just now")
    hours_ago = time.time() - 2 * 3600
    os.utime(label_of(chat), (hours_ago, hours_ago))
    assert sweep(session.folder.parent, 90, lambda _: None) == 0
    assert not chat.path.exists() and kept.path.exists() and young.path.exists()


def test_a_full_disk_has_a_chat_deleted_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = write(session, "Forget this")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    assert not session.remove_conversation(chat.id)
    assert not chat.path.exists()


def test_a_label_goes_with_its_session(session: Session) -> None:
    chat = write(session, "Hello")
    session.pin_conversation(chat.id, True)
    session.delete()
    assert not session.folder.exists()


def test_the_stamp_changes_with_what_a_person_sees(session: Session) -> None:
    first, second = write(session, "First"), write(session, "Second")
    seen = [stamp_of(session.conversations())]
    append(second, Prompt("t2", "More"))
    assert stamp_of(session.conversations()) == seen[0]  # it is the newest one already
    session.pin_conversation(first.id, True)
    seen.append(stamp_of(session.conversations()))
    session.rename_conversation(first.id, "Mine")
    seen.append(stamp_of(session.conversations()))
    append(first, Prompt("t2", "More"))
    seen.append(stamp_of(session.conversations()))
    session.remove_conversation(second.id)
    seen.append(stamp_of(session.conversations()))
    assert len(set(seen)) == 5


def test_a_removal_is_seen_though_the_time_of_the_label_is_the_old_one(session: Session) -> None:
    """An NFS client remembers a file's time for seconds."""
    chat = write(session, "Hello")
    session.pin_conversation(chat.id, True)
    assert not session.is_removed(chat.id) and titles(session) == ["Hello"]
    before = label_of(chat).stat()
    AnotherTask(label_of(chat)).update(lambda: [Value(labels.DELETION, labels.ASKED)])
    os.utime(label_of(chat), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert session.is_removed(chat.id)


# Groups


@pytest.mark.parametrize(
    ("zone", "now", "written", "name"),
    [
        ("UTC", "2026-11-26 00:01", "2026-11-26 00:00", "Today"),
        ("UTC", "2026-11-26 00:01", "2026-11-25 23:59", "Yesterday"),
        ("Asia/Tokyo", "2026-11-26 00:01", "2026-11-25 23:59", "Yesterday"),
        ("UTC", "2026-11-26 12:00", "2026-11-27 12:00", "Today"),  # another machine's clock
        ("UTC", "2026-11-26 12:00", "2026-11-20 00:00", "Last 7 days"),
        ("UTC", "2026-11-26 12:00", "2026-11-19 23:59", "Last 30 days"),
        ("UTC", "2026-11-26 12:00", "2026-10-28 00:00", "Last 30 days"),
        ("UTC", "2026-11-26 12:00", "2026-10-27 23:59", "October 2026"),
        ("UTC", "2026-01-26 12:00", "2025-12-01 00:00", "December 2025"),
        # Days of 23 and of 25 hours.
        ("Europe/Berlin", "2026-03-30 00:30", "2026-03-29 00:15", "Yesterday"),
        ("Europe/Berlin", "2026-10-26 00:30", "2026-10-25 00:15", "Yesterday"),
        ("Europe/Berlin", "2026-10-25 23:30", "2026-10-25 00:15", "Today"),
    ],
)
def test_the_days_of_who_looks_count(zone: str, now: str, written: str, name: str) -> None:
    place = ZoneInfo(zone)
    moment, at = (datetime.fromisoformat(each).replace(tzinfo=place) for each in (now, written))
    chat = ConversationSummary("id", "Hello", written=int(at.timestamp() * 1e9))
    assert group_by_age([chat], moment) == [(name, [chat])]


def test_a_time_that_no_calendar_has_does_no_harm() -> None:
    chat = ConversationSummary("id", "Hello", written=10**30)
    assert len(group_by_age([chat], datetime.now(ZoneInfo("UTC")))) == 1


# The page


def test_a_message_to_a_chat_that_another_tab_has_removed_begins_a_new_one(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Forget this")
    [chat] = session.conversations()
    AnotherTask(session.folder / f"{chat.id}{labels.ENDING}").update(
        lambda: [Value(labels.DELETION, labels.ASKED)], create=True
    )
    say(page, "Keep this")
    assert read_messages(page)[0] == "Keep this"
    assert titles(session) == ["Keep this"]


def choose(page: AppTest, chat: str, action: str) -> AppTest:
    page.menu_button(key=f"menu-{chat}").set_value(action).run()
    assert not page.exception
    return page


def listed(page: AppTest) -> list[str]:
    return [each.label for each in page.button if (each.key or "").startswith("open-")]


def test_a_person_renames_and_pins_a_chat(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "Hello")
    [chat] = session.conversations()
    click(page, "New chat")
    say(page, "Another")
    choose(page, chat.id, "rename")
    page.text_input(key=f"chat-title-{chat.id}").set_value("My *title*")
    page.button(key="FormSubmitter:rename-chat-Save").click().run()
    assert listed(page) == ["Another", r"My \*title\*"]
    choose(page, chat.id, "pin")
    assert listed(page) == [r"My \*title\*", "Another"]
    assert [each.value for each in page.sidebar.caption][:2] == ["Pinned", "Today"]
    choose(page, chat.id, "unpin")
    assert listed(open_page()) == ["Another", r"My \*title\*"]


def test_a_deletion_is_undone(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "Hello")
    [chat] = session.conversations()
    choose(page, chat.id, "delete")
    page.button(key="delete-chat").click().run()
    assert listed(page) == [] and read_messages(page) == []
    click(page, "Undo")
    assert listed(page) == ["Hello"] and read_messages(page)[0] == "Hello"


def test_who_undoes_too_late_is_told(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "Hello")
    [chat] = session.conversations()
    choose(page, chat.id, "delete")
    page.button(key="delete-chat").click().run()
    session.finish_removals(time.time() + 1)
    click(page, "Undo")
    assert not page.exception
    assert "can't be brought back" in "".join(each.value for each in page.sidebar.caption)


@pytest.mark.parametrize("chat", ["20260101T000000000000-00000000", "nonsense", "../x"])
def test_an_address_that_leads_nowhere_is_told(
    open_page: OpenPage, session: Session, chat: str
) -> None:
    write(session, "Mine")
    page = open_page(chat=chat)
    assert "does not exist" in page.warning[0].value
    page.run()
    assert page.warning and page.query_params["chat"] == chat
    say(page, "Hello")
    assert not page.warning
    assert read_messages(page)[0] == "Hello"


def test_the_address_of_a_removed_chat_leads_nowhere(
    open_page: OpenPage, session: Session, tmp_path: Path
) -> None:
    removed = leave_removed(session, "Forget this")
    others = write(new_session(tmp_path / "sessions"), "A secret")
    for chat in (removed, others):
        page = open_page(chat=chat.id)
        assert "does not exist" in page.warning[0].value
        assert read_messages(page) == []


def test_a_chat_that_a_killed_task_has_half_deleted_leaves_the_list_when_it_is_opened(
    open_page: OpenPage, session: Session
) -> None:
    chat, kept = write(session, "Forget this"), write(session, "Keep this")
    name = session.attach(b"a picture")
    file = {"hash": name, "name": "a.txt", "kind": "txt", "size": 9}
    append(chat, Prompt("t2", "Look", files=[file]), Delete())  # killed before it removed the file
    page = open_page(kept.id)
    page.button(key=f"open-{chat.id}").click().run()
    assert "does not exist" in page.warning[0].value
    assert listed(page) == ["Keep this"]
    assert [each.name for each in session.folder.glob("2*")] == [kept.path.name]
    assert not session.has_attachment(name)


def test_a_chat_that_another_tab_brings_back_is_shown_again(
    open_page: OpenPage, session: Session
) -> None:
    chat = write(session, "Mine")
    page = open_page(chat=chat.id)
    session.remove_conversation(chat.id)
    page.run()
    assert "does not exist" in page.warning[0].value
    session.bring_back(chat.id)
    page.run()
    assert not page.warning
    assert read_messages(page)[0] == "Mine"


def test_an_empty_new_chat_is_no_deleted_one(open_page: OpenPage) -> None:
    page = say(open_page(), "Hello")
    click(page, "New chat")
    key = page.session_state["tab"].browser_key
    again = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=20)
    again.session_state["tab"] = Tab(browser_key=key)  # as after a reload
    for name in ("chat", NEW):
        again.query_params[name] = page.query_params[name]
    again.run()
    assert not again.exception and not again.warning
    assert read_messages(again) == []
