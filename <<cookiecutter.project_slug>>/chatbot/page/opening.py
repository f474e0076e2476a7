"""What a run of the page begins with: whose session it is, its chats, the one that is open."""

import streamlit as st

from chatbot.conversations import is_conversation_id, new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.page import account, browser
from chatbot.page.state import ASSISTANT, Tab
from chatbot.page.waiting import run_interruptibly
from chatbot.sessions import Session
from chatbot.settings import Settings
from chatbot.storage import StorageError


def begin_run(tab: Tab, settings: Settings) -> None:
    """Open the session of the person, or of this browser; forget what went wrong in the run before.

    Ends the script's run if that is not known yet, or no more.
    """
    tab.slow_notice = st.empty()
    tab.storage_error = tab.not_sent = tab.refused = None
    owner: str | Person
    if settings.sign_in:
        owner = account.begin_run(tab, settings.sign_in, settings.sessions_dir)
    else:
        owner = browser.session_key(tab)
    tab.session = Session(session_folder(settings.sessions_dir, owner))


def read_storage(tab: Tab) -> None:
    """Read the list of chats and the open conversation.

    What can't be read stays as this tab has read it, and `tab.storage_error` says why.
    """
    read_chats(tab)
    try:
        _read_conversation(tab)
    except StorageError as error:
        tab.storage_error = error


def read_chats(tab: Tab) -> None:
    """Read the list of chats, as `read_storage` does."""
    try:
        tab.chats = run_interruptibly(tab.session.conversations)
    except StorageError as error:
        tab.storage_error = error


def begin_conversation(tab: Tab) -> None:
    """Open a new conversation in this run."""
    tab.open_new_conversation()
    tab.conversation = tab.session.conversation(tab.new_conversation)


def _read_conversation(tab: Tab) -> None:
    """Read the conversation that the address names, else the newest one, else begin a new one.

    An id is never used again: a conversation that is named but missing was deleted, perhaps in
    another tab, or nothing was ever sent to it. An address with an assistant begins a new one.
    """
    chosen = st.query_params.get("chat", "")
    if not is_conversation_id(chosen):
        if tab.chats and ASSISTANT not in st.query_params:
            chosen = tab.chats[0].id
            tab.open_conversation(chosen)
        else:
            chosen = tab.new_conversation = tab.new_conversation or new_conversation_id()
    tab.conversation = tab.session.conversation(chosen)
    run_interruptibly(tab.conversation.refresh)
    if tab.conversation.missing and chosen != tab.new_conversation and not tab.storage_error:
        begin_conversation(tab)
