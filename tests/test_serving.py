"""What a browser gets of the server: headers, Streamlit's files, and the first sight of a chat."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from chatbot.conversations import new_conversation_id
from chatbot.identity import new_key, session_folder
from chatbot.records import Claim, End, Feedback, Prompt, Record, Text, Thought
from chatbot.sessions import Session
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, WebSocketRoute, expect

from support.browsing import (
    FLAGS,
    LONG,
    SCREENSHOTS,
    WHOLE_CHROMIUM,
    cookie,
    local_storage,
    messages,
    needs_browser,
    open_page,
    say,
    stored,
)
from support.projects import Project
from support.rendering import Bake
from support.serving import Chatbot, free_port, serve
from support.waiting import wait_until

pytestmark = needs_browser

STRANGER = "http://stranger.invalid/"
DIAGRAM = "```mermaid\ngraph TD\n  A --> B\n```"
ANSWER = """# A heading

A paragraph with **bold** text, `code` and [a link](https://example.com).

1. first
2. second
   - nested

> A quotation

| a | b |
|---|---|
| 1 | 2 |

```python
print("<b>code</b>")
```

The newest words."""


@pytest.fixture(scope="module")
def project(bake_to_keep: Bake) -> Project:
    return bake_to_keep(models="both")


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[str]:
    """Serve the project with the demo model; the address."""
    with serve(project, free_port()) as server:
        yield server.address


def keep_conversation(project: Project, key: str, answers: list[str]) -> None:
    """Write a conversation with these answers into the session of that key."""
    keep(project, key, turns(*answers))


def turns(*answers: str) -> list[Record]:
    """Return the records of a conversation with these answers."""
    lines: list[Record] = []
    for number, answer in enumerate(answers):
        lines += turn(Prompt(f"t{number}", f"Question {number}\nof some lines"), answer)
    return lines


def turn(prompt: Prompt, answer: str, *thoughts: str) -> list[Record]:
    """Return the records of a turn that has ended."""
    name = prompt.turn
    thought = [Thought(name, 1, each, 3.0) for each in thoughts]
    answered = (Text(name, 1, answer), End(name, 1, "complete"))
    return [prompt, Claim(name, 1, "w", "m"), *thought, *answered]


def keep(project: Project, key: str, lines: list[Record]) -> None:
    session = Session(session_folder(project.path / "session_data", key))
    session.conversation(new_conversation_id()).update(lambda: lines, create=True)


def file(kind: str) -> dict[str, Any]:
    return {"hash": "0" * 64, "name": f"A file.{kind}", "kind": kind, "size": 1234}


# Prompts with files, and with versions; answers with thoughts, ratings, and words how they ended.
MANIFOLD: list[Record] = [
    *turn(Prompt("a", "One", files=[file("pdf"), file("png")]), "A rated one."),
    Feedback("a", "up", "Good"),
    Prompt("b", "Two"),
    Claim("b", 1, "w", "m"),
    Text("b", 1, "Half"),
    End("b", 1, "stopped", "person"),
    *turn(Prompt("c", "An old version", after="a"), "An old answer."),
    *turn(Prompt("d", "Three"), "Thoughtful.", "First, a thought."),
    *turn(Prompt("e", "Four", files=[file("png")]), "The first answer."),
    *turn(
        Prompt("f", "Four", files=[file("png")], after="d", again="e"), "The newest words.", "Hm"
    ),
    Feedback("f", "down", "Bad"),
]


def return_to(visitor: BrowserContext, address: str, key: str) -> Page:
    """Return a tab of a browser that has that key; it is not at the address yet."""
    visitor.add_cookies([{"name": "chatbot_session", "value": key, "url": address}])
    return visitor.new_page()


# Records at each frame where the newest words of the first sight and of the page stand.
WATCH = """
window.frames_seen = [];
const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
const place = (element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, width, height };
};
const watch = () => {
    const sight = last("#first-sight section:last-child > div > :last-child");
    const page = last('[data-testid="stChatMessage"] p');
    window.frames_seen.push({ sight: sight && place(sight), page: page && place(page) });
    requestAnimationFrame(watch);
};
requestAnimationFrame(watch);
"""


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize(
    "lines",
    [
        turns("Short.", "The newest words."),
        turns(ANSWER),
        turns(*["Many words. " * 60] * 30, "The newest words."),
        turns(DIAGRAM, *["Many words. " * 60] * 3, "The newest words."),
        turn(Prompt("a", "One", assistant="code"), "The newest words."),
        turn(Prompt("a", "One", assistant="gone"), "The newest words."),
        MANIFOLD,
    ],
    ids=["short", "formatted", "long", "diagram out of sight", "other", "gone", "manifold"],
)
def test_the_page_takes_over_from_the_first_sight_without_a_jump(
    site: str, project: Project, visitor: BrowserContext, lines: list[Record], width: int
) -> None:
    expect_no_jump(open_watched(site, project, visitor, lines, width))


@pytest.mark.parametrize("width", [1200, 390])
def test_the_first_sight_leaves_room_for_a_footer_of_many_lines(
    project: Project, visitor: BrowserContext, width: int
) -> None:
    with serve(
        project, free_port(), CHATBOT_FOOTER="Only for <our> & *your* staff. " * 9
    ) as server:
        lines = turns(*["Many words. " * 60] * 3, "The newest words.")
        expect_no_jump(open_watched(server.address, project, visitor, lines, width))


def test_what_stands_below_the_newest_words_may_come_late(
    site: str, project: Project, visitor: BrowserContext
) -> None:
    routes: list[WebSocketRoute] = []
    late: list[str | bytes] = []
    is_fast = Event()

    def relay(route: WebSocketRoute) -> None:
        routes.append(route)
        route.connect_to_server().on_message(pass_on)

    def pass_on(message: Any) -> None:
        if not is_fast.is_set() and (late or b"Answer again" in message):
            late.append(message)
        else:
            routes[0].send(message)

    visitor.route_web_socket("**", relay)
    lines = turns("Many words. " * 200 + "\n\nThe newest words.")
    page = open_watched(site, project, visitor, lines, 1200)
    expect(messages(page).last).to_contain_text("The newest words.")
    drawn = "window.frames_seen.filter(each => each.page).length > 10"
    wait_until(lambda: page.evaluate(drawn), "frames of the messages alone")
    while late:
        routes[0].send(late.pop(0))
    is_fast.set()
    expect_no_jump(page)


def test_an_answer_in_progress_is_not_waited_for(
    address: str, chatbot: Chatbot, visitor: BrowserContext
) -> None:
    end = Event()
    chatbot.bedrock.reply("Half", end, " and whole.")
    page = open_page(visitor, address)
    say(page, "Hello")
    expect(messages(page).last).to_contain_text("Half")
    page.add_init_script("performance.now = () => 0;")  # no patience ends
    page.reload()
    expect(page.locator("#first-sight")).to_have_count(0)
    end.set()
    expect(messages(page).last).to_contain_text("whole")


def open_watched(
    site: str, project: Project, visitor: BrowserContext, lines: list[Record], width: int
) -> Page:
    """Return to a chat of these records in a window of that width."""
    key = new_key()
    keep(project, key, lines)
    page = return_to(visitor, site, key)
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(WATCH)
    page.goto(site)
    return page


def expect_no_jump(page: Page) -> None:
    """Expect that the newest words stand in one place from when they are first seen."""
    expect(messages(page).last).to_contain_text("The newest words.")
    expect(page.locator("#first-sight")).to_have_count(0)
    expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached()
    count = page.evaluate("window.frames_seen.length")
    settled = f"window.frames_seen.length > {count + 5}"
    wait_until(lambda: page.evaluate(settled), "frames of the whole page")
    frames = page.evaluate("window.frames_seen")
    assert any(frame["sight"] for frame in frames)
    seen = [frame["sight"] or frame["page"] for frame in frames if frame["sight"] or frame["page"]]
    assert [each for each in seen if each != pytest.approx(seen[0], abs=2)] == [], seen[0]
    shown = [each["sight"] is not None or each["page"] is not None for each in frames]
    begun = shown.index(True)
    gaps = [frames[number] for number in range(begun, len(frames)) if not shown[number]]
    assert gaps == [], frames[begun:]  # at no moment was there nothing


@pytest.mark.parametrize("hidden", [True, False])
def test_a_page_that_is_never_painted_is_loaded_all_the_same(
    site: str, project: Project, visitor: BrowserContext, hidden: bool
) -> None:
    key = new_key()
    keep_conversation(project, key, [ANSWER])
    page = return_to(visitor, site, key)
    page.add_init_script("window.requestAnimationFrame = () => 0;")
    if hidden:  # then even timers may come late
        page.add_init_script("""Object.defineProperty(document, "hidden", {get: () => true});
            const real = setTimeout;
            window.setTimeout = (action, time, ...rest) =>
                time === 100 ? 0 : real(action, time, ...rest);""")
    page.goto(site)
    expect(page.get_by_test_id("stApp")).to_be_attached()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_sight_comes_without_any_script_in_the_pages_colors(
    site: str, project: Project, browser: Browser, scheme: str
) -> None:
    key = new_key()
    keep_conversation(project, key, [ANSWER])
    colors = []
    for script in (False, True):
        context = browser.new_context(java_script_enabled=script, color_scheme=scheme)  # type: ignore[arg-type]
        page = return_to(context, site, key)
        page.goto(site)
        if script:
            words = messages(page).last.get_by_text("The newest words.")
            behind = page.get_by_test_id("stApp")
        else:
            words = page.locator("#first-sight").get_by_text("The newest words.")
            behind = page.locator("#first-sight")
        expect(words).to_be_visible()
        page.screenshot(path=SCREENSHOTS / f"first-sight-{scheme}-{script}.png")
        look = "(element, name) => getComputedStyle(element)[name]"
        colors.append([words.evaluate(look, "color"), behind.evaluate(look, "backgroundColor")])
        context.close()
    assert colors[0] == colors[1]


def test_what_was_deleted_elsewhere_is_not_seen_again(
    site: str, project: Project, visitor: BrowserContext
) -> None:
    page = open_page(visitor, site)
    say(page, "A secret")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")
    session = Session(session_folder(project.path / "session_data", cookie(visitor)))
    [chat] = session.conversations()
    session.conversation(chat.id).delete()
    page.reload()
    expect(page.get_by_text("How can I help?")).to_be_visible()
    assert "A secret" not in page.content()


@pytest.fixture
def hostile(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that tries to ask strangers."""
    context = browser.new_context()
    context.set_default_timeout(LONG)
    yield context
    context.close()


