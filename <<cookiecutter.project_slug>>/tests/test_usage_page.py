"""The page tells a person's usage, keeps to the limit, and tells administrators everybody's."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block
from support.bedrock import BedrockStandIn, Refuse
from support.page import OpenPage, about, click, read_messages, say
from support.store import new_session

from chatbot import sign_in, usage
from chatbot.identity import Person, session_folder
from chatbot.models import load_models
from chatbot.page import clock
from chatbot.records import Owner, Record, Used
from chatbot.sessions import Session
from chatbot.sign_in import SignedIn

MODEL = next(iter(load_models().values()))
ADA = Person("https://login.example.com", "ada", "Ada *Lovelace*", frozenset({"staff"}))
BOSS = Person("https://login.example.com", "boss", "Boss", frozenset({"finance"}))

SignInAs = Callable[[Person], Session]


@pytest.fixture
def sign_in_as(monkeypatch: pytest.MonkeyPatch, session: Session) -> SignInAs:
    """Have people sign in, and this person be signed in; return the person's session."""
    provider = "https://login.example.com/.well-known/openid-configuration"
    monkeypatch.setenv("CHATBOT_ADDRESS", "https://chat.example.com")
    monkeypatch.setenv("CHATBOT_SIGN_IN_METADATA_URL", provider)
    monkeypatch.setenv("CHATBOT_SIGN_IN_CLIENT_ID", "chatbot")
    monkeypatch.setenv("CHATBOT_SIGN_IN_CLIENT_SECRET", "secret")
    monkeypatch.setenv("CHATBOT_ADMIN_GROUPS", "finance owners")

    def sign_in_as(person: Person) -> Session:
        monkeypatch.setattr(sign_in, "read_cookie", lambda *_: SignedIn(person, "s1"))
        return Session(session_folder(session.folder.parent, person))

    return sign_in_as


def use(session: Session, *records: Record) -> None:
    session.usage.update(lambda: records, create=True)


def used(tokens: int, cost: float = 0.0, days_ago: int = 0) -> Used:
    return Used(usage.days_ago(days_ago), MODEL.key, tokens, 0, cost)


def sections(page: AppTest) -> list[str]:
    return [each.label for each in about(page).expander]


def test_without_a_limit_and_a_sign_in_the_page_is_as_ever(open_page: OpenPage) -> None:
    assert sections(say(open_page(), "Hello")) == []


def test_a_person_sees_the_days_tokens_and_the_last_days_by_model(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_DAILY_TOKENS", "20000")
    use(session, used(1500), used(2000, 0.25, 1), used(7), used(9, 0, 7))
    use(session, Used(usage.today(), "an|old *model", 5, 0))
    page = open_page()
    assert sections(page) == ["My usage"]
    [section] = about(page).expander
    assert section.caption[0].value == "Today (UTC): 1,512 of 20,000 tokens."
    assert read_table(section) == [
        ["Day", "Model", "Tokens", "US dollars"],
        [usage.days_ago(0), MODEL.name, "1,507", "?"],
        [usage.days_ago(0), "an|old *model", "5", "?"],
        [usage.days_ago(1), MODEL.name, "2,000", "0.25"],
    ]


def read_table(section: Block) -> list[list[str]]:
    """Read the one table there, whose cells are shown as they are."""
    [text] = [each.value for each in section.markdown]
    names, _line, *rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in text.splitlines()]
    assert not re.search(r"(?<!\\)[*_`<$]", text)
    return [[re.sub(r"\\(.)", r"\1", cell).strip() for cell in row] for row in [names, *rows]]


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = property(lambda self: "Europe/Berlin")
    monkeypatch.setattr(type(st.context), "timezone", zone)


