"""Each language has each sentence, with the same facts; a person reads the one that they wish."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from support.page import OpenPage, click, say
from support.store import append
from support.web import Site, served, streamlit

from chatbot import languages, sentences
from chatbot.conversations import Conversation
from chatbot.file_kinds import size_of
from chatbot.languages import Language, LanguageError, say_count
from chatbot.languages import languages as all_languages
from chatbot.languages import say as say_in_code
from chatbot.models import ModelError
from chatbot.page import wording
from chatbot.page.theme import variables
from chatbot.records import Claim, End, Prompt
from chatbot.sessions import Session
from chatbot.settings import SignIn
from chatbot.web.gate import Gate
from chatbot.web.index import Index
from chatbot.web.language import ReadersLanguage

STREAMLITS_FILES = Path(st.__file__).parent / "static"
TRANSLATED = sorted(set(all_languages()) - {"en"})
KEYS = {"Ctrl", "Shift", "Enter", "Esc"}  # of the keyboard, which are called so in most languages
# What a language says as English does; all else would look forgotten.
SAME = {
    "de": {
        *("Person", "Details", "Hostname", "Esc"),
        *("April {year}", "August {year}", "September {year}", "November {year}"),
    },
    "ja": KEYS,
    "ar": KEYS,
}
# Letters that a sentence in these languages has.
LETTERS = {"ja": "[\u3040-\u30ff\u4e00-\u9fff]", "ar": "[\u0621-\u064a]"}

AddFile = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A test begins in English, and leaves no language behind."""
    languages.use("en")
    yield
    languages.use("en")


@pytest.fixture
def add_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddFile]:
    """Add a language's file to those that the chatbot has."""
    folder = tmp_path / "languages"
    folder.mkdir()
    for path in languages.FOLDER.glob("*.toml"):
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(languages, "FOLDER", folder)

    def add(name: str, content: str) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        all_languages.cache_clear()
        return folder / name

    yield add
    monkeypatch.undo()
    all_languages.cache_clear()


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The headers of the browser that opens pages in this test."""
    headers: dict[str, str] = {}
    monkeypatch.setattr(type(st.context), "headers", headers)
    return headers


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The page's HTML, as the server sends it."""
    index = Index(streamlit, STREAMLITS_FILES, tmp_path / "sessions", "Chatbot", variables())
    with served(ReadersLanguage(index)) as running:
        yield running


def labels(page: AppTest) -> set[str]:
    return {button.label for button in page.button}


# The files


def test_every_sentence_is_written_out_where_it_is_said() -> None:
    assert sentences.collect().faults == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_language_has_each_sentence_with_its_facts(code: str) -> None:
    """`python3 -m chatbot.sentences` says the same; docs/change.md tells how to go on."""
    comparison = sentences.compare(sentences.collect(), all_languages()[code])
    assert (comparison.missing, comparison.unknown, comparison.wrong) == ([], [], [])


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_english_is_left_in_a_language(code: str) -> None:
    language = all_languages()[code]
    said = list(language.sentences.items())
    said += [(text, form) for text, forms in language.counts.items() for form in forms.values()]
    same = {text for text, form in said if text == form and re.search("[a-z]", text)}
    assert same <= SAME.get(code, set())
    letters = LETTERS.get(code, "")
    others = [form for text, form in said if text not in same]
    assert [form for form in others if not re.search(letters, form)] == []


def test_the_chatbot_speaks_english_german_japanese_and_arabic() -> None:
    names = {code: language.name for code, language in all_languages().items()}
    assert {
        "en": "English",
        "de": "Deutsch",
        "ja": "日本語",
        "ar": "العربية",
    }.items() <= names.items()
    assert {code for code in names if all_languages()[code].direction == "rtl"} == {"ar"}


@pytest.mark.parametrize(
    ("code", "forms"),
    [
        ("en", {0: "other", 1: "one", 2: "other"}),
        ("de", {0: "other", 1: "one", 2: "other", 11: "other"}),
        ("ja", {0: "other", 1: "other", 100: "other"}),
        ("ar", {0: "zero", 1: "one", 2: "two", 3: "few", 10: "few", 11: "many", 99: "many"}),
        ("ar", {100: "other", 102: "other", 103: "few", 111: "many", 1000: "other"}),
    ],
)
def test_a_number_has_its_plural_form(code: str, forms: dict[int, str]) -> None:
    language = all_languages()[code]
    assert {count: language.form(count) for count in forms} == forms


def test_rules_of_other_languages_are_understood_as_cldr_writes_them() -> None:
    polish = Language(
        "pl",
        "polski",
        plurals={
            "one": "i = 1 and v = 0",
            "few": "v = 0 and i % 10 = 2..4 and i % 100 != 12..14",
            "many": "v = 0 and i != 1 and i % 10 = 0..1 or v = 0 and i % 10 = 5..9 or"
            " v = 0 and i % 100 = 12..14",
        },
    )
    forms = {1: "one", 2: "few", 5: "many", 12: "many", 22: "few", 25: "many", 101: "many"}
    assert {count: polish.form(count) for count in forms} == forms


