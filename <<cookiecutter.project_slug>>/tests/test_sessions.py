"""A session: what was kept is found again, and what was deleted is gone."""

import hashlib
import stat
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from support.store import append, new_session, reread

from chatbot import conversations
from chatbot.conversations import Conversation, is_conversation_id, new_conversation_id
from chatbot.journals import DeletedError
from chatbot.records import Prompt, Text
from chatbot.sessions import Session


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


def test_a_foreign_file_is_not_listed(session: Session, conversation: Conversation) -> None:
    (session.folder / "notes.jsonl").write_text("{}")
    (session.folder / f"{conversation.id}.jsonl.bak").write_text("{}")
    assert [entry.id for entry in session.conversations()] == [conversation.id]


def test_the_chat_last_written_to_comes_first_whatever_clock_made_the_ids(
    session: Session,
) -> None:
    ids = ["20990101T000000000000-00000000", "19700101T000000000000-00000000"]
    for chat in ids:
        append(session.conversation(chat), Prompt("t1", "Hello"))
    assert [entry.id for entry in session.conversations()] == ids[::-1]
    append(session.conversation(ids[0]), Prompt("t2", "Hello again"))
    assert [entry.id for entry in session.conversations()] == ids


def test_ids_are_unique_even_if_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Stopped":
            return cls(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr(conversations, "datetime", Stopped)
    assert len({new_conversation_id() for _ in range(100)}) == 100


def test_a_conversation_without_a_readable_title_is_listed(session: Session, key: str) -> None:
    session["model"] = "nova"
    (session.folder / "20260102T030405000000-00000000.jsonl").write_bytes(b"\xff\n")
    assert session.conversations()[0].title == ""


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
        other.update(lambda: [Text("t1", 1, "GHOST")])
    assert not conversation.path.exists()
    conversation.delete()  # twice is once


def test_everything_that_is_kept_is_deleted(session: Session, conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "Secret"))
    session["team"] = "Sales"
    session.attach(b"a picture")
    other = new_session(session.folder.parent)
    other["team"] = "Support"
    session.delete()
    assert {each.name for each in session.folder.parent.iterdir()} == {other.id, ".deleted"}
    assert session.conversations() == []
    assert session.get("team") is None
    with pytest.raises(DeletedError):
        conversation.update(lambda: [Prompt("t3", "Late")])
    session["team"] = "Sales again"  # it can be used as before
    assert session["team"] == "Sales again"
    session.delete()
    session.delete()


def test_a_message_that_is_sent_while_everything_is_deleted_keeps_its_file(
    session: Session, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, old = hashlib.sha256(b"a picture").hexdigest(), session.attach(b"an old one")
    sent, delete = session.conversation(new_conversation_id()), Conversation.delete
    file = {"hash": name, "name": "a.png", "kind": "png", "size": 9}

    def send_and_delete(self: Conversation, wanted: Callable[[], bool] = lambda: True) -> None:
        session.attach(b"a picture")
        append(sent, Prompt("t1", "Look", files=[file]))
        delete(self, wanted)

    monkeypatch.setattr(Conversation, "delete", send_and_delete)
    session.delete()
    assert [chat.title for chat in session.conversations()] == ["Look"]
    assert session.has_attachment(name) and not session.has_attachment(old)
