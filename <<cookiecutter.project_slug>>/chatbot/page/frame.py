"""The frame around a chat: the page's name and logo, what stands above the chat, and the footer."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import theme, wording
from chatbot.page.state import Tab
from chatbot.settings import Settings


def name_tab(tab: Tab, title: str) -> None:
    """Have the browser's tab name the open chat, too, so that several tabs can be told apart."""
    names = [chat.title for chat in tab.chats if chat.id == tab.conversation.id]
    st.set_page_config(page_title=" · ".join([*filter(None, names), title]))


def draw_name(title: str) -> None:
    """Draw what the sidebar begins with: the logo, if there is one, and the page's name."""
    if logo := theme.logo():
        st.logo(logo, size="large")
    st.title(as_text(title), anchor=False)


@contextmanager
def header(settings: Settings) -> Iterator[None]:
    """Draw what stays above the chat; the block draws what a person chooses there."""
    with st.container(
        key="header",
        horizontal=True,
        vertical_alignment="center",
        horizontal_alignment="distribute",
    ):
        with st.container(horizontal=True, vertical_alignment="center", width="stretch"):
            yield
        if settings.backend == "demo":
            st.badge(say("Demo model"), icon=":material/science:", color="gray")


def draw_footer(settings: Settings) -> None:
    """Draw the line below the input: the team's words, and how long chats are kept."""
    own = as_text(settings.footer) if settings.footer else ""
    with st.bottom, st.container(key="footer"):
        st.caption(wording.footer(own, settings.retention_days), text_alignment="center")
