"""The page, as staff use it: through Streamlit's own test driver."""

import errno
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import StopException
from streamlit.testing.v1 import AppTest
from support.bedrock import BedrockStandIn, Refuse, Stop
from support.page import OpenPage, about, click, read_messages, say
from support.store import append, new_session

from chatbot import journals, service
from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.markdown import as_text
from chatbot.models import load_models
from chatbot.page import composer, waiting
from chatbot.page.composer import PROMPT_LENGTH
from chatbot.page.state import CHATS_SHOWN, Unsent
from chatbot.records import Claim, End, Prompt, Record, Text
from chatbot.sessions import Session
from chatbot.settings import ROOT
from chatbot.storage import StorageError

MODELS = load_models()


def test_a_new_visitor_finds_an_invitation_and_leaves_nothing(
    open_page: OpenPage, session: Session
) -> None:
    page = open_page()
    assert not page.exception
    assert page.header[0].value == "How can I help?"
    assert page.selectbox[0].label == "Model"
    assert session.id[:8] in about(page).caption[-1].value
    page.run()
    click(page, "New chat")
    assert not session.folder.parent.exists()


def test_a_message_is_answered_and_found_again(open_page: OpenPage) -> None:
    page = say(open_page(), "Hello there")
    assert not page.exception
    prompt, answer = read_messages(page)
    assert prompt == "Hello there"
    assert "no model was called" in answer
    assert read_messages(open_page()) == [prompt, answer]


