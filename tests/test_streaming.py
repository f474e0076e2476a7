"""An answer that grows on the page: what is sent of it, and that it looks like a finished one."""

from threading import Event
from typing import Any

import pytest
from chatbot.markdown import PART_SIZE
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from support.browsing import messages, needs_browser, open_page, say
from support.serving import Chatbot

pytestmark = needs_browser

BLOCKS = (
    "[A name][] whose address comes last.",
    "## A heading\n\n### Another heading",
    "1. One\n2. Two\n\n   with a paragraph\n3. Three",
    "- a\n- b\n  - c",
    "| one | two |\n| --- | ---: |\n| three | 4 |",
    "> A quotation",
    "```python\ndef double(number):\n    return 2 * number\n```",
    "---------",
    "\\[\na^2 + b^2 = c^2\n\\]",
    "```mermaid\ngraph TD\n  A[One] --> B[Two]\n```",
)


def paragraph(length: int) -> str:
    return ("Words that fill a line, *some* of them `code`, until there are enough. " * 50)[:length]


# In the first half, parts end with these blocks; in the second half, they begin with them.
ANSWER = "\n\n".join(
    [f"{paragraph(PART_SIZE - 10)}\n\n{block}" for block in BLOCKS]
    + [f"{paragraph(PART_SIZE)}\n\n{block}" for block in BLOCKS]
    + ["[A name]: https://example.com/named"]
)

BOXES = """message => {
    const top = message.getBoundingClientRect();
    const all = message.querySelectorAll('[data-testid=stMarkdownContainer] *');
    return [...all].filter(each => each.checkVisibility()).map(each => {
        const {x, y, width, height} = each.getBoundingClientRect();
        const box = [x - top.x, y - top.y, width, height].map(Math.round);
        return [each.tagName, each.closest('svg') ? '' : each.textContent, ...box].join(' ');
    });
}"""
MERGE = """message => {
    const [first, ...others] = message.querySelectorAll('[data-testid=stMarkdownContainer]');
    for (const each of others) {
        first.append(...each.childNodes);
        each.closest('[data-testid=stElementContainer]').remove();
    }
    return others.length;
}"""


@pytest.fixture
def bedrock(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def ask(page: Page, more: Event) -> Any:
    """Ask a question; the message that answers it, when it has ended.

    more: what the answer's last piece waits for. A browser that is kept busy by the others shows
    its buttons as soon as it has time.
    """
    say(page, "Tell me")
    answer = messages(page).nth(1)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    more.set()
    wait_for_drawings(page, answer)
    return answer


def wait_for_drawings(page: Page, answer: Any) -> None:
    expect(answer.locator("a[href='https://example.com/named']")).to_have_count(2)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(answer.locator(".katex-display")).to_have_count(2)
    expect(answer.get_by_role("img", name="Mermaid flowchart")).to_have_count(2)
    expect(answer.get_by_test_id("stSkeleton")).to_have_count(0)


def test_an_answer_that_has_grown_looks_as_after_a_reload_and_as_one_element(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    *steps, last = [ANSWER[start : start + 100] for start in range(0, len(ANSWER), 100)]
    bedrock.reply(*(step for text in steps for step in (text, 0.01)), more, last)
    page = open_page(visitor, address)
    page.set_viewport_size({"width": 1200, "height": 25_000})  # diagrams out of sight are not drawn
    answer = ask(page, more)
    boxes, picture = answer.evaluate(BOXES), answer.screenshot()
    page.reload()
    wait_for_drawings(page, answer)
    assert answer.evaluate(BOXES) == boxes
    assert answer.screenshot() == picture
    assert answer.evaluate(MERGE) >= 2 * len(BLOCKS)
    assert answer.evaluate(BOXES) == boxes


def test_what_is_finished_of_an_answer_is_not_sent_again(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    words = [f"word{number:04} " for number in range(1_000)]
    paragraphs = ["".join(words[start : start + 50]) for start in range(0, len(words), 50)]
    middle = len(paragraphs) // 2
    bedrock.reply("\n\n".join(paragraphs[:middle]), more, "\n\n" + "\n\n".join(paragraphs[middle:]))
    page = visitor.new_page()
    frames: list[Any] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: frames.append(frame))

    page.on("websocket", listen)
    page.goto(address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("word0499")
    frames.clear()
    more.set()
    expect(messages(page).nth(1)).to_contain_text("word0999")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    copied = [frame for frame in frames if b"data-copy" in frame]
    sent = b"".join(frame for frame in frames if frame not in copied)
    assert len(copied) == 1  # what is copied comes once, at the end
    assert b"word0999" in sent
    assert b"word0000" not in sent
    assert b"word0250" not in sent
