"""The page's HTML: whose it is, and what of a conversation it shows before any script has run."""

import gzip
import os
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import streamlit as st
from support.store import append
from support.web import Answer, Site, served, streamlit

from chatbot.conversations import Conversation
from chatbot.identity import is_key, new_key, session_folder
from chatbot.page.theme import variables
from chatbot.records import Claim, End, Prompt, Text
from chatbot.sessions import Session
from chatbot.web.index import Index

STREAMLITS_FILES = Path(st.__file__).parent / "static"
HOSTILE = """<script>steal()</script><img src="https://stranger.example/1.png" onerror="steal()">

![picture](https://stranger.example/2.png) [link](javascript:steal())

| a |
|---|
| <b onclick="steal()">cell</b> |

`</div><script>` and ```` ```mermaid ````

```html
<iframe src="https://stranger.example"></iframe></pre>
```
"""

Serve = Callable[..., Site]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve the index of the folder for sessions; arguments are those of Index."""
    running = []

    def start(*, is_framed: bool = False, title: str = "Chatbot") -> Site:
        app = Index(
            streamlit, STREAMLITS_FILES, tmp_path / "sessions", title, variables(), is_framed
        )
        running.append(served(app))
        return running[-1].__enter__()

    yield start
    for each in running:
        each.__exit__(None, None, None)


@pytest.fixture
def site(serve: Serve) -> Site:
    return serve()


class Sight(HTMLParser):
    """The turns in the first sight of a page: their text, and the tags and attributes in them."""

    def __init__(self, page: Answer) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), set[str]()
        self._inside = 0
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._inside:
            self.tags.add(tag)
            self.attributes |= {name for name, _ in attrs}
        if (self._inside or ("class", "turns") in attrs) and tag not in ("br", "hr"):
            self._inside += 1

    def handle_endtag(self, tag: str) -> None:
        self._inside -= self._inside > 0

    def handle_data(self, data: str) -> None:
        self.text += data if self._inside else ""


def cookie_of(page: Answer) -> str:
    return page.headers["set-cookie"].partition(";")[0].removeprefix("chatbot_session=")


def test_a_new_browser_gets_a_key_and_sees_nothing_of_others(
    site: Site, conversation: Conversation
) -> None:
    pages = [site.get("/"), site.get(f"/?chat={conversation.id}", Cookie="chatbot_session=wrong")]
    keys = {cookie_of(page) for page in pages}
    assert len(keys) == 2 and all(map(is_key, keys))
    for page in pages:
        assert b'id="first-sight"' not in page.body
        assert page.headers["cache-control"] == "no-store"


def test_a_known_browser_keeps_its_key(site: Site, key: str) -> None:
    page = site.get("/", Cookie=f"other=1; chatbot_session={key}; more=2")
    assert cookie_of(page) == key
    assert f'data-key="{key}" data-known="yes"' in page.body.decode()


def test_the_cookie_is_secure_on_https_and_keeps_to_this_site(serve: Serve) -> None:
    page = serve().get("/", X_Forwarded_Proto="https")
    assert "samesite=lax; secure" in page.headers["set-cookie"]
    assert "secure" not in serve().get("/").headers["set-cookie"]


def test_in_a_frame_of_another_site_the_browser_sends_the_cookie_too(serve: Serve) -> None:
    page = serve(is_framed=True).get("/", X_Forwarded_Proto="https")
    assert "samesite=none; secure; partitioned" in page.headers["set-cookie"]


def test_a_returning_browser_sees_its_newest_conversation(
    site: Site, session: Session, conversation: Conversation, key: str
) -> None:
    newest = session.conversation("20990101T000000000000-00000000")
    append(newest, Prompt("t1", "A & B?"), Claim("t1", 1, "w", "m"), Text("t1", 1, "**Both** <3"))
    os.utime(conversation.path, (1, 1))
    sight = Sight(site.get("/", Cookie=f"chatbot_session={key}"))
    assert sight.text == "A & B?Both <3"
    chosen = Sight(site.get(f"/?chat={conversation.id}", Cookie=f"chatbot_session={key}"))
    assert chosen.text == "HelloHi there"


def test_it_is_never_stale(site: Site, conversation: Conversation, key: str) -> None:
    address = f"/?chat={conversation.id}"
    assert "Hi there" in Sight(site.get(address, Cookie=f"chatbot_session={key}")).text
    append(conversation, Prompt("t2", "Another"), Claim("t2", 1, "w", "m"), Text("t2", 1, "mo"))
    append(conversation, Text("t2", 1, "ment"))
    assert Sight(site.get(address, Cookie=f"chatbot_session={key}")).text.endswith("Anothermoment")
    conversation.delete()
    assert b'id="first-sight"' not in site.get(address, Cookie=f"chatbot_session={key}").body


def test_another_persons_conversation_is_not_shown(
    site: Site, conversation: Conversation, tmp_path: Path
) -> None:
    stranger = new_key()
    Session(session_folder(tmp_path / "sessions", stranger)).set("here", True)
    page = site.get(f"/?chat={conversation.id}", Cookie=f"chatbot_session={stranger}")
    assert b'id="first-sight"' not in page.body


@pytest.mark.parametrize("chat", ["../../etc/passwd", "%00", "%FF%FE", "20200101T", "a" * 5000])
def test_a_malformed_address_shows_the_newest(
    site: Site, conversation: Conversation, key: str, chat: str
) -> None:
    page = site.get(f"/?chat={chat}", Cookie=f"chatbot_session={key}")
    assert Sight(page).text == "HelloHi there"


def test_hostile_text_is_text(site: Site, conversation: Conversation, key: str) -> None:
    append(conversation, Prompt("t2", HOSTILE), Claim("t2", 1, "w", "m"), Text("t2", 1, HOSTILE))
    append(conversation, End("t2", 1, "failed", notice="<img src=x onerror=steal()>"))
    sight = Sight(site.get("/", Cookie=f"chatbot_session={key}"))
    assert sight.attributes == {"class", "dir"}  # our own
    assert not sight.tags & {"script", "img", "iframe", "style", "link", "svg", "form"}
    for words in ("<script>steal()</script>", "<iframe src=", "onclick", "</div><script>"):
        assert sight.text.count(words) >= 2, words


def test_lists_quotes_and_tables_have_the_direction_of_their_text(
    site: Site, conversation: Conversation, key: str
) -> None:
    answer = "- a\n  - b\n\n1. c\n\n> d\n\n| e |\n| - |\n| f |"
    append(conversation, Prompt("t2", "Begin"), Claim("t2", 1, "w", "m"), Text("t2", 1, answer))
    page = site.get("/", Cookie=f"chatbot_session={key}").body.decode()
    assert re.findall(r'<(\w+) dir="auto">', page) == ["ul", "ol", "blockquote", "table"]


def test_a_long_conversation_is_shown_by_its_end(
    site: Site, conversation: Conversation, key: str
) -> None:
    for number in range(200):
        turn = f"n{number}"
        append(conversation, Prompt(turn, f"Question {number}."), Claim(turn, 1, "w", "m"))
        append(conversation, Text(turn, 1, "word " * 400 + f"\n\n```\ncode {number}\n```\n"))
        append(conversation, End(turn, 1, "complete"))
    page = site.get("/", Cookie=f"chatbot_session={key}")
    assert "Question 199." in Sight(page).text and "code 199" in Sight(page).text
    assert "Question 100." not in Sight(page).text
    assert len(page.body) - len(site.get("/").body) < 20_000


def test_code_that_is_cut_is_still_code(site: Site, conversation: Conversation, key: str) -> None:
    code = "# no heading\n\n" * 10_000
    append(conversation, Prompt("t2", "Code?"), Claim("t2", 1, "w", "m"))
    append(conversation, Text("t2", 1, f"Here:\n\n```python\n{code}```\n\nThat is all."))
    page = site.get("/", Cookie=f"chatbot_session={key}")
    sight = Sight(page)
    assert len(page.body) - len(site.get("/").body) < 20_000
    assert "h1" not in sight.tags and "# no heading" in sight.text
    assert sight.text.endswith("That is all.")


def test_a_storage_that_does_not_answer_does_not_keep_the_page(
    site: Site, conversation: Conversation, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbot.web.patience.LIMIT", 0.1)
    with conversation.lock:  # as long as somebody else reads it, and waits
        for _ in range(6):
            page = site.get("/", Cookie=f"chatbot_session={key}")
            assert page.status == 200 and b'id="first-sight"' not in page.body
        monkeypatch.setattr("chatbot.web.patience.LIMIT", 600)  # enough have waited
        assert site.get("/", Cookie=f"chatbot_session={key}").status == 200


def test_the_page_is_compressed(site: Site) -> None:
    page = site.get("/", Accept_Encoding="gzip")
    assert page.headers["content-encoding"] == "gzip"
    assert b'<div id="root">' in gzip.decompress(page.body)


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/some/page", "/v1.2", "/%3Cscript%3E", "/static-page"]
)
def test_the_page_has_many_addresses(site: Site, path: str) -> None:
    assert b'<div id="root">' in site.get(path).body


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/health",
        "/a/_stcore/health",
        "/media/x",
        "/component/x/y",
        "/favicon.png",
        "/manifest.json",
    ],
)
def test_the_parts_of_the_page_are_streamlits(site: Site, path: str) -> None:
    assert site.get(path).body == b"Streamlit's answer"
    assert site.get("/", "POST").body == b"Streamlit's answer"


def test_the_title_is_there_at_once(serve: Serve) -> None:
    page = serve(title='Ask & "Learn" </title>').get("/").body.decode()
    assert "<title>Ask &amp; &quot;Learn&quot; &lt;/title&gt;</title>" in page


def test_the_first_sight_waits_for_no_file(
    site: Site, conversation: Conversation, key: str
) -> None:
    """If Streamlit writes its index.html otherwise one day, this says so."""
    append(conversation, Prompt("t1", "Hello"))
    page = site.get("/", Cookie=f"chatbot_session={key}").body.decode()
    before, found, after = page.partition('id="first-sight"')
    assert found
    assert "stylesheet" not in before and "stylesheet" in after
    assert not re.findall(r"<script[^>]+src=", page)
    [start] = re.findall(r'data-start="\./([^"]+)"', before)
    assert f'<link rel="modulepreload" crossorigin href="./{start}">' in before
    fonts = re.findall(r"@font-face{font-family:([^;]+);[^}]*url\(\./([^)]+)\)", before)
    assert {family for family, _ in fonts} == {"Source Sans", "Source Code Pro"}
    for file in (start, *(file for _, file in fonts)):
        assert (STREAMLITS_FILES / file).exists()


def test_what_the_page_loads_late_is_asked_for_at_once(site: Site) -> None:
    """If Streamlit names its files otherwise one day, this says so."""
    page = site.get("/").body.decode()
    linked = set(re.findall(r'href="\./static/js/([^"]+)"', page))
    for name in ("ChatInput", "Selectbox", "Button", "Html"):
        [file] = [each for each in linked if each.startswith(f"{name}.")]
        assert (STREAMLITS_FILES / "static" / "js" / file).exists()
