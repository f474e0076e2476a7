"""How long a click on another chat takes, until the browser has painted its newest message."""

import statistics
import time

from chatbot.conversations import new_conversation_id
from chatbot.identity import session_folder
from chatbot.sessions import Session
from playwright.sync_api import Browser

from benchmarks.page import App, key_of
from benchmarks.store import TEXT, records

CLICKS = 11
SETTLE = 0.75  # seconds after each click

# Looks at each frame, and returns the milliseconds until the browser has painted the first one that
# shows the newest message.
CLICK = """([id, newest]) => new Promise(done => {
    const begun = performance.now();
    document.querySelector(`.st-key-open-${id} button`).click();
    const look = () => {
        const messages = document.querySelectorAll('[data-testid="stChatMessage"]');
        if (messages[messages.length - 1]?.textContent.includes(newest)) {
            setTimeout(() => done(performance.now() - begun));
        } else {
            requestAnimationFrame(look);
        }
    };
    requestAnimationFrame(look);
})"""


def measure(app: App, browser: Browser, messages: int) -> float:
    """Return the median seconds of clicks on one of two chats of that many messages."""
    key = key_of(messages + 1)
    session = Session(session_folder(app.folder, key))
    newest = {}
    for number in range(2):
        conversation = session.conversation(new_conversation_id())
        newest[conversation.id] = f"The end of chat {number}."
        last = newest[conversation.id] + TEXT[len(newest[conversation.id]) :]
        answers = [TEXT] * (messages // 2 - 1) + [last]
        lines = [line for turn, text in enumerate(answers) for line in records(f"t{turn}", text)]
        conversation.update(lambda lines=lines: lines, create=True)  # type: ignore[misc]
    visitor = app.visitor(browser, key)
    page = visitor.new_page()
    page.goto(app.address)
    page.locator('[class*="st-key-open-"] button').nth(1).wait_for()
    chats = list(newest.items())
    seconds: list[float] = []
    for number in range(CLICKS):
        time.sleep(SETTLE)
        seconds.append(page.evaluate(CLICK, chats[number % 2]) / 1000)
    visitor.close()
    return statistics.median(seconds)
