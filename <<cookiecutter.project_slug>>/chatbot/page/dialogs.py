"""Dialogs about chats: a new name, a deletion, a download where no address can give one."""

import time
from collections.abc import Callable

import streamlit as st

from chatbot import export
from chatbot.export import JSON, MARKDOWN, MEDIA_TYPES, WRITERS, Words
from chatbot.journals import DeletedError
from chatbot.labels import TITLE_LENGTH
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import wording
from chatbot.page.state import Removed, Tab, current_tab
from chatbot.page.waiting import run_interruptibly, run_next
from chatbot.sessions import UNDO_SECONDS
from chatbot.storage import StorageError

RENAME, DELETE, DOWNLOAD, DELETE_ALL = "rename", "delete", "download", "delete-all"
_TITLE = "chat-title"  # the key of the input


def draw_dialog(tab: Tab, words: Words) -> None:
    """Draw the dialog that is open, if one is.

    The page follows no answer behind it: a click in a dialog waits until the page's run has ended.
    """
    if tab.asked is None:
        return
    action, id_ = tab.asked
    if action == DELETE_ALL:
        _open(say("Delete all my chats?"), _draw_delete_all, tab)
        return
    titles = {chat.id: chat.title or wording.untitled(chat.id) for chat in tab.chats}
    if id_ not in titles:  # deleted in another tab
        tab.asked = None
    elif action == RENAME:
        _open(say("Rename chat"), _draw_rename, tab, id_, titles[id_])
    elif action == DELETE:
        _open(say("Delete this chat?"), _draw_delete, tab, id_, titles[id_])
    else:
        _open(say("Download chat"), _draw_download, tab, id_, titles[id_], words)


def _open(title: str, draw: Callable[..., None], *args: object) -> None:
    st.dialog(title, on_dismiss=current_tab().ask_no_more)(draw)(*args)


def _draw_rename(tab: Tab, id_: str, title: str) -> None:
    with st.form("rename-chat", border=False):
        st.text_input(
            say("Title"), title, key=f"{_TITLE}-{id_}", max_chars=TITLE_LENGTH, autocomplete="off"
        )
        with st.container(horizontal=True, horizontal_alignment="right"):
            if st.form_submit_button(say("Save"), type="primary"):
                typed = str(st.session_state.get(f"{_TITLE}-{id_}") or "")
                tab.ask_no_more()
                if typed.strip() != title:
                    run_next(tab.session.rename_conversation, id_, typed)
                st.rerun()


def _draw_delete(tab: Tab, id_: str, title: str) -> None:
    conversation = tab.session.conversation(id_)
    try:
        run_interruptibly(conversation.refresh)
    except StorageError as error:
        st.error(wording.error(error), icon=":material/error:")
    st.markdown(as_text(wording.ask_to_delete(title, 2 * len(conversation.turns))))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(say("Keep"), key="keep-chat"):
            tab.ask_no_more()
            st.rerun()
        if st.button(say("Delete"), key="delete-chat", type="primary"):
            tab.ask_no_more()
            run_next(_remove, tab, id_, title)
            st.rerun()


def _draw_delete_all(tab: Tab) -> None:
    st.write(wording.what_deletion_takes(len(tab.chats)))
    st.write(wording.what_deletion_leaves())
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(say("Keep"), key="all-chats-keep"):
            tab.ask_no_more()
            st.rerun()
        if st.button(say("Delete all chats"), key="all-chats-delete-now", type="primary"):
            tab.ask_no_more()
            run_next(tab.session.delete)
            st.rerun()


def _remove(tab: Tab, id_: str, title: str) -> None:
    was_open = tab.conversation.id == id_
    until = time.monotonic() + UNDO_SECONDS
    tab.too_late = False
    tab.removed = Removed(id_, title, until, was_open)
    if not tab.session.remove_conversation(id_):
        tab.removed = Removed(id_, title, 0.0, was_open)


def bring_back(tab: Tab) -> None:
    """Undo the last deletion, in the next run."""
    if tab.removed:
        if tab.removed.was_open:
            tab.open_conversation(tab.removed.id)
        run_next(_bring_back, tab, tab.removed)


def _bring_back(tab: Tab, removed: Removed) -> None:
    tab.too_late = not tab.session.bring_back(removed.id)
    tab.removed = None


def _draw_download(tab: Tab, id_: str, title: str, words: Words) -> None:
    """Draw Streamlit's own downloads, for a browser that sends no cookie with an address."""
    try:
        conversation, own = run_interruptibly(export.read_chat, tab.session, id_)
        name = export.file_name(title)
        for ending, label in ((MARKDOWN, "Markdown"), (JSON, "JSON")):
            text = run_interruptibly(WRITERS[ending], conversation, own, words)
            st.download_button(
                label,
                text.encode("utf-8", "replace"),
                f"{name}.{ending}",
                MEDIA_TYPES[ending].split(";")[0],
                key=f"download-{ending}",
                icon=":material/download:",
                on_click="ignore",
                width="stretch",
            )
    except DeletedError:
        st.error(wording.chat_is_missing(), icon=":material/error:")
    except StorageError as error:
        st.error(wording.error(error), icon=":material/error:")
