"""Notices: what went wrong, told in one way: what happened, whom to ask, how long, and details."""

import re
import time
from collections.abc import Mapping
from html import escape

import streamlit as st

from chatbot.conversations import Turn
from chatbot.errors import ChatbotError
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import wording
from chatbot.page.clock import time_zone
from chatbot.page.state import Tab, current_tab
from chatbot.usage import LimitError

# Seconds after which it is worth to try again, by the code of a ModelError.
WAITS = {"throttled": 60, "unavailable": 60, "network": 60}
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
# As much of an address as cannot end a link in Markdown.
_LINK = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.:-]*(/[A-Za-z0-9._~:/?#@!$&+,;=%-]*)?")


def draw(
    sentence: str,
    details: Mapping[str, object] | None = None,
    seconds: float = 0,
    *,
    icon: str = ":material/error:",
) -> None:
    """Draw a notice, in one element.

    sentence: in Markdown: what happened, and what to do.
    details: what whoever runs the chatbot wants to know, by name; they are folded.
    seconds: until it is worth to try again; 0 draws no countdown.
    """
    contact = as_contact(current_tab().contact)
    with st.container(gap="xxsmall"):
        said = f"{sentence}\n\n{wording.contact(contact)}" if contact else sentence
        st.error(said, icon=icon)
        if seconds > 0:
            _draw_countdown(seconds)
        if details:
            with st.expander(say("Details"), type="compact"):
                lines = (f"{as_text(name)}: {as_text(str(details[name]))}" for name in details)
                st.caption("  \n".join(lines))


def draw_error(error: ChatbotError, sentence: str = "") -> None:
    """Draw the notice for what went wrong.

    sentence: stands in place of the error's own.
    """
    draw(sentence or wording.error(error, time_zone()), details_of(error), _seconds_of(error))


def draw_failure(tab: Tab, turn: Turn, model: str) -> None:
    """Draw the notice for an answer that failed; `model` is the name of the one that was asked."""
    facts = {name: value for name, value in turn.facts.items() if name in ("error", "request")}
    details = wording.details({"error": turn.code, **facts, "model": model})
    draw(wording.end(turn), details, _seconds_until_retry(tab, turn))


def details_of(error: ChatbotError) -> dict[str, str]:
    """Return what whoever runs the chatbot wants to know of an error, by its name on the page."""
    if isinstance(error, LimitError):
        return {}
    facts = {name: value for name, value in error.facts.items() if name in ("errno", "request")}
    host = {"host": current_tab().hostname} if current_tab().hostname else {}
    return wording.details({"error": error.code, **facts, **host})


def as_contact(contact: str) -> str:
    """Return Markdown for whom to ask: an e-mail address or a web address is a link."""
    if _ADDRESS.fullmatch(contact):
        return f"[{as_text(contact)}](mailto:{contact})"
    if _LINK.fullmatch(contact):
        return f"[{as_text(contact)}]({contact})"
    return as_text(contact) if contact else ""


def _seconds_of(error: ChatbotError) -> float:
    until = error.facts.get("until") if isinstance(error, LimitError) else None
    return until - time.time() if isinstance(until, int) else 0


def _seconds_until_retry(tab: Tab, turn: Turn) -> float:
    """Return how long to wait, if this tab saw the answer fail; else nobody knows when that was.

    It may have failed before this tab could draw it in progress.
    """
    if turn.code not in WAITS or turn.id not in tab.sent | tab.watched:
        return 0
    failed = tab.failed.setdefault((turn.id, turn.attempt), time.monotonic())
    return failed + WAITS[turn.code] - time.monotonic()


def _draw_countdown(seconds: float) -> None:
    """Draw a countdown, which web/scripts/countdown.js keeps going without a run of the page."""
    time_left = "<time></time>"
    sentence = escape(wording.can_try_again("\0")).replace("\0", time_left)
    over = escape(wording.can_try_now())
    st.html(
        f'<p class="countdown" role="timer" data-seconds="{seconds:.0f}" data-over="{over}">'
        f"{sentence}</p>"
    )