def test_only_the_pages_own_scripts_run_and_no_stranger_is_asked(
    site: str, hostile: BrowserContext
) -> None:
    """The policy alone keeps what is written into the page from doing anything."""
    page = open_page(hostile, site)
    blocked = page.evaluate(
        """async stranger => {
            const blocked = new Set();
            addEventListener("securitypolicyviolation",
                (each) => blocked.add(each.violatedDirective));
            const add = (html) => document.body.append(
                document.createRange().createContextualFragment(html));
            add("<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>");
            for (const html of [
                `<img src="${stranger}">`, `<script src="${stranger}"></script>`,
                `<link rel=stylesheet href="${stranger}">`, `<iframe src="${stranger}"></iframe>`,
                `<video src="${stranger}"></video>`, `<object data="${stranger}"></object>`,
                `<style>@font-face { font-family: x; src: url(${stranger}) } p { font-family: x }
                 body { background: url(${stranger}) }</style><p>x</p>`,
            ]) add(html);
            await fetch(stranger).catch(() => null);
            try { new WebSocket(stranger.replace("http", "ws")); } catch {}
            await new Promise(done => setTimeout(done, 500));
            return [window.ran ?? "nothing ran", ...blocked].sort();
        }""",
        STRANGER,
    )
    kinds = ("connect", "font", "frame", "img", "media", "object")
    ways = ("script-src-attr", "script-src-elem", "style-src-elem", "nothing ran")
    assert blocked == sorted([*(f"{kind}-src" for kind in kinds), *ways])