# What is said


def test_a_sentence_is_said_with_its_facts_in_the_chosen_language() -> None:
    languages.use("de")
    assert say_in_code("Signed in as {name}", name="Ada {x}") == "Angemeldet als Ada {x}"
    assert wording.too_long(50_001, 50_000).startswith(
        "Ihre Nachricht wurde nicht gesendet: Sie hat 50.001 Zeichen"
    )
    assert "zu viele Anfragen" in wording.error(ModelError("throttled"))
    about = wording.about_answer("Nova", "", 1_200, 1_234.5)
    assert about == "Nova · 1.200 Token · 1.234,50 US-Dollar"
    assert size_of(1_500_000) == "1,5 MB"
    languages.use("en")
    assert size_of(1_500_000) == "1.5 MB"
    assert "50,001 characters" in wording.too_long(50_001, 50_000)


def test_a_count_is_said_in_its_form() -> None:
    assert [wording.damaged(count) for count in (1, 2)] == [
        "1 damaged line is not shown.",
        "2 damaged lines are not shown.",
    ]
    languages.use("ar")
    said = [wording.damaged(count) for count in (1, 2, 3, 11, 100)]
    assert len(set(said)) == 5
    assert [re.findall(r"\d+", sentence) for sentence in said] == [[], [], ["3"], ["11"], ["100"]]


def test_a_language_that_is_not_there_is_english() -> None:
    languages.use("tlh")
    assert languages.current().code == "en"


def test_what_a_file_lacks_or_gets_wrong_is_said_in_english(add_file: AddFile) -> None:
    add_file(
        "fr.toml",
        """
        name = "français"
        thousands = "\u202f"
        plurals = { one = "n = 0,1" }
        [sentences]
        "Keep" = ""
        "Signed in as {name}" = "Connecté : {nom}"
        "{name} may not use this chatbot. Ask whoever runs it, or sign in as somebody else." = "{"
        "Conversation of {begun}" = "Conversation du {begun.x}"
        "Your message was not sent. {cause}" = "Message non envoyé. {cause:d}"
        [counts."{count} damaged lines are not shown."]
        one = "{count} ligne"
        other = "{} lignes"
        """,
    )
    languages.use("fr")
    assert say_in_code("Keep") == "Keep"
    assert wording.signed_in_as("Ada") == "Signed in as Ada"
    assert wording.may_not_enter("Ada").startswith("Ada may not use this chatbot")
    assert wording.untitled("20260102-030405-x").startswith("Conversation of 2026-01-02")
    assert wording.not_sent(ModelError("bug")).startswith("Your message was not sent.")
    assert wording.damaged(0) == "0 ligne"
    assert wording.damaged(1_000) == "1\u202f000 damaged lines are not shown."
    assert say_count("one", "{count} of {all}", 2_000, all="x") == "2\u202f000 of x"


@pytest.mark.parametrize(
    "content",
    [
        "name = ",
        "",
        'name = "x"\ndirection = "up"',
        'name = "x"\nplurals = { one = "n is 1" }',
        'name = "x"\nsentences = { "Keep" = 1 }',
        'name = "x"\ncounts = { "Keep" = "y" }',
        'name = "x"\nword = "y"',
    ],
)
def test_a_file_that_cannot_be_used_is_left_out_and_named(
    content: str, add_file: AddFile, caplog: pytest.LogCaptureFixture
) -> None:
    path = add_file("xx.toml", content)
    assert "xx" not in all_languages() and "de" in all_languages()
    assert "xx.toml" in caplog.text
    with pytest.raises(LanguageError, match=r"xx\.toml"):
        languages.read_language(path)


def test_a_language_is_added_by_one_file(
    add_file: AddFile, open_page: OpenPage, wishes: dict[str, str]
) -> None:
    add_file("fr.toml", 'name = "français"\n[sentences]\n"New chat" = "Nouvelle discussion"\n')
    wishes["Accept-Language"] = "fr-CA"
    page = open_page()
    assert "Nouvelle discussion" in labels(page)
    assert "français" in page.selectbox(key="language").options


