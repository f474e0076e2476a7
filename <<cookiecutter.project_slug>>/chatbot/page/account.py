"""Who uses the page, and whether they still may: the person who signed in."""

from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import streamlit as st

from chatbot import sign_in
from chatbot.identity import Person, session_folder
from chatbot.languages import say
from chatbot.page import wording
from chatbot.page.scripts import LEAVE
from chatbot.page.state import Tab
from chatbot.page.waiting import run_interruptibly
from chatbot.sessions import Session
from chatbot.settings import SignIn
from chatbot.storage import StorageError

LOOK_EVERY = 2.0  # seconds, in a run that lasts: each look asks the storage


def begin_run(tab: Tab, settings: SignIn, sessions_dir: Path) -> Person:
    """Return the person whose page this is.

    Ends the script's run, and has the browser ask the server anew, if they signed out. If it is too
    long ago that they signed in, this waits until `end_if_over`.
    """
    found = sign_in.read_cookie(st.context.cookies, settings)
    if tab.signed_in is None:
        tab.signed_in = found
    elif found and found.person != tab.signed_in.person:  # what this tab remembers is not theirs
        st.session_state.clear()
        st.rerun()
    tab.sign_in_over = found is None
    if tab.signed_in is None:
        _leave()
    leave_if_signed_out(tab, Session(session_folder(sessions_dir, tab.signed_in.person)))
    return tab.signed_in.person


def leave_if_signed_out(tab: Tab, session: Session) -> None:
    """End the script's run, and have the browser ask the server anew, if the person signed out."""
    with suppress(StorageError):  # which the page is about to meet, too
        if tab.signed_in and run_interruptibly(session.has_ended, tab.signed_in.id):
            _leave()


def end_if_over(tab: Tab) -> None:
    """Have a person sign in again whose sign-in is too old; what they sent is saved by now."""
    if tab.sign_in_over and not tab.outbox:
        _leave()


def draw_account(tab: Tab) -> None:
    """Say who signed in, with a button to sign out."""
    if tab.person:
        with st.container(key="account", gap="xxsmall"):
            st.text(wording.signed_in_as(tab.person.name))
            st.button(
                say("Sign out"), icon=":material/logout:", type="tertiary", on_click=st.logout
            )


def _leave() -> NoReturn:
    """Show nothing, and have the browser load the page anew, for which the gate asks to sign in."""
    st.html(f"<script>{LEAVE}</script>", unsafe_allow_javascript=True)
    st.stop()
