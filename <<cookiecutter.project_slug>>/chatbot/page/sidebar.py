"""The sidebar: the choice of the model, and the list of chats with what can be done to them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from chatbot.markdown import as_text
from chatbot.models import Model
from chatbot.page import wording
from chatbot.page.state import EVERYTHING, Tab, current_tab
from chatbot.page.waiting import run_interruptibly, run_next
from chatbot.storage import StorageError

CHATS_SHOWN = 20  # until somebody asks for all of them
_MODEL = "model"  # the key of the select box, and of the value in the session

# A title and its bin stay on one line, however narrow the sidebar is.
_STYLE = """<style>
.st-key-chats .stHorizontalBlock { flex-wrap: nowrap; }
.st-key-chats [class*="st-key-open-"] { flex: 1 1 0; min-width: 0; }
.st-key-chats [class*="st-key-open-"] :is(button, button *) { justify-content: start; }
</style>"""


def chosen_model(tab: Tab, models: dict[str, Model]) -> str:
    """Return the key of the chosen model: the session's last one, else the default."""
    if tab.chats and not tab.model_read:
        with suppress(StorageError):  # it is tried again in the next run
            last = run_interruptibly(tab.session.get, _MODEL)
            if last in models:
                st.session_state[_MODEL] = last
            tab.model_read = True
    if st.session_state.get(_MODEL) not in models:
        st.session_state[_MODEL] = next(iter(models))
    return str(st.session_state[_MODEL])


def draw_model(models: dict[str, Model]) -> None:
    """Draw the choice of the model."""
    st.selectbox(
        "Model",
        list(models),
        format_func=lambda key: models[key].name,
        key=_MODEL,
        on_change=_model_changed,
    )


def _model_changed() -> None:
    current_tab().model_read = True  # what is on the disk is older


def draw_new_chat(tab: Tab) -> None:
    """Draw the button that begins a new chat."""
    st.button(
        "New chat",
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
                help="Delete",
                on_click=tab.ask_to_confirm,
                args=(chat.id,),
            )
            if tab.confirming == chat.id:
                _draw_confirmation(tab, partial(tab.session.delete_conversation, chat.id))
        if len(shown) < len(tab.chats):
            st.button(f"Show all {len(tab.chats)}", type="tertiary", on_click=tab.show_all_chats)
        if tab.chats:
            _draw_delete_everything(tab)


def _draw_delete_everything(tab: Tab) -> None:
    st.button(
        "Delete everything",
        icon=":material/delete_forever:",
        type="tertiary",
        help=wording.DELETE_EVERYTHING,
        on_click=tab.ask_to_confirm,
        args=(EVERYTHING,),
    )
    if tab.confirming == EVERYTHING:
        st.caption(wording.USAGE_STAYS)
        _draw_confirmation(tab, tab.session.delete)


def _draw_confirmation(tab: Tab, delete: Callable[[], None]) -> None:
    """Ask before something is deleted."""
    with st.container(horizontal=True, gap="small"):
        st.button("Delete for good", type="primary", on_click=run_next, args=(delete,))
        st.button("Keep", on_click=tab.ask_to_confirm, args=("",))


def keep_choices(tab: Tab, model: str) -> None:
    """Keep the model, and the day of this visit, which shows retention that the session is used.

    Nothing is kept for who has no chats.
    """
    if not tab.chats:
        tab.kept.clear()  # it was all deleted
        return
    choices = {"visited": f"{datetime.now(UTC):%Y-%m-%d}"}
    if tab.model_read:
        choices[_MODEL] = model
    for name, value in choices.items():
        if tab.kept.get(name) != value:
            with suppress(StorageError):  # the chats can be read all the same
                run_interruptibly(tab.session.set, name, value)
                tab.kept[name] = value