def test_the_file_of_a_new_language_is_made_by_a_command(
    add_file: AddFile, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add_file("fr.toml", '# Ours\nname = "français"\n\n[sentences]\n"Keep" = "Garder"\n')
    monkeypatch.setattr(sentences, "FOLDER", path.parent)
    monkeypatch.setattr("sys.argv", ["sentences", "--update"])
    assert sentences.main() == 1
    said = capsys.readouterr().out
    assert 'fr.toml, missing: "New chat"' in said
    assert '"Keep"' not in said and "de.toml" not in said
    content = path.read_text(encoding="utf-8")
    assert content.startswith('# Ours\nname = "français"\n\n[sentences]\n')
    assert '\n"Keep" = "Garder"\n' in content and '\n"New chat" = ""\n' in content
    path.write_text(f'{content}\n[counts."Not said"]\nother = "y"\n', encoding="utf-8")
    comparison = sentences.compare(sentences.collect(), languages.read_language(path))
    assert comparison.unknown == ["Not said"] and "Keep" not in comparison.missing


# Who reads what


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-AT,en;q=0.5", "de"),
        ("en;q=0.5, DE;q=0.7", "de"),
        ("fr, ja;q=0.5, de;q=0.4", "ja"),
        ("fr,nl;q=0.9", "en"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("de;q=0, ar", "ar"),
        ("ar-EG", "ar"),
        ("*", "en"),
        ("de;q=x", "de"),
        (";;,,q=1,\x00-", "en"),
        ("x," * 5_000 + "de", "en"),
    ],
)
def test_a_browsers_wish_is_granted(wish: str | None, code: str) -> None:
    assert languages.preferred(wish) == code


def test_a_wish_is_granted_by_another_region(add_file: AddFile) -> None:
    add_file("pt-BR.toml", 'name = "português"')
    assert languages.preferred("pt-PT,de;q=0.5") == "pt-BR"


def test_the_page_follows_the_browser(open_page: OpenPage, wishes: dict[str, str]) -> None:
    assert {"New chat"} <= labels(open_page())
    wishes["Accept-Language"] = "ja,en;q=0.5"
    page = open_page()
    assert {"新しいチャット"} <= labels(page)
    assert page.chat_input[0].placeholder == "何でも質問してください"


def test_a_choice_overrides_the_browser_and_is_kept_with_the_chats(
    open_page: OpenPage, wishes: dict[str, str], session: Session
) -> None:
    wishes["Accept-Language"] = "ja"
    page = open_page()
    page.selectbox(key="language").set_value("de").run()
    assert {"Neuer Chat"} <= labels(page)
    assert session.get("language") is None  # nothing is kept of who has no chats
    say(page, "Hello")
    assert session.get("language") == "de"
    page = open_page()
    assert {"Neuer Chat"} <= labels(page)
    assert page.selectbox(key="language").value == "de"
    page.selectbox(key="language").set_value("").run()
    assert {"新しいチャット"} <= labels(page)
    assert session.get("language") == ""
    assert {"新しいチャット"} <= labels(open_page())


def test_a_choice_from_before_the_first_message_is_kept_with_it(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(st.context), "cookies", {"chatbot_language": "ja"})
    say(open_page(), "Hello")
    assert session.get("language") == "ja"
    monkeypatch.setattr(type(st.context), "cookies", {"chatbot_language": "de"})
    assert {"新しいチャット"} <= labels(open_page())  # as the person chose last, on whatever device


def test_an_error_on_the_page_is_said_in_the_persons_language(
    open_page: OpenPage, wishes: dict[str, str], conversation: Conversation
) -> None:
    wishes["Accept-Language"] = "de"
    append(conversation, Prompt("t2", "More"), Claim("t2", 1, "w", "m"))
    append(conversation, End("t2", 1, "failed", "throttled"))
    page = open_page()
    assert "zu viele Anfragen" in page.error[0].value
    click(page, "Erneut versuchen")


def test_who_has_to_sign_in_is_asked_in_their_language(tmp_path: Path) -> None:
    settings = SignIn("https://chat.example", "https://provider.example", "chatbot", "secret")
    gate: Any = Gate(streamlit, settings, tmp_path / "sessions", "Chatbot", variables())
    with served(ReadersLanguage(gate)) as site:
        page = site.get("/", Accept_Language="de-CH,fr;q=0.5").body.decode()
        assert '<html lang="de" dir="ltr">' in page
        assert "Bitte melden Sie sich an." in page and ">Anmelden</a>" in page
        page = site.get("/", Accept_Language="ar").body.decode()
        assert '<html lang="ar" dir="rtl">' in page and ">تسجيل الدخول</a>" in page


def test_the_html_says_its_language_and_direction(
    site: Site, key: str, conversation: Conversation
) -> None:
    append(conversation, Prompt("t2", "More"), Claim("t2", 1, "w", "m"))
    append(conversation, End("t2", 1, "stopped"))
    page = site.get("/", Accept_Language="ar", Cookie=f"chatbot_session={key}")
    assert b'<html lang="ar" dir="rtl">' in page.body
    assert "تم الإيقاف.".encode() in page.body  # the storage was asked in another thread
    chosen = site.get("/", Accept_Language="ar", Cookie="chatbot_language=de")
    assert b'<html lang="de" dir="ltr">' in chosen.body
    assert b"Ihr Browser speichert keine Daten" in chosen.body
    hostile = site.get("/", Accept_Language='"><script>', Cookie="chatbot_language=<b>")
    assert b'<html lang="en" dir="ltr">' in hostile.body