@pytest.mark.usefixtures("in_berlin")
def test_a_message_over_the_limit_says_when_it_can_be_sent_and_is_not_lost(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_DAILY_TOKENS", "100000")
    page = say(open_page(), "The first")
    use(session, used(100_000))
    say(page, "One too many")
    assert not page.exception
    [error] = page.error
    assert error.value == (
        "Your message was not sent. You have used today's 100,000 tokens. You can ask again at "
        f"{midnight_in_berlin()}."
    )
    assert read_messages(page)[0] == "The first"  # reading goes on
    assert read_messages(page)[2:] == ["One too many"]
    click(page, "Send again")
    assert read_messages(page)[2:] == ["One too many"]
    monkeypatch.setattr(usage, "datetime", Tomorrow)
    click(page, "Send again")
    assert not page.error
    assert len(read_messages(page)) == 4


class Tomorrow(datetime):
    @classmethod
    def now(cls, tz: object = None) -> "Tomorrow":
        return cls.fromisoformat((datetime.now(UTC) + timedelta(1)).isoformat())


def midnight_in_berlin() -> str:
    """Return when the day by UTC ends: at one or two o'clock."""
    tomorrow = (datetime.now(UTC) + timedelta(1)).replace(hour=0, minute=0)
    return f"{tomorrow.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}"


def test_a_message_over_the_limit_can_be_discarded_and_leaves_no_chat(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_DAILY_TOKENS", "10")
    use(session, used(10))
    page = say(open_page(), "Hello")
    assert "at 00:00 UTC" in page.error[0].value
    click(page, "Discard")
    assert not page.error and read_messages(page) == []
    assert session.conversations() == []


def test_a_failed_answer_over_the_limit_is_not_tried_again(
    open_page: OpenPage,
    session: Session,
    bedrock: BedrockStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHATBOT_DAILY_TOKENS", "1000")
    bedrock.reply(Refuse(429, "ThrottlingException"))
    page = say(open_page(), "Hello")
    use(session, used(1000))
    click(page, "Try again")
    assert any("used today's 1,000 tokens" in each.value for each in page.error)
    assert len(bedrock.requests) == 1
    page.run()
    assert not any("used today's" in each.value for each in page.error)


@pytest.mark.parametrize(
    ("name", "offset", "time"),
    [
        ("Asia/Tokyo", None, "09:00"),
        (None, -330, "05:30"),
        ("No/Where", 300, "19:00"),
        ("../../etc/passwd", None, "00:00"),
        ("Europe", 0, "00:00"),
        (None, 10**9, "00:00"),
    ],
)
def test_a_time_is_the_persons_own_as_far_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch, name: str | None, offset: int | None, time: str
) -> None:
    monkeypatch.setattr(type(st.context), "timezone", property(lambda self: name))
    monkeypatch.setattr(type(st.context), "timezone_offset", property(lambda self: offset))
    midnight = datetime(2026, 11, 26, tzinfo=UTC)
    assert f"{midnight.astimezone(clock.time_zone()):%H:%M}" == time


def test_who_deletes_everything_is_told_that_the_numbers_stay(open_page: OpenPage) -> None:
    page = say(open_page(), "Hello")
    click(page, "Delete all my chats")
    said = [each.value for each in page.markdown]
    assert any("deletes your chat, with all that was said and attached" in each for each in said)
    assert any("Your usage stays" in each for each in said)


def test_usage_is_a_persons_once_they_have_asked(open_page: OpenPage, sign_in_as: SignInAs) -> None:
    session = sign_in_as(ADA)
    page = open_page()
    assert sections(page) == ["My usage"]
    assert not session.folder.exists()
    say(page, "Hello")
    session.usage.refresh()
    assert session.usage.owner == Owner(ADA.issuer, ADA.subject, ADA.name)


def test_administrators_see_everybodys_usage_by_day(
    open_page: OpenPage, sign_in_as: SignInAs, session: Session
) -> None:
    ada = sign_in_as(ADA)
    use(ada, Owner(ADA.issuer, ADA.subject, ADA.name), used(1000, 0.5), used(30, 0, 1))
    use(ada, Used(usage.today(), "another", 234, 0))
    browser = new_session(session.folder.parent)
    use(browser, used(7), used(1, 0, 8))
    sign_in_as(BOSS)
    page = open_page()
    assert sections(page) == ["My usage", "Everybody's usage"]
    everybodys = about(page).expander[1]
    assert not everybodys.markdown
    assert everybodys.get("link_button")[0].proto.url == "/usage.csv"
    click(page, "Show the last 7 days")
    assert not page.exception
    assert read_table(about(page).expander[1]) == [
        ["Day", "Person", "Tokens", "US dollars"],
        [usage.days_ago(0), browser.id[:8], "7", "?"],
        [usage.days_ago(0), "Ada *Lovelace*", "1,234", "0.50"],
        [usage.days_ago(1), "Ada *Lovelace*", "30", "?"],
    ]


def test_others_do_not_see_everybodys_usage(open_page: OpenPage, sign_in_as: SignInAs) -> None:
    sign_in_as(ADA)
    assert sections(open_page()) == ["My usage"]
