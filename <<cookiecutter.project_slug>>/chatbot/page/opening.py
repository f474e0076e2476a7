"""What a run of the page begins with: whose session it is, its chats, the one that is open."""

import streamlit as st

from chatbot.conversations import Conversation, is_conversation_id, new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.page import account, browser
from chatbot.page.state import ASSISTANT, NEW, Tab
from chatbot.page.waiting import run_interruptibly
from chatbot.sessions import Session
from chatbot.settings import Settings
from chatbot.storage import StorageError


def begin_run(tab: Tab, settings: Settings) -> None:
    """Open the session of the person, or of this browser; forget what went wrong in the run before.

    Ends the script's run if that is not known yet, or no more.
    """
    tab.slow_notice = st.empty()
    tab.contact, tab.hostname = settings.contact, settings.hostname
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

    An id is never used again. Where one leads nowhere, a new conversation is shown, and the page
    says so; the address stays until something is sent, or the chat is brought back. An address with
    an assistant begins a new one.
    """
    chosen = st.query_params.get("chat", "")
    is_id = is_conversation_id(chosen)
    if not chosen:
        is_wanted = tab.new_conversation and any(
            each.conversation == tab.new_conversation for each in tab.outbox
        )
        if tab.chats and ASSISTANT not in st.query_params and not is_wanted:
            chosen = tab.chats[0].id
            tab.open_conversation(chosen)
        else:
            chosen = tab.new_conversation = tab.new_conversation or new_conversation_id()
    elif not is_id or (tab.missing == chosen and chosen not in [chat.id for chat in tab.chats]):
        _show_missing(tab, chosen)
        return
    elif NEW in st.query_params and not tab.new_conversation:  # a reload of a new one
        tab.new_conversation = chosen
    tab.missing = ""
    tab.conversation = tab.session.conversation(chosen)
    is_removed = run_interruptibly(_look_at, tab.session, tab.conversation)
    if tab.storage_error or not (is_removed or tab.conversation.missing):
        return
    if any(chat.id == chosen for chat in tab.chats):  # it went since the list was read
        read_chats(tab)
    if tab.removed and chosen == tab.removed.id:  # by this tab
        begin_conversation(tab)
    elif chosen != tab.new_conversation:
        _show_missing(tab, chosen)


def _look_at(session: Session, conversation: Conversation) -> bool:
    """Read the conversation; return whether it was removed.

    Finishes the deletion of one that another process has left behind.
    """
    conversation.refresh()
    if conversation.half_deleted:
        session.delete_conversation(conversation.id)
    return session.is_removed(conversation.id)


def _show_missing(tab: Tab, address: str) -> None:
    tab.missing = address
    tab.new_conversation = tab.new_conversation or new_conversation_id()
    tab.conversation = tab.session.conversation(tab.new_conversation)
    run_interruptibly(tab.conversation.refresh)
