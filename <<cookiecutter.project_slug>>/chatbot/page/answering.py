"""An answer in progress: the bar with Stop, and what a person hears who does not see the page.

What is told here is hidden; web/scripts/status.js reads it out, and web/scripts/keyboard.js shows
the list of shortcuts.
"""

from collections.abc import Iterable
from html import escape

import streamlit as st

from chatbot.answers import Assistant
from chatbot.conversations import Turn
from chatbot.languages import say
from chatbot.page import wording
from chatbot.page.state import Tab
from chatbot.page.waiting import run_next

TURNS_TOLD = 5  # of the newest ones; what became of older ones was told before


def make_places(tab: Tab, assistant_name: str) -> None:
    """Make the bar above the input, and the place of what is told, both empty.

    They come first in each run, so that Stop never stays for an answer that the page left.

    assistant_name: who answers, as a screen reader says.
    """
    tab.bar = st.bottom.empty()
    told = st.bottom.container(key="told")
    tab.told = told.empty()
    told.html(
        f'<div hidden data-words data-you="{escape(say("You"))}"'
        f' data-assistant="{escape(assistant_name)}" data-close="{escape(say("Close"))}">'
        f"<h2>{escape(say('Keyboard shortcuts'))}</h2>{_shortcuts_as_html()}</div>"
    )


def draw_stop(tab: Tab, assistant: Assistant, turn: Turn) -> None:
    """Draw the button that stops this answer, and say that it is in progress."""
    key = f"answering-{turn.id}"  # a run may follow several answers, one after the other
    with tab.bar.container(key=key, horizontal=True, horizontal_alignment="center"):
        st.button(
            say("Stop"),
            key=f"stop-{turn.id}",
            icon=":material/stop_circle:",
            on_click=run_next,
            args=(assistant.stop, tab.conversation, turn.id),
        )
    tell(tab)


def draw_no_stop(tab: Tab) -> None:
    """Take the button away, and say how the answer ended."""
    tab.bar.empty()
    tell(tab)


def tell(tab: Tab) -> None:
    """Tell how it stands with the newest answers; the page reads out what it has not yet."""
    unfinished = [turn.id for turn in tab.conversation.unfinished[:1]]
    lines = (
        f'<p data-turn="{escape(turn.id)}" data-state="{state}">{escape(wording.told(state))}</p>'
        for turn in list(tab.conversation.turns)[-TURNS_TOLD:]
        if (state := turn.state if turn.ended else "open" if turn.id in unfinished else "")
    )
    chat = escape(tab.conversation.id)
    tab.told.html(f'<div hidden data-answers data-chat="{chat}">{"".join(lines)}</div>')


def shortcuts() -> Iterable[tuple[str, str]]:
    """Return the shortcuts of the keyboard: the keys, and what they do."""
    is_mac = "Mac" in st.context.headers.get("User-Agent", "")
    mod = "⌘" if is_mac else say("Ctrl")
    return (
        (say("Enter"), say("Send the message")),
        (say("Shift + Enter"), say("Begin a new line in the message")),
        (say("Esc"), say("Close what is open, or stop the answer")),
        (f"{mod} + Shift + O", say("New chat")),
        (f"{mod} + K", say("Search chats")),
        (f"{mod} + /", say("Show these shortcuts")),
    )


def draw_shortcuts() -> None:
    """Draw the list of the keyboard's shortcuts."""
    st.html(_shortcuts_as_html())


def _shortcuts_as_html() -> str:
    rows = (
        f"<dt><kbd>{escape(keys)}</kbd></dt><dd>{escape(effect)}</dd>"
        for keys, effect in shortcuts()
    )
    return f'<dl class="shortcuts">{"".join(rows)}</dl>'
