"""How long a person waits for the page: Chromium visits both apps in turns, in quiet rounds."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from benchmarks.page import App, key_of
from benchmarks.quiet import measure_in_quiet
from benchmarks.store import NEWEST

SETTLE = 0.75  # seconds after each visit, so that it does not slow the next one down

# Looks at each frame, and says when the browser had painted the first one that shows the newest
# message: anywhere, and in the page itself.
SCRIPT = """if (window === top) {
    const shows = (element) => Boolean(element?.textContent.includes("NEWEST")
        && element.checkVisibility({opacityProperty: true, visibilityProperty: true}));
    let first = null;
    const look = () => {
        const messages = document.querySelectorAll('[data-testid="stChatMessage"]');
        const drawn = shows(messages[messages.length - 1]);
        if (drawn || first === null && shows(document.getElementById("first-sight"))) {
            setTimeout(() => {
                first ??= performance.now();
                if (drawn) console.debug(`benchmark ${first} ${performance.now()}`);
            });
        }
        if (!drawn) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}""".replace("NEWEST", NEWEST)

Waits = dict[str, float]  # seconds until first sight, and until the page itself


def is_report(message: ConsoleMessage) -> bool:
    return message.text.startswith("benchmark ")


def wait_for_newest(page: Page, navigate: Callable[[], object]) -> Waits:
    """Return the seconds from the navigation until the newest message is shown."""
    with page.expect_console_message(is_report) as said:
        navigate()
    _, first, drawn = said.value.text.split()
    return {"first_sight": float(first) / 1000, "page": float(drawn) / 1000}


def person(app: App, browser: Browser, key: str) -> BrowserContext:
    visitor = app.visitor(browser, key)
    visitor.add_init_script(SCRIPT)
    return visitor


def visit(app: App, visitor: BrowserContext) -> dict[str, Waits]:
    """Open the app in a new tab, and reload it."""
    page = visitor.new_page()
    new = wait_for_newest(page, lambda: page.goto(app.address, wait_until="commit"))
    time.sleep(SETTLE)
    reload = wait_for_newest(page, lambda: page.reload(wait_until="commit"))
    page.close()
    time.sleep(SETTLE)
    return {"new": new, "reload": reload}


def visit_cold(app: App, browser: Browser, key: str) -> dict[str, Waits]:
    """Open the app in a browser that has the session's key but none of the app's files."""
    visitor = person(app, browser, key)
    page = visitor.new_page()
    waits = wait_for_newest(page, lambda: page.goto(app.address, wait_until="commit"))
    visitor.close()
    time.sleep(SETTLE)
    return {"cold": waits}


def measure(
    apps: list[App], browser: Browser, messages: int, rounds: int, cold: bool
) -> dict[str, Any]:
    """Return the median waits by kind of visit, and how many rounds were disturbed.

    cold: also measure browsers with an empty cache. In each round both apps have a turn, and the
    one that was first is second in the next.
    """
    key = key_of(messages)
    visitors = {app.name: person(app, browser, key) for app in apps}
    for app in apps:
        visit(app, visitors[app.name])  # fills the caches
    turns = list(apps)

    def measure_round() -> dict[str, dict[str, Waits]]:
        turns.reverse()
        waits = {app.name: visit(app, visitors[app.name]) for app in turns}
        for app in turns if cold else ():
            waits[app.name] |= visit_cold(app, browser, key)
        return waits

    measured = measure_in_quiet(rounds, measure_round)
    for visitor in visitors.values():
        visitor.close()
    kinds = ("new", "reload", "cold") if cold else ("new", "reload")
    return {
        "waits": {
            kind: {
                figure: medians(
                    [{app: each[app][kind][figure] for app in each} for each in measured.figures]
                )
                for figure in ("first_sight", "page")
            }
            for kind in kinds
        },
        "rounds": rounds,
        "thrown_away": measured.thrown_away,
        "loud": measured.loud,
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median seconds of each app, and the median of the rounds' ratios."""
    seconds = {app: statistics.median(each[app] for each in rounds) for app in rounds[0]}
    ratios = [each["template"] / each["baseline"] for each in rounds]
    return seconds | {"ratio": statistics.median(ratios)}
