"""A search finds chats by all its words, whatever their case, accents and script."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.store import append, new_session

from chatbot import search
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.records import Claim, End, Prompt, Text
from chatbot.search import find, show_match
from chatbot.sessions import Session


def write(session: Session, prompt: str, *pieces: str) -> Conversation:
    conversation = session.conversation(new_conversation_id())
    append(conversation, Prompt("t1", prompt, "m"), Claim("t1", 1, "w", "m"))
    append(conversation, *(Text("t1", 1, piece) for piece in pieces), End("t1", 1, "complete"))
    return conversation


def titles(session: Session, query: str) -> list[str]:
    chats = session.conversations()
    ids = find(session, chats, query)
    return [chat.title for chat in chats if chat.id in ids]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Travel policy for Japan", "JAPAN travel"),
        ("Ein Café in Łódź", "cafe lodz"),
        ("Ein Cafe in Lodz", "café łódź"),
        ("Die Straße", "STRASSE"),
        ("cafe\u0301 with a mark of its own", "café"),
        ("İstanbul", "istanbul"),
        ("日本語の領収書", "領収書"),
        ("ｶﾀｶﾅ of half width", "カタカナ"),
        ("Привет, мир", "ПРИВЕТ"),
        ("Ελλάδα", "ελλαδα"),
        ("مُحَمَّد", "محمد"),
        ("한국어 문장", "한국어"),
        ("नमस्ते दुनिया", "दुनिया"),
        ("🎉 party", "🎉"),
        ('a "quoted"\tword and C:\\new', 'quoted" c:\\new'),
        ("first line\nsecond line", "line second"),
    ],
)
def test_words_are_found(session: Session, text: str, query: str) -> None:
    write(session, "Another", "matter")
    write(session, "The one", text)
    assert titles(session, query) == ["The one"]
    match = show_match(session, session.conversations()[0], query)
    assert match.word and match.word in text


@pytest.mark.parametrize("query", ["japan nobody", "がく", "type prompt", "nline", "\\n"])
def test_what_is_not_there_is_not_found(session: Session, query: str) -> None:
    write(session, "Japan", "かく\nline")
    assert titles(session, query) == []


def test_a_word_is_found_across_the_pieces_of_an_answer(session: Session) -> None:
    write(session, "Hello", "invo", "ic", "es")
    assert titles(session, "INVOICES") == ["Hello"]


def test_words_may_be_in_the_title_and_in_the_text(session: Session) -> None:
    chat = write(session, "First words", "an answer")
    session.rename_conversation(chat.id, "Quarterly report")
    assert titles(session, "quarterly answer") == ["Quarterly report"]
    assert titles(session, "quarterly nothing") == []


def test_a_match_is_shown_with_what_is_around_it(session: Session) -> None:
    write(session, "Ask", "x" * 100 + " the Größe of it " + "y" * 100)
    [chat] = session.conversations()
    match = show_match(session, chat, "grosse")
    assert match.word == "Größe"
    assert match.before.startswith("…") and match.before.endswith(" the ")
    assert match.after.startswith(" of it ") and match.after.endswith("…")


def test_what_was_written_since_is_found_and_what_was_deleted_is_not(session: Session) -> None:
    chat = write(session, "Hello", "before")
    assert titles(session, "afterwards") == []
    append(chat, Prompt("t2", "afterwards"))
    assert titles(session, "afterwards") == ["Hello"]
    session.remove_conversation(chat.id)
    assert titles(session, "afterwards") == []


def test_nobody_finds_what_is_in_another_session(session: Session, tmp_path: Path) -> None:
    other = new_session(tmp_path / "sessions")
    write(other, "A secret")
    write(session, "Mine")
    assert titles(session, "secret") == []
    assert titles(other, "secret") == ["A secret"]


def test_only_what_has_changed_is_read_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        write(session, f"Chat {number}")
    assert len(titles(session, "chat")) == 12
    opened: list[object] = []
    real = os.open

    def count(path: str | Path, *rest: int) -> int:
        opened.append(path)
        return real(path, *rest)

    chats = session.conversations()
    monkeypatch.setattr(os, "open", count)
    assert len(find(session, chats, "chat")) == 12
    assert opened == []
    changed = replace(chats[0], written=chats[0].written + 1)
    find(session, [changed, *chats[1:]], "chat")
    assert opened == [session.folder / f"{changed.id}.jsonl"]


def test_indexes_make_room_for_others(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MEMORY", 50)
    other = new_session(tmp_path / "sessions")
    for each in (session, other):
        write(each, "words " * 10)
    for each in (session, other, session):
        assert len(titles(each, "words")) == 1
    kept = sum(index.size for index in search._indexes.values())
    assert kept < 200


def test_damaged_lines_do_no_harm(session: Session) -> None:
    chat = write(session, "Hello", "fine")
    with chat.path.open("ab") as file:
        file.write(b'"text":"\\ud83d \\x broken"\n{"text":"\xff\xfe"}\n{"v":1,"text":"torn')
    assert titles(session, "fine") == ["Hello"]