def test_an_answer_is_drawn_without_pictures_and_formulas(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("From $5 to $6, ![x](https://stranger.example/secret) and `$HOME` or \\$7")
    answer = read_messages(say(open_page(), "Prices?"))[1]
    assert answer == ("From \\$5 to \\$6, [x](https://stranger.example/secret) and `$HOME` or \\$7")


@pytest.mark.parametrize(
    "answer",
    [
        "a `![x](http://stranger/a)`` b",
        "foo ``` ![x](http://stranger/a)",
        "> ```\n\n![x](http://stranger/a)",
        "- a\n  ```\n\n![x](http://stranger/a)",
        "~~~\n```\n~~~\n\n![x](http://stranger/a)",
        "   ```\n```\n![x](http://stranger/a)",
        "<!--\n```\n```\n-->\n![x](http://stranger/a)",
        "a `![x``](http://stranger/a)",
        "```\r![y]\r```\r\r![x]\r\r[x]: http://stranger/a",
    ],
)
def test_no_trick_with_code_draws_a_picture(
    open_page: OpenPage, bedrock: BedrockStandIn, answer: str
) -> None:
    bedrock.reply(answer)
    shown = read_messages(say(open_page(), "Hello"))[1]
    assert "](http://stranger/a)" in shown
    assert not re.search(r"!\[x", shown)


def test_code_that_can_be_no_picture_stays_as_it_is(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    code = "```rust\nlet v = vec![1, 2];\n```\n\nSee [the book](https://doc.example/book)."
    bedrock.reply(code)
    assert read_messages(say(open_page(), "Hello"))[1] == code


def test_a_title_is_shown_as_it_was_typed(open_page: OpenPage) -> None:
    page = say(open_page(), "Is it the “best” plan — für 5 €? 日本語です。🎉")
    [entry] = [button for button in page.button if (button.key or "").startswith("open-")]
    assert entry.label == r"Is it the “best” plan — für 5 €\? 日本語です。🎉"


def test_streamlit_does_not_search_all_sessions_for_garbage_after_each_run() -> None:
    """Else many visitors at once cost the square of their number. It raises if it has no option."""
    ask = "from streamlit import config; print(config.get_option('runner.postScriptGC'))"
    command = [sys.executable, "-c", ask]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.stdout == "False\n", answer.stderr


def test_a_rerun_reads_only_what_is_new(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = say(open_page(), "Hello " + "words " * 5000)
    read = []
    real = os.pread

    def pread(*arguments: int) -> bytes:
        data = real(*arguments)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", pread)
    page.run()
    assert sum(read) < 300
    read.clear()
    size = sum(file.stat().st_size for file in session.folder.iterdir())
    open_page()
    assert sum(read) < size + 300  # a reload reads it once


def test_a_prompt_is_shown_as_it_was_typed(open_page: OpenPage) -> None:
    page = say(open_page(), "# Not a *heading* <b>$x$</b>")
    assert page.chat_message[0].text[0].value == "# Not a *heading* <b>$x$</b>"
    [entry] = [button for button in page.button if (button.key or "").startswith("open-")]
    assert entry.label == r"\# Not a \*heading\* \<b\>\$x\$\<\/b\>"


def test_a_blank_message_is_not_sent(open_page: OpenPage, session: Session) -> None:
    assert read_messages(say(open_page(), "   \n ")) == []
    assert not session.folder.exists()


def test_a_message_that_is_too_long_is_told_and_can_be_shortened(
    open_page: OpenPage, session: Session
) -> None:
    longest = "x" * PROMPT_LENGTH
    page = say(open_page(), longest + "y")
    assert not page.exception
    [error] = page.error
    assert "has 50,001 characters" in error.value and "up to 50,000" in error.value
    assert read_messages(page) == []
    assert not session.folder.exists()
    assert page.chat_input[0].proto.set_value
    assert page.chat_input[0].proto.value == longest + "y"
    page.run()
    assert not page.chat_input[0].proto.set_value  # what a person has changed meanwhile stays
    say(page, longest)
    assert not page.error
    assert read_messages(page)[0] == longest


def test_a_message_that_nobody_can_see_is_not_sent(open_page: OpenPage, session: Session) -> None:
    assert read_messages(say(open_page(), "\u200b \u2060")) == []
    assert not session.folder.exists()


def test_half_of_a_surrogate_pair_does_not_break_the_page(
    open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    bedrock.reply("A \ud83d", "\ude00 and \ud83d")
    page = say(open_page(), "Hello")
    assert not page.exception
    assert read_messages(page) == ["Hello", "A \U0001f600 and \ufffd"]
    [chat] = session.conversations()
    with (session.folder / f"{chat.id}.jsonl").open("ab") as file:
        at = "2026-01-01T00:00:00+00:00"
        for kind, rest in (
            ("prompt", '"text":"\\udead"'),
            ("claim", '"attempt":1,"writer":"\\ud83d","model":"\\ud83d"'),
            ("text", '"attempt":1,"text":"\\ud83d"'),
            ("end", '"attempt":1,"state":"failed","code":"\\ud83d","facts":{"error":"\\ud83d"}'),
        ):
            line = f'{{"v":1,"at":"{at}","type":"{kind}","turn":"t2",{rest}}}'
            file.write(line.encode() + b"\n")
    page = open_page()
    assert not page.exception
    assert read_messages(page)[2:4] == ["\ufffd", "\ufffd"]


def test_an_answer_that_nobody_can_see_has_a_sentence(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("\u200b", " \n")
    page = say(open_page(), "Hello")
    assert "empty answer" in page.info[0].value


def test_the_last_model_comes_back_in_a_new_chat(open_page: OpenPage, session: Session) -> None:
    keys = list(MODELS)
    page = say(open_page(), "Hello")
    page.selectbox[0].set_value(keys[-1]).run()
    assert session["model"] == keys[-1]
    other = open_page()
    assert other.selectbox[0].value == keys[0]  # which this chat has used
    click(other, "New chat")
    assert other.selectbox[0].value == keys[-1]


def test_the_model_that_a_new_visitor_chose_comes_back(open_page: OpenPage) -> None:
    last = list(MODELS)[-1]
    page = open_page()
    page.selectbox[0].set_value(last).run()
    say(page, "Hello")
    assert open_page().selectbox[0].value == last
    click(page, "Delete all my chats")
    click(page, "Delete all chats")
    say(page, "Hello again")
    assert open_page().selectbox[0].value == last


def test_the_chosen_model_answers(open_page: OpenPage, bedrock: BedrockStandIn) -> None:
    page = open_page()
    for key in MODELS:
        page.selectbox[0].set_value(key).run()
        say(page, "Hello")
    assert bedrock.models == [model.id for model in MODELS.values()]


def test_a_model_that_is_no_longer_offered_is_forgotten(
    open_page: OpenPage, session: Session
) -> None:
    say(open_page(), "Hello")
    session["model"] = "retired"
    page = open_page()
    assert not page.exception
    assert page.selectbox[0].value == next(iter(MODELS))


def test_a_new_chat_starts_empty_and_the_old_one_stays_in_the_list(open_page: OpenPage) -> None:
    page = say(open_page(), "First question")
    click(page, "New chat")
    assert read_messages(page) == []
    say(page, "Second question")
    assert read_messages(page)[0] == "Second question"
    click(page, "First question")
    assert read_messages(page)[0] == "First question"


def test_a_reload_shows_the_conversation_of_the_address(open_page: OpenPage) -> None:
    page = say(open_page(), "First question")
    address = page.query_params["chat"]
    click(page, "New chat")
    say(page, "Second question")
    assert read_messages(open_page())[0] == "Second question"
    assert read_messages(open_page(chat=address))[0] == "First question"


@pytest.mark.parametrize(
    "address", ["../../etc/passwd", "20260101T000000000000-00000000", "x" * 9999]
)
def test_an_address_of_ones_own_making_shows_nothing(open_page: OpenPage, address: str) -> None:
    page = open_page(chat=address)
    assert not page.exception
    assert read_messages(page) == []
    assert read_messages(say(page, "Hello"))[0] == "Hello"


def test_the_address_of_another_browsers_conversation_shows_nothing(
    open_page: OpenPage, session: Session
) -> None:
    address = say(open_page(), "My secret").query_params["chat"]
    other = new_session(session.folder.parent)
    conversation = other.conversation(address)
    conversation.refresh()
    assert conversation.turns == []


def test_the_open_chat_is_listed_however_old_it_is(open_page: OpenPage, session: Session) -> None:
    for number in range(CHATS_SHOWN + 2):
        chat = session.conversation(f"20261124T0900{number:02}000000-00000000")
        append(chat, Prompt("t", f"Chat {number}"), Claim("t", 1, "w", "m"))
        append(chat, End("t", 1, "complete"))
        os.utime(chat.path, (1_700_000_000 + number, 1_700_000_000 + number))

    def listed(page: AppTest) -> list[str]:
        return [each.label for each in page.button if (each.key or "").startswith("open-")]

    newest = [f"Chat {number}" for number in range(CHATS_SHOWN + 1, 1, -1)]
    assert listed(open_page()) == newest
    page = open_page("20261124T090000000000-00000000")
    assert listed(page) == [*newest, "Chat 0"]
    click(page, "Show more (1)")
    assert listed(page) == [*newest, "Chat 1", "Chat 0"]


def test_a_conversation_can_be_deleted(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "Forget this")
    [entry] = session.conversations()
    page.menu_button(key=f"menu-{entry.id}").set_value("delete").run()
    assert session.conversations() == [entry]  # not before it is confirmed
    click(page, "Delete")
    assert read_messages(page) == []
    assert session.conversations() == []
    assert read_messages(open_page()) == []


def test_a_tab_whose_conversation_was_deleted_goes_on_with_a_new_one(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Forget this")
    [entry] = session.conversations()
    session.conversation(entry.id).delete()
    assert read_messages(say(page, "Something new"))[0] == "Something new"
    assert [each.title for each in session.conversations()] == ["Something new"]


def test_two_tabs_see_each_others_messages(open_page: OpenPage) -> None:
    one = say(open_page(), "From one")
    two = say(open_page(), "From two")
    say(one, "From one again")
    two.run()
    assert (
        read_messages(one)[::2]
        == read_messages(two)[::2]
        == ["From one", "From two", "From one again"]
    )


def test_a_failure_is_told_and_can_be_tried_again(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Refuse(429, "ThrottlingException"))
    page = say(open_page(), "Hello")
    assert not page.exception
    assert "too many requests" in page.error[0].value
    assert read_messages(page)[0] == "Hello"
    click(page, "Try again")
    assert not page.error
    assert read_messages(page) == ["Hello", "An answer."]


def test_the_page_says_which_model_stood_in(
    open_page: OpenPage, bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(next(iter(MODELS.values())), fallback="spare")
    models = {first.key: first, "spare": replace(first, key="spare", name="A *spare*")}
    monkeypatch.setattr(service, "load_models", lambda: models)
    bedrock.reply(Refuse(400, "ThrottlingException"))
    page = say(open_page(), "Hello")
    assert read_messages(page) == ["Hello", "An answer."]
    said = as_text(f"A *spare* answered, as {first.name} was too busy.")
    assert said in [caption.value for caption in page.main.caption]
    assert said in [caption.value for caption in open_page().main.caption]


def test_an_answer_that_reached_its_limit_says_so(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply("Half", Stop("max_tokens"))
    page = say(open_page(), "Hello")
    assert read_messages(page)[1] == "Half"
    assert "limit of length" in page.info[0].value


def test_stop_ends_the_answer_for_every_tab(
    open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    more = threading.Event()
    bedrock.reply("One ", more, "GHOST")
    page = open_page()
    watching = threading.Thread(target=say, args=(page, "Hello"))
    watching.start()
    try:
        while not (entries := session.conversations()):
            pass
        conversation = session.conversation(entries[0].id)
        while not (conversation.turns and conversation.turns[0].answer):
            conversation.refresh()
        append(conversation, End(conversation.turns[0].id, 1, "stopped", "person"))
        watching.join(10)
    finally:
        more.set()
        watching.join()
    assert page.main.caption[-1].value == "Stopped."
    assert read_messages(open_page()) == ["Hello", "One"]


def test_a_long_conversation_shows_its_newest_messages(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Question 0")
    conversation = session.conversation(session.conversations()[0].id)
    conversation.refresh()
    records: list[Record] = []
    for number in range(1, 60):
        turn = f"t{number}"
        records += [
            Prompt(turn, f"Question {number}"),
            Claim(turn, 1, "w", "m"),
            Text(turn, 1, f"Answer {number}"),
            End(turn, 1, "complete"),
        ]
    append(conversation, *records)
    page.run()
    assert read_messages(page)[0] == "Question 35"
    assert read_messages(page)[-1] == "Answer 59"
    click(page, "Show earlier messages (70)")
    assert read_messages(page)[0] == "Question 10"


def test_what_a_model_no_longer_sees_is_said_below_the_messages(
    open_page: OpenPage, session: Session
) -> None:
    smallest = min(MODELS.values(), key=lambda model: model.context_window)
    page = open_page()
    page.selectbox[0].set_value(smallest.key).run()
    say(page, "Hello")
    assert not page.main.caption
    conversation = session.conversation(session.conversations()[0].id)
    conversation.refresh()
    long, count = "x" * 30_000, smallest.context_window // 10_000
    append(conversation, *(Prompt(f"t{number}", long) for number in range(count)))
    append(conversation, End(f"t{count - 1}", 0, "stopped"))
    page.run()
    [caption] = page.main.caption[-1:]
    assert re.search(r"no longer sees the oldest \d+ messages", caption.value)


def test_a_person_deletes_everything_that_is_kept(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "Hello")
    assert session["visited"]
    click(page, "New chat")
    say(page, "Hello again")
    click(page, "Delete all my chats")
    click(page, "Keep")
    assert len(session.conversations()) == 2
    click(page, "Delete all my chats")
    click(page, "Delete all chats")
    assert read_messages(page) == []
    assert [each.name for each in session.folder.iterdir()] == ["usage.jsonl"]
    say(page, "A new life")
    assert [entry.title for entry in session.conversations()] == ["A new life"]


def test_a_first_line_that_nothing_can_read_spoils_nothing_else(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Hello")
    spoilt = session.folder / "20990101T000000000000-00000000.jsonl"
    spoilt.write_text("[" * 200_000 + "\n")
    page.run()
    assert not page.exception
    assert read_messages(page)[0] == "Hello"
    assert "Conversation of 2099" in {button.label.replace("\\", "")[:20] for button in page.button}


def test_a_damaged_line_is_told_and_the_rest_is_shown(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Hello")
    with session.conversation(session.conversations()[0].id).path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    page.run()
    assert "1 damaged line" in page.warning[0].value
    assert read_messages(page)[0] == "Hello"


@pytest.mark.parametrize(
    "line",
    [
        b'{"v":2,"type":"thought","turn":"t1","attempt":1,"text":"Hm.","seconds":Infinity}',
        b'{"v":1,"type":"end","turn":"t1","attempt":1,"state":"stopped","code":"superseded",'
        b'"facts":{"by":[]}}',
        b'{"v":1,"type":"end","turn":"t1","attempt":1,"state":"complete","code":"end_turn",'
        b'"usage":{"outputTokens":1' + b"0" * 400 + b"}}",
        b'{"v":1,"type":"end","turn":"t1","attempt":1,"state":"complete","code":"end_turn",'
        b'"facts":{"messages":1' + b"0" * 400 + b"}}",
        b'{"v":1,"type":"prompt","turn":"t2","text":"Look","files":[{"name":"a.txt","kind":"txt",'
        b'"hash":"' + b"0" * 64 + b'","size":1' + b"0" * 400 + b"}]}",
    ],
)
def test_a_line_that_somebody_else_has_written_does_not_break_the_page(
    open_page: OpenPage, session: Session, line: bytes
) -> None:
    conversation = session.conversation(new_conversation_id())
    append(conversation, Prompt("t1", "Hello"), Claim("t1", 1, "w", next(iter(MODELS))))
    with conversation.path.open("ab") as file:
        file.write(line + b"\n")
    append(conversation, End("t1", 1, "complete"))
    page = open_page(conversation.id)  # the fixture no_fault_of_the_page looks
    assert read_messages(page)[0] == "Hello"


def test_a_choice_of_a_model_that_somebody_else_has_written_does_not_break_the_page(
    open_page: OpenPage, session: Session
) -> None:
    session["model"] = session["language"] = []
    assert read_messages(say(open_page(), "Hello"))[0] == "Hello"
    assert read_messages(open_page())[0] == "Hello"


def test_a_message_that_can_not_be_saved_stays_until_it_can(
    open_page: OpenPage, session: Session
) -> None:
    page = open_page()
    session.folder.parent.touch()  # a file where the folder should be
    say(page, "Precious words")
    assert not page.exception
    assert "storage has a problem" in page.error[0].value
    assert read_messages(page) == ["Precious words"]
    say(page, "And more")
    assert read_messages(page) == ["Precious words", "And more"]
    click(page, "Send again")
    assert read_messages(page) == ["Precious words", "And more"]
    session.folder.parent.unlink()
    click(page, "Send again")
    assert not page.error
    assert read_messages(page)[::2] == ["Precious words", "And more"]


def test_a_message_that_can_not_be_saved_can_be_discarded(
    open_page: OpenPage, session: Session
) -> None:
    page = open_page()
    session.folder.parent.touch()
    say(page, "Not so precious words")
    click(page, "Discard")
    session.folder.parent.unlink()
    page.run()
    assert read_messages(page) == []
    assert not page.error


def test_a_message_that_was_saved_with_a_fault_is_not_saved_twice(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS tells of a full disk when what was written is flushed."""
    page = say(open_page(), "Hello")
    real, faults = os.fsync, [OSError(errno.EIO, "a fault")]

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(os, "fsync", fsync)
    say(page, "Once")
    assert "was not sent" in page.error[0].value
    click(page, "Send again")
    assert read_messages(page)[::2] == ["Hello", "Once"]


def open_chat(page: AppTest, chat: str) -> AppTest:
    return page.button(key=f"open-{chat}").click().run()


@pytest.fixture
def chats(session: Session) -> list[str]:
    """Two chats, the older one first."""
    ids = [new_conversation_id() for _ in "AB"]
    for chat in ids:
        records = Prompt("t1", f"In {chat}"), Claim("t1", 1, "w", "m"), End("t1", 1, "complete")
        append(session.conversation(chat), *records)
    return ids


def prompts(session: Session) -> dict[str, list[str]]:
    """Return what was asked in each chat, without its first message."""
    asked = {}
    for chat in session.conversations():
        conversation = Conversation(session.folder / f"{chat.id}.jsonl")
        conversation.refresh()
        asked[chat.id] = [turn.prompt for turn in conversation.all_turns[1:]]
    return asked


def test_a_message_that_could_not_be_saved_goes_to_the_chat_that_it_was_sent_in(
    open_page: OpenPage, session: Session, chats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageError("timeout", errno="ETIMEDOUT")

    page = open_page(chats[0])
    with monkeypatch.context() as patch:
        patch.setattr(Assistant, "ask", fail)
        say(page, "For the first one")
    open_chat(page, chats[1])
    assert prompts(session) == {chats[0]: ["For the first one"], chats[1]: []}
    assert page.query_params["chat"] == chats[1]
    assert read_messages(page)[0] == f"In {chats[1]}"
    open_chat(page, chats[0])
    assert read_messages(page)[2] == "For the first one"


def test_a_message_is_saved_once_if_its_sender_opens_another_chat_meanwhile(
    open_page: OpenPage, session: Session, chats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, real = open_page(chats[0]), waiting.run_interruptibly

    def save_and_end_run(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(composer, "run_interruptibly", real)
        real(*arguments, **named)
        raise StopException  # as Streamlit does once a person has clicked

    monkeypatch.setattr(composer, "run_interruptibly", save_and_end_run)
    say(page, "For the first one")
    page.query_params["chat"] = chats[1]  # as the click does: the run that ended drew no button
    page.run()
    assert prompts(session) == {chats[0]: ["For the first one"], chats[1]: []}


def test_a_run_that_stood_still_takes_no_other_message_out_of_the_outbox(
    open_page: OpenPage, session: Session, chats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit lets the thread of an old run go on beside that of the new one."""
    page, ask = open_page(chats[0]), Assistant.ask
    tab = page.session_state["tab"]

    def ask_while_another_run_sends_it(self: Assistant, *given: Any, **named: Any) -> str:
        turn = ask(self, *given, **named)
        if given[1] == "First":
            tab.outbox[:] = [Unsent("Second", "t9", conversation=chats[0])]
        return turn

    monkeypatch.setattr(Assistant, "ask", ask_while_another_run_sends_it)
    say(page, "First")
    assert prompts(session)[chats[0]] == ["First", "Second"]
    assert not tab.outbox


def test_a_message_that_waits_for_a_new_chat_begins_it_when_another_one_is_open(
    open_page: OpenPage, session: Session, chats: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageError("timeout", errno="ETIMEDOUT")

    page = click(open_page(), "New chat")
    with monkeypatch.context() as patch:
        patch.setattr(Assistant, "ask", fail)
        say(page, "Something new")
    open_chat(page, chats[0])
    assert sorted(prompts(session).values()) == [[], [], []]
    assert session.conversations()[0].title == "Something new"
    assert page.query_params["chat"] == chats[0]


def test_a_message_for_a_chat_that_was_deleted_meanwhile_begins_a_new_one(
    open_page: OpenPage, session: Session, chats: list[str]
) -> None:
    page = open_page(chats[0])
    session.delete_conversation(chats[0])
    say(page, "Precious words")
    assert read_messages(page)[0] == "Precious words"
    assert chats[0] not in prompts(session)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHATBOT_BACKEND", "magic"),
        ("CHATBOT_SESSIONS_DIR", "/dev/null/x"),
        ("CHATBOT_RETENTION_DAYS", "soon"),
    ],
)
def test_a_wrong_setting_is_told(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    page = open_page()
    assert not page.exception
    assert page.error


def test_a_message_that_is_sent_again_does_not_stop_the_one_before_it(
    open_page: OpenPage, session: Session, bedrock: BedrockStandIn
) -> None:
    page = open_page()
    session.folder.parent.touch()  # a file where the folder should be
    say(page, "First")
    say(page, "Second")
    session.folder.parent.unlink()
    bedrock.reply("One ", 0.3, "two.")
    click(page, "Send again")
    assert read_messages(page) == ["First", "One two.", "Second", "An answer."]
    assert not [caption for caption in page.main.caption if "Stopped" in caption.value]
    assert read_messages(open_page()) == read_messages(page)


@pytest.fixture
def superseded(session: Session, bedrock: BedrockStandIn) -> Iterator[Callable[[], None]]:
    """A conversation whose answer is in progress; called, another tab sends the next message."""
    bedrock.reply("One ", threading.Event())
    another = Assistant(Bedrock("us-east-1"), MODELS, "Be kind.")
    conversation = session.conversation(new_conversation_id())
    another.ask(conversation, "Hello", "", "t1")
    next(each for each in another.follow(conversation, "t1") if each.turn.answer)

    def supersede() -> None:
        another.ask(conversation, "Another", "", "t2")

    yield supersede
    another.close()


def stopped_caption(page: AppTest) -> str:
    assert read_messages(page)[2:] == ["Another", "An answer."]
    [caption] = [each.value for each in page.main.caption if "Stopped." in each.value]
    return str(caption)


@pytest.mark.usefixtures("superseded")
def test_the_tab_whose_message_stopped_an_answer_says_so(open_page: OpenPage) -> None:
    page = open_page(outbox=[Unsent("Another", "t2")])
    assert "You sent another message" in stopped_caption(page)


def test_a_tab_that_shows_an_answer_says_that_another_tab_stopped_it(
    open_page: OpenPage, superseded: Callable[[], None]
) -> None:
    watched: set[str] = set()
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(open_page, watched=watched)
        while not watched:
            pass
        superseded()
        page = watching.result()
    assert "came from another tab or device" in stopped_caption(page)


def test_a_tab_that_is_opened_later_says_that_the_next_message_stopped_an_answer(
    open_page: OpenPage, superseded: Callable[[], None]
) -> None:
    superseded()
    assert "The next message was sent before it ended" in stopped_caption(open_page())


def test_a_storage_fault_keeps_what_this_tab_has_read(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "Hello")
    before = read_messages(page)
    root, away = session.folder.parent, session.folder.parent.with_name("away")
    root.rename(away)
    page.run()
    assert not page.exception
    assert "is missing" in page.error[0].value
    assert read_messages(page) == before
    assert "Hello" in [button.label for button in page.sidebar.button]
    assert page.selectbox[0].label == "Model"
    away.rename(root)
    page.run()
    assert not page.error
    assert read_messages(page) == before


def test_a_new_tab_during_a_storage_fault_keeps_its_address_and_the_choice_of_the_model(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = list(MODELS)[-1]
    page = open_page()
    page.selectbox[0].set_value(last).run()
    say(page, "Hello")
    address = page.query_params["chat"]
    monkeypatch.setattr(journals, "_journals", WeakValueDictionary())  # as in another process
    root, away = session.folder.parent, session.folder.parent.with_name("away")
    root.rename(away)
    other = open_page(chat=address)
    assert "is missing" in other.error[0].value
    assert not other.header
    assert session.id[:8] in about(other).caption[-1].value
    away.rename(root)
    other.run()
    assert read_messages(other)[0] == "Hello"
    assert other.query_params["chat"] == address
    assert other.selectbox[0].value == last
    assert session["model"] == last


def test_a_choice_that_can_not_be_read_is_not_overwritten(
    open_page: OpenPage, session: Session
) -> None:
    last = list(MODELS)[-1]
    page = open_page()
    page.selectbox[0].set_value(last).run()
    say(page, "Hello")
    values, away = session.folder / "session.jsonl", session.folder / "away"
    values.rename(away)
    values.mkdir()  # can be opened, but not read
    other = open_page()
    assert not other.exception
    click(other, "New chat")
    assert other.selectbox[0].value == next(iter(MODELS))
    values.rmdir()
    away.rename(values)
    other.run()
    assert other.selectbox[0].value == last
    assert session["model"] == last