def test_what_the_page_loads_is_linked_in_its_html(
    site: str, project: Project, visitor: BrowserContext
) -> None:
    """Each script that it finds out about late costs a round trip before the first message."""
    key = new_key()
    keep_conversation(project, key, ["A plain answer."])
    page = return_to(visitor, site, key)
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url.rpartition("/")[2]))
    response = page.goto(site)
    assert response
    linked = set(re.findall(r"static/js/([^\"]+)\"", response.text()))
    expect(messages(page).last).to_contain_text("A plain answer.")
    late = {name for name in loaded - linked if name.endswith(".js")}
    # The input's microphone, which the page does not offer, loads these whenever it has time.
    assert {name.partition(".")[0] for name in late} <= {"record", "wavesurfer"}


def test_the_page_connects_without_asking_how(site: str, visitor: BrowserContext) -> None:
    """It has what Streamlit would ask for, so one round trip less stands before the first run."""
    page = visitor.new_page()
    page.route("**/_stcore/host-config", lambda route: None)  # it is never answered
    page.goto(site)
    say(page, "Hello")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")


def test_a_return_loads_no_file_again(site: str, visitor: BrowserContext) -> None:
    first = open_page(visitor, site)
    expect(first.get_by_text("How can I help?")).to_be_visible()  # has all that the page draws
    first.wait_for_load_state("networkidle")
    first.close()
    page = visitor.new_page()
    sizes: list[int] = []
    page.on(
        "requestfinished",
        lambda request: sizes.append(
            # Chromium counts what it had in its cache as less than nothing.
            max(0, request.sizes()["responseBodySize"]) if "/static/" in request.url else 0
        ),
    )
    page.goto(site)
    expect(page.get_by_text("How can I help?")).to_be_visible()
    assert sum(sizes) == 0


