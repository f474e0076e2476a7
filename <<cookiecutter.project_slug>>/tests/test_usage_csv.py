"""Administrators, and nobody else, download what everybody has used: names and numbers only."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from support.store import append, new_session
from support.web import Answer, served, streamlit

from chatbot.conversations import new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.records import Owner, Prompt, Used
from chatbot.sessions import Session
from chatbot.web.requests import is_page, set_person
from chatbot.web.usage_csv import UsageCsv

ADMINS = frozenset({"finance", "owners"})
ADMIN = Person("https://login.example.com", "boss", "Boss", frozenset({"staff", "finance"}))
STAFF = Person("https://login.example.com", "ada", "Ada", frozenset({"staff"}))

Get = Callable[..., Answer]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    """Request the file as this person, or as nobody, behind what the gate says."""

    def get(
        person: Person | None,
        path: str = "/usage.csv",
        method: str = "GET",
        sessions: Path = tmp_path,
        groups: frozenset[str] = ADMINS,
    ) -> Answer:
        app = UsageCsv(streamlit, sessions, groups)

        async def gate(scope: Scope, receive: Receive, send: Send) -> None:
            if person:
                set_person(scope, person)
            await app(scope, receive, send)

        with served(gate) as site:
            return site.get(path, method)

    return get


def use(root: Path, owner: Owner | None, *used: Used) -> Session:
    """Make a session of that person, or of a browser, that has used this, and has a chat."""
    if owner:
        session = Session(session_folder(root, Person(owner.issuer, owner.subject)))
    else:
        session = new_session(root)
    append(session.conversation(new_conversation_id()), Prompt("t1", "A secret"))
    session.usage.update(lambda: [*([owner] if owner else []), *used], create=True)
    return session


def read(answer: Answer) -> list[list[str]]:
    assert answer.status == 200
    return list(csv.reader(answer.body.decode("utf-8-sig").splitlines()))


def test_an_administrator_gets_names_and_numbers(tmp_path: Path, get: Get) -> None:
    ada = Owner("https://login.example.com", "0a1b", "Ada Lovelace, Größe")
    use(tmp_path, ada, Used("2026-11-25", "nova", 10, 2), Used("2026-11-26", "nova", 7, 3, 0.25, 4))
    day = "2026-11-26"
    browser = use(tmp_path, None, Used(day, "nova", 1, 1), Used(day, "nova", 1, 2))
    answer = get(ADMIN)
    columns, *lines = read(answer)
    assert len(columns) == 9
    assert lines == [
        ["2026-11-26", "", browser.id[:8], "nova", "2", "2", "0", "3", ""],
        ["2026-11-26", ada.name, "0a1b", "nova", "1", "7", "4", "3", "0.250000"],
        ["2026-11-25", ada.name, "0a1b", "nova", "1", "10", "0", "2", ""],
    ]
    assert answer.body.startswith(b"\xef\xbb\xbf")  # for Excel
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    assert b"secret" not in answer.body


@pytest.mark.parametrize("person", [None, STAFF])
def test_others_get_nothing(tmp_path: Path, get: Get, person: Person | None) -> None:
    use(tmp_path, Owner("i", "s", "Somebody"), Used("2026-11-26", "nova", 1, 1))
    answer = get(person)
    assert answer.status == 403
    assert b"Somebody" not in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_without_groups_there_is_no_administrator(get: Get) -> None:
    assert get(ADMIN, groups=frozenset()).status == 403


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", " =", "\u00a0=", "\u200b+", "\x1f-", "\uff1d"]
)
def test_no_name_is_a_formula(tmp_path: Path, get: Get, start: str) -> None:
    name = f"{start}HYPERLINK(0)"
    use(tmp_path, Owner("i", name, name), Used("2026-11-26", name, 1, 1))
    answer = get(ADMIN)
    text = answer.body.decode("utf-8-sig")
    [line] = list(csv.reader(text.splitlines(keepends=True)))[1:]
    assert [cell[0] for cell in line[1:4]] == ["'"] * 3
    assert [cell[1:] for cell in line[1:4]] == [name] * 3


def test_other_methods_and_addresses(get: Get) -> None:
    assert get(ADMIN, method="POST").status == 405
    assert get(ADMIN, method="HEAD").body == b""
    assert get(ADMIN, "/usage.csv/x").body == b"Streamlit's answer"
    assert not is_page({"type": "http", "method": "GET", "path": "/usage.csv"})


def test_a_storage_that_is_broken_is_told(tmp_path: Path, get: Get) -> None:
    (tmp_path / "file").touch()
    answer = get(ADMIN, sessions=tmp_path / "file")
    assert answer.status == 503
    assert b"storage has a problem" in answer.body
