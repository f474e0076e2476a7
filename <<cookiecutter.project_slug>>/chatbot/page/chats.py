"""The list of chats, with what can be done to them."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from chatbot.languages import say, say_count
from chatbot.markdown import as_text
from chatbot.page import wording
from chatbot.page.state import EVERYTHING, Tab
from chatbot.page.waiting import run_next

CHATS_SHOWN = 20  # until somebody asks for all of them

# A title and its bin stay on one line, however narrow the sidebar is.
_STYLE = """<style>
.st-key-chats .stHorizontalBlock { flex-wrap: nowrap; }
.st-key-chats [class*="st-key-open-"] { flex: 1 1 0; min-width: 0; }
.st-key-chats [class*="st-key-open-"] :is(button, button *) { justify-content: start; }
</style>"""


def draw_new_chat(tab: Tab) -> None:
    """Draw the button that begins a new chat."""
    st.button(
        say("New chat"),
        key="new-chat",
        icon=":material/add:",
        width="stretch",
        on_click=tab.open_new_conversation,
    )


def draw_chats(tab: Tab) -> None:
    """Draw the list of chats, each with a button that deletes it."""
    st.html(_STYLE)
    newest = tab.chats if tab.chats_shown else tab.chats[:CHATS_SHOWN]
    older = tab.chats[len(newest) :]
    shown = [*newest, *(chat for chat in older if chat.id == tab.conversation.id)]
    with st.container(key="chats", gap="xxsmall"):
        for chat in shown:
            row = st.container(horizontal=True, gap="xxsmall", vertical_alignment="center")
            row.button(
                as_text(chat.title or wording.untitled(chat.id)),
                key=f"open-{chat.id}",
                type="secondary" if chat.id == tab.conversation.id else "tertiary",
                width="stretch",
                on_click=tab.open_conversation,
                args=(chat.id,),
            )
            row.button(
                "",
                key=f"delete-{chat.id}",
                icon=":material/delete:",
                type="tertiary",
                help=say("Delete"),
                on_click=tab.ask_to_confirm,
                args=(chat.id,),
            )
            if tab.confirming == chat.id:
                _draw_confirmation(tab, partial(tab.session.delete_conversation, chat.id))
        if len(shown) < len(tab.chats):
            label = say_count("Show all {count}", "Show all {count}", len(tab.chats))
            st.button(label, type="tertiary", on_click=tab.show_all_chats)
        if tab.chats:
            _draw_delete_everything(tab)


def _draw_delete_everything(tab: Tab) -> None:
    st.button(
        say("Delete everything"),
        icon=":material/delete_forever:",
        type="tertiary",
        help=wording.delete_everything(),
        on_click=tab.ask_to_confirm,
        args=(EVERYTHING,),
    )
    if tab.confirming == EVERYTHING:
        st.caption(wording.usage_stays())
        _draw_confirmation(tab, tab.session.delete)


def _draw_confirmation(tab: Tab, delete: Callable[[], None]) -> None:
    """Ask before something is deleted."""
    with st.container(horizontal=True, gap="small"):
        st.button(say("Delete for good"), type="primary", on_click=run_next, args=(delete,))
        st.button(say("Keep"), on_click=tab.ask_to_confirm, args=("",))
