"""What most tests begin with: a folder for sessions, a Bedrock on loopback, and the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from support.bedrock import BedrockStandIn, bedrock_stand_in
from support.page import OpenPage
from support.store import append

from chatbot import answers, demo, service
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.identity import new_key, session_folder
from chatbot.page.state import Tab
from chatbot.page.wording import FAULT
from chatbot.records import Claim, End, Prompt, Text
from chatbot.sessions import Session
from chatbot.settings import ROOT


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No test sees this machine's sessions, credentials or AWS configuration."""
    monkeypatch.setenv("CHATBOT_SESSIONS_DIR", str(tmp_path / "sessions"))
    monkeypatch.setenv("CHATBOT_BACKEND", "demo")
    monkeypatch.delenv("CHATBOT_TITLE", raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setattr(demo, "PAUSE", 0.0)
    monkeypatch.setattr(answers, "SAVE_EVERY", 0.02)
    service.forget()
    return tmp_path


@pytest.fixture(autouse=True)
def no_fault_of_the_page(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test passes over a fault that the page itself has told."""
    yield
    faults = [each for each in caplog.get_records("call") if each.message == FAULT]
    assert not faults, faults[0].exc_text


@pytest.fixture
def key() -> str:
    """A browser's session key."""
    return new_key()


@pytest.fixture
def session(tmp_path: Path, key: str) -> Session:
    """The session of that browser."""
    return Session(session_folder(tmp_path / "sessions", key))


@pytest.fixture
def conversation(session: Session) -> Conversation:
    """A conversation of that session, with one turn."""
    conversation = session.conversation(new_conversation_id())
    append(conversation, Prompt("t1", "Hello"), Claim("t1", 1, "w", "m"), Text("t1", 1, "Hi"))
    append(conversation, Text("t1", 1, " there"), End("t1", 1, "complete"))
    return conversation


@pytest.fixture
def bedrock(monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockStandIn]:
    """A stand-in that boto3 takes for Bedrock."""
    with bedrock_stand_in() as stand_in:
        monkeypatch.setenv("CHATBOT_BACKEND", "bedrock")
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", stand_in.url)
        yield stand_in


@pytest.fixture
def open_page(key: str) -> OpenPage:
    """Open the page in a new tab of that browser, at a conversation's address if one is given.

    Further arguments are what the tab remembers.
    """

    def open_tab(chat: str = "", **remembered: Any) -> AppTest:
        page = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=20)
        page.session_state["tab"] = Tab(browser_key=key, **remembered)
        if chat:
            page.query_params["chat"] = chat
        return page.run()

    return open_tab
