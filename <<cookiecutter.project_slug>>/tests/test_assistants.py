"""Assistants: the file that offers them, and what a model is told of them."""

from pathlib import Path

import pytest
from streamlit.string_util import validate_icon_or_emoji
from streamlit.testing.v1 import AppTest
from support.bedrock import BedrockStandIn
from support.page import OpenPage, click, read_messages, say
from support.store import append, reread

from chatbot import service
from chatbot.assistants import (
    MOST,
    OWN,
    OWN_LENGTH,
    Persona,
    compose,
    load_assistants,
    own_instructions,
)
from chatbot.conversations import Conversation, assistant_of
from chatbot.models import load_models
from chatbot.page import wording
from chatbot.records import Claim, End, Prompt, Text
from chatbot.sessions import Session
from chatbot.settings import ROOT, SettingsError

MODELS = list(load_models())
FIRST = """
instructions = "Be kind."
[first]
name = "First"
suggestions = ["Begin **here**", "Or there"]
[second]
name = "Second :red[one]"
icon = "📋"
description = "For *minutes*."
instructions = "Write minutes."
suggestions = ["Minutes please"]
"""


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of assistants that the page uses."""
    path = tmp_path / "assistants.toml"
    path.write_text(f'{FIRST}model = "{MODELS[-1]}"\n', encoding="utf-8")
    monkeypatch.setattr(service, "FILE", path)
    monkeypatch.setattr(load_assistants, "__defaults__", (path,))
    return path


def told(bedrock: BedrockStandIn) -> str:
    """Return what the model was told before the conversation, the last time."""
    [block] = bedrock.requests[-1]["system"]
    return str(block["text"])


def captions(page: AppTest) -> list[str]:
    return [each.value for each in page.main.caption]


def choose(page: AppTest, key: str) -> AppTest:
    return page.button_group[0].set_value(key).run()


def test_the_file_of_this_project_can_be_used() -> None:
    prompts = load_assistants(MODELS)
    assert prompts.instructions
    for persona in prompts.personas.values():
        if persona.icon:
            validate_icon_or_emoji(persona.icon)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "needs at least one table"),
        ("[a", "can't be read"),
        ("name = 'A'", "'name' is outside of a table"),
        ("instructions = 1\n[a]\nname = 'A'", "'instructions' has the wrong type"),
        ("[a]", "[a] has no name"),
        ("[a]\nname = ' '", "'name' in [a] is blank"),
        ("[a]\nname = 1", "'name' in [a] has the wrong type"),
        ("[a]\nname = 'A'\nicon = 'edit'", "neither an emoji nor a Material icon"),
        ("[a]\nname = 'A'\nicon = ':red[x]'", "neither an emoji nor a Material icon"),
        ("[a]\nname = 'A'\ninstruction = 'x'", "[a] has 'instruction', which means nothing"),
        ("[a]\nname = 'A'\nmodel = 'x'", "'x', the model of [a], is not in models.toml"),
        ("[a]\nname = 'A'\nsuggestions = 'x'", "must be a list"),
        ("[a]\nname = 'A'\nsuggestions = ['x', ' ']", "must be a list"),
        ("[a]\nname = 'A'\nsuggestions = ['x', 'x ']", "must be a list"),
        ("[a]\nname = 'A'\nsuggestions = ['1', '2', '3', '4', '5']", "at most 4"),
        (f"[a]\nname = '{'A' * 41}'", "longer than 40 characters"),
        ("\n".join(f"[a{n}]\nname = 'A'" for n in range(MOST + 1)), f"more than {MOST}"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "assistants.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_assistants(MODELS, file)
    assert sentence in wording.error(caught.value)
    with pytest.raises(SettingsError):
        load_assistants(MODELS, tmp_path / "assistant.toml")


@pytest.mark.parametrize("icon", ["📋", "👩‍💻", "🇩🇪", "✍️", ":material/edit:"])
def test_emojis_and_material_icons_are_icons(tmp_path: Path, icon: str) -> None:
    file = tmp_path / "assistants.toml"
    file.write_text(f"[a]\nname = 'A'\nicon = '{icon}'", encoding="utf-8")
    assert load_assistants(MODELS, file).personas["a"].icon == icon
    assert icon.startswith(":") or validate_icon_or_emoji(icon) == icon


def test_the_team_speaks_first_then_the_assistant_then_the_person() -> None:
    all_three = compose("TEAM", Persona("a", "A", instructions="PERSONA"), "OWN")
    places = [all_three.index(each) for each in ("TEAM", "PERSONA", "OWN")]
    assert places == sorted(places)
    assert compose("TEAM", Persona("a", "A"), " \n") == compose("TEAM", None, "") == "TEAM"


@pytest.mark.parametrize(
    "value", [None, 1, "text", [], {"text": 1}, {"text": "x", "used": False}, {"used": True}]
)
def test_a_strange_value_holds_no_instructions(value: object) -> None:
    assert own_instructions(value) == ""


def test_own_instructions_have_a_limit_whoever_wrote_the_file() -> None:
    assert len(own_instructions({"text": "x" * 2 * OWN_LENGTH, "used": True})) == OWN_LENGTH


def test_a_chat_is_with_the_assistant_that_was_chosen(
    file: Path, open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    page = open_page()
    assert page.button_group[0].value == "first"
    assert [each.label for each in page.main.button][:-1] == [r"Begin \*\*here\*\*", "Or there"]
    choose(page, "second")
    assert captions(page) == [r"For \*minutes\*\."]
    assert page.selectbox[0].value == MODELS[-1]
    click(page, "Minutes please")
    assert read_messages(page) == ["Minutes please", "An answer."]
    assert told(bedrock) == "Be kind.\n\nWrite minutes."
    [chat] = session.conversations()
    assert reread(session.conversation(chat.id)).turns[0].assistant == "second"
    again = open_page()
    assert not again.button_group
    assert captions(again) == [r"📋 Second \:red\[one\]"]
    assert again.selectbox[0].value == MODELS[-1]
    say(again, "More")
    assert told(bedrock) == "Be kind.\n\nWrite minutes."
    click(again, "New chat")
    assert again.button_group[0].value == "first"
    assert again.selectbox[0].value == MODELS[0]


def test_an_address_can_name_the_assistant(
    file: Path, open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    say(open_page(), "Hello")
    page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=20)
    page.session_state["tab"] = open_page().session_state["tab"]
    page.query_params["assistant"] = "second"
    page.run()
    assert page.button_group[0].value == "second"
    say(page, "Hello")
    assert told(bedrock) == "Be kind.\n\nWrite minutes."
    assert "assistant" not in page.query_params
    unknown = open_page(chat="", new_conversation="")
    unknown.query_params.pop("chat")
    unknown.query_params["assistant"] = "third"
    assert "is not offered" in captions(unknown.run())[0]


def test_a_chat_whose_assistant_was_removed_goes_on_with_the_default_one(
    file: Path, open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = choose(open_page(), "second")
    say(page, "Hello")
    file.write_text('[first]\nname = "*First*"\n', encoding="utf-8")
    say(page, "And now?")
    assert "Write minutes." not in told(bedrock)
    assert captions(page) == [
        r"The assistant of this chat is no longer offered\. \*First\* answers instead\."
    ]
    file.write_text(FIRST, encoding="utf-8")
    say(page, "And now?")
    assert told(bedrock) == "Be kind.\n\nWrite minutes."


def test_a_chat_of_an_older_version_is_with_the_default_assistant(
    file: Path, open_page: OpenPage, conversation: Conversation, bedrock: BedrockStandIn
) -> None:
    page = say(open_page(), "More")
    assert len(read_messages(page)) == 4
    assert captions(page) == []
    assert told(bedrock) == "Be kind."


def test_changes_of_the_file_count_without_a_restart(file: Path, open_page: OpenPage) -> None:
    page = open_page()
    file.write_text('[third]\nname = "Third"\nsuggestions = ["New"]\n', encoding="utf-8")
    assert [each.label for each in page.run().main.button][:-1] == ["New"]
    file.write_text("[third]\n", encoding="utf-8")
    assert "[third] has no name" in page.run().error[0].value
    file.write_text('[third]\nname = "Third"\n', encoding="utf-8")
    assert not page.run().error


def test_the_environment_replaces_the_teams_instructions(
    file: Path, open_page: OpenPage, bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_SYSTEM_PROMPT", "Be brief.")
    say(choose(open_page(), "second"), "Hello")
    assert told(bedrock) == "Be brief.\n\nWrite minutes."


def test_a_chat_that_is_opened_again_has_its_own_model(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = say(open_page(), "First chat")
    click(page, "New chat")
    page.selectbox[0].set_value(MODELS[-1]).run()
    say(page, "Second chat")
    click(page, "First chat")
    assert page.selectbox[0].value == MODELS[0]
    click(page, "Second chat")
    assert page.selectbox[0].value == MODELS[-1]
    page.selectbox[0].set_value(MODELS[0]).run()
    assert page.selectbox[0].value == MODELS[0]


def test_own_instructions_reach_the_model_in_every_chat(
    open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    page = open_page()
    page.text_area[0].set_value("Rhyme.").run()
    say(page, "Hello")
    assert told(bedrock).endswith("\nRhyme.")
    other = open_page()
    assert other.text_area[0].value == "Rhyme."
    click(other, "New chat")
    other.toggle[0].set_value(False).run()
    say(other, "Hello")
    assert "Rhyme." not in told(bedrock)
    assert session[OWN] == {"text": "Rhyme.", "used": False}
    other.text_area[0].set_value("x" * (OWN_LENGTH + 1)).run()
    assert "4,001 characters" in other.error[0].value
    assert other.text_area[0].value == "x" * (OWN_LENGTH + 1)
    assert session[OWN] == {"text": "Rhyme.", "used": False}
    other.text_area[0].set_value("").run()
    assert not other.error
    assert session[OWN]["text"] == ""


def test_a_switch_in_another_tab_leaves_ones_own_instructions_as_they_are(
    open_page: OpenPage, session: Session
) -> None:
    one, other = say(open_page(), "Hello"), open_page()
    one.text_area[0].set_value("Be brief.").run()
    other.toggle[0].set_value(False).run()
    assert session.get(OWN) == {"text": "Be brief.", "used": False}
    assert other.text_area[0].value == "Be brief."
    one.text_area[0].set_value("Be long.").run()
    assert session.get(OWN) == {"text": "Be long.", "used": False}
    assert not one.toggle[0].value


def test_own_instructions_go_with_everything_else_that_is_deleted(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = open_page()
    page.text_area[0].set_value("Rhyme.").run()
    say(page, "Hello")
    click(page, "Delete all my chats")
    click(page, "Delete all chats")
    assert page.text_area[0].value == ""
    say(page, "Hello")
    assert "Rhyme." not in told(bedrock)


def test_the_record_of_a_turn_without_an_assistant_does_not_lose_it(
    conversation: Conversation,
) -> None:
    append(conversation, Prompt("t2", "More", "m", assistant="second"), Claim("t2", 1, "w", "m"))
    append(conversation, Text("t2", 1, "Yes"), End("t2", 1, "complete"), Prompt("t3", "Again"))
    assert assistant_of(reread(conversation).turns) == "second"
