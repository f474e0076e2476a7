"""A person downloads the chats of their own, from any task, and nobody else's."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from support.store import append
from support.web import Answer, Site, served, streamlit

from chatbot.conversations import Conversation, new_conversation_id
from chatbot.export import disposition, file_name
from chatbot.identity import COOKIE, Person, new_key, session_folder
from chatbot.records import Claim, End, Prompt, Text
from chatbot.sessions import Session
from chatbot.web.downloads import Downloads
from chatbot.web.requests import is_page, set_person

ADA = Person("https://login.example.com", "ada", "Ada")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    """The middleware where nobody has to sign in."""
    with served(Downloads(streamlit, root, False)) as running:
        yield running


def get(site: Site, path: str, key: str = "", method: str = "GET") -> Answer:
    return site.get(path, method, **({"cookie": f"{COOKIE}={key}"} if key else {}))


def test_a_chat_comes_as_markdown(site: Site, conversation: Conversation, key: str) -> None:
    append(conversation, Prompt("t2", "# More"), Claim("t2", 1, "w", "gone"))
    append(conversation, Text("t2", 1, "A *part*"), End("t2", 1, "stopped", "person"))
    answer = get(site, f"/chats/{conversation.id}.md", key)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="Hello.md"')
    text = answer.body.decode()
    assert text.startswith("# Hello\n") and " UTC\n\nHello\n\n## Answer · m\n\nHi there\n" in text
    assert "## Answer · gone\n\nA *part*\n\n(Stopped.)\n" in text


def test_a_chat_comes_as_json(site: Site, conversation: Conversation, key: str) -> None:
    answer = get(site, f"/chats/{conversation.id}.json", key)
    chat = json.loads(answer.body)
    assert (chat["id"], chat["title"]) == (conversation.id, "Hello")
    question, reply = chat["messages"]
    assert (question["role"], question["text"]) == ("user", "Hello")
    assert (reply["model"], reply["text"], reply["state"]) == ("m", "Hi there", "complete")
    assert question["time"] <= reply["time"]


@pytest.mark.parametrize("ending", ["md", "json"])
def test_nobody_else_gets_a_chat(
    site: Site, conversation: Conversation, session: Session, key: str, ending: str
) -> None:
    path = f"/chats/{conversation.id}.{ending}"
    for stranger in ("", new_key(), session.id, "x"):
        answer = get(site, path, stranger)
        assert answer.status == 404 and b"Hi there" not in answer.body
    session.remove_conversation(conversation.id)
    assert get(site, path, key).status == 404


def test_a_person_gets_their_own_and_no_browsers(
    root: Path, conversation: Conversation, key: str
) -> None:
    own = Session(session_folder(root, ADA)).conversation(new_conversation_id())
    append(own, Prompt("t1", "Of Ada"))
    app = Downloads(streamlit, root, True)

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if b"ada" in scope["query_string"]:
            set_person(scope, ADA)
        await app(scope, receive, send)

    with served(gate) as site:
        assert b"Of Ada" in get(site, f"/chats/{own.id}.md?ada").body
        assert get(site, f"/chats/{conversation.id}.md?ada", key).status == 404
        assert get(site, f"/chats/{conversation.id}.md", key).status == 404


@pytest.mark.parametrize(
    "path", ["/chats/", "/chats/x.md", "/chats/../session.md", "/chats/session.json", "/chats/x"]
)
def test_other_addresses_lead_nowhere(
    site: Site, conversation: Conversation, key: str, path: str
) -> None:
    assert get(site, path, key).status == 404
    assert get(site, f"/chats/{conversation.id}.md", key, "POST").status == 405


def test_the_page_is_left_to_streamlit(site: Site) -> None:
    for path in ("/", "/chats", "/chatsx"):
        assert get(site, path).body == b"Streamlit's answer"
    for path in ("/chats/x.md", "/chats.zip"):
        assert not is_page({"type": "http", "method": "GET", "path": path})


def test_all_chats_come_in_one_archive(site: Site, session: Session, key: str) -> None:
    for _ in range(2):
        for prompt in ("../../etc/passwd", "日本", "日本", "CON"):
            append(session.conversation(new_conversation_id()), Prompt("t1", prompt))
    gone = session.conversation(new_conversation_id())
    append(gone, Prompt("t1", "Forget this"))
    session.remove_conversation(gone.id)
    answer = get(site, "/chats.zip", key)
    assert answer.status == 200 and answer.headers["content-type"] == "application/zip"
    assert 'filename="chats.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len({name.casefold() for name in names}) == 16
        assert not [name for name in names if "/" in name or "\\" in name]
        assert sum("日本" in name for name in names) == 8
        assert "Forget this" not in "".join(archive.read(name).decode() for name in names)
    assert get(site, "/chats.zip", new_key()).status == 200  # an empty one
    assert get(site, "/chats.zip").status == 404


def test_the_news_change_with_the_list_and_with_the_open_chat(
    site: Site, session: Session, conversation: Conversation, key: str
) -> None:
    def ask(chat: str = conversation.id) -> str:
        answer = get(site, f"/chats/news?chat={chat}", key)
        assert answer.status == 200
        return answer.body.decode()

    assert ask() == ask() != ask("../x")
    before = ask()
    append(conversation, Prompt("t2", "More"))
    assert before != ask()
    before = ask()
    session.pin_conversation(conversation.id, True)
    assert before != ask()
    assert get(site, "/chats/news").status == 404


def test_a_storage_that_fails_is_told(
    site: Site, session: Session, conversation: Conversation, key: str
) -> None:
    get(site, "/chats/news", key)
    root = session.folder.parent
    away = root.rename(root.with_name("away"))
    for path in ("/chats.zip", "/chats/news"):
        answer = get(site, path, key)
        assert answer.status == 503 and b"storage" in answer.body
    away.rename(root)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ('a/b\\c:d*e?"f<g>h|i', "a b c d e f g h i"),
        ("..", "chat"),
        ("", "chat"),
        ("nul", "nul -"),
        ("COM1.txt", "COM1.txt -"),
        ("line\r\nSet-Cookie: x=1", "line Set-Cookie x=1"),
        ("\u202egpj.exe", "gpj.exe"),
        ("日本の “plan” 🎉", "日本の plan"),
        ("x" * 300, "x" * 80),
    ],
)
def test_a_files_name_is_safe(title: str, name: str) -> None:
    assert file_name(title) == name
    header = disposition(f"{file_name(title)}.md")
    assert header.isascii() and header.isprintable() and header.count('"') == 2