def test_the_key_in_local_storage_counts_if_the_cookie_is_gone(
    site: str, visitor: BrowserContext
) -> None:
    """From the first run: the page is loaded once, and the address stays."""
    page = open_page(visitor, site)
    say(page, "Remember me")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")
    key, address = cookie(visitor), page.url
    visitor.clear_cookies()
    loads: list[str] = []
    page.on("load", lambda loaded: loads.append(loaded.url))
    page.reload()
    expect(messages(page).first).to_contain_text("Remember me")
    assert (cookie(visitor), local_storage(page), page.url) == (key, key, address)
    assert len(loads) == 1


@contextmanager
def another_site(address: str) -> Iterator[str]:
    """Serve a page of another site that shows the address in a frame."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"<iframe src={address} width=800 height=600>".encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture
def wary(playwright: Playwright) -> Iterator[BrowserContext]:
    """A browser whose settings let other sites' frames keep nothing."""
    if WHOLE_CHROMIUM is None:
        pytest.skip("Debian's package chromium is not installed")
    chromium = playwright.chromium.launch(executable_path=WHOLE_CHROMIUM, args=FLAGS)
    context = chromium.new_context()
    context.set_default_timeout(LONG)
    yield context
    chromium.close()


def test_another_site_can_not_show_the_page_in_a_frame(site: str, hostile: BrowserContext) -> None:
    page = hostile.new_page()
    with another_site(site) as other:
        page.goto(other)
        page.wait_for_load_state("networkidle")
        assert len(page.frames) == 2
        assert all(frame.query_selector("#root") is None for frame in page.frames)


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_a_site_that_may_show_the_page_in_a_frame_does(
    project: Project, wary: BrowserContext, protocol: str
) -> None:
    """Chromium keeps nothing for another site's frame, but a cookie of its own kind on https."""
    wary.set_extra_http_headers({"X-Forwarded-Proto": protocol})  # it trusts localhost as https
    port = free_port()
    with (
        another_site(f"http://localhost:{port}") as other,
        serve(project, port, CHATBOT_FRAME_ANCESTORS=f"https://a.example {other}"),
    ):
        page = wary.new_page()
        page.goto(other)
        inside = page.frame_locator("iframe")
        box = inside.get_by_test_id("stChatInputTextArea")
        box.fill("From a frame")
        box.press("Enter")
        expect(inside.get_by_test_id("stChatMessage").last).to_contain_text("CHATBOT_BACKEND")
        if protocol == "http":
            expect(inside.get_by_text("stores no data of this site")).to_be_visible()
        else:
            expect(inside.get_by_text("stores no data")).to_be_hidden()
            page.reload()
            expect(inside.get_by_test_id("stChatMessage").first).to_contain_text("From a frame")


def test_a_hostile_key_in_local_storage_is_replaced(site: str, visitor: BrowserContext) -> None:
    page = visitor.new_page()
    page.goto(f"{site}/_stcore/health")
    page.evaluate("value => localStorage.setItem('chatbot_session', value)", stored("k;domain=x"))
    page.goto(site)
    expect(page.get_by_text("How can I help?")).to_be_visible()
    assert local_storage(page) == cookie(visitor)
