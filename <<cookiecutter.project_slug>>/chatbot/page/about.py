"""Settings and about: who signed in, usage, what to do with all chats, and which task it is."""

from html import escape

import streamlit as st

from chatbot.answers import Assistant
from chatbot.languages import say
from chatbot.page import account, answering, choices, language, usage
from chatbot.page.dialogs import DELETE_ALL
from chatbot.page.state import Tab
from chatbot.settings import Settings

DOWNLOAD = "./chats.zip"  # where the server gives all chats of who asks


def draw(tab: Tab, settings: Settings, assistant: Assistant) -> None:
    """Draw the section at the bottom of the sidebar."""
    with st.expander(say("Settings and about"), icon=":material/settings:", key="about"):
        account.draw_account(tab)
        usage.draw_usage(tab, assistant)
        if settings.sign_in:
            usage.draw_everyones_usage(tab, settings.sessions_dir, settings.sign_in.admin_groups)
        choices.draw_instructions(tab)
        if tab.chats:
            _draw_download()
            _draw_delete_all(tab)
        language.draw_language(tab)
        answering.draw_shortcuts()
        host, session = say("Hostname"), say("Session")
        st.caption(f"{host} `{settings.hostname}`  \n{session} `{tab.session.id[:8]}`")


def _draw_download() -> None:
    """Draw a link, and no button of Streamlit's: that would open another tab of the browser."""
    label = escape(say("Download all my chats"))
    st.html(f'<a class="download" href="{DOWNLOAD}" download>{label}</a>')


def _draw_delete_all(tab: Tab) -> None:
    """Draw a button that asks in a dialog."""
    st.button(
        say("Delete all my chats"),
        key="all-chats-delete",
        icon=":material/delete_forever:",
        type="tertiary",
        on_click=tab.ask,
        args=(DELETE_ALL, ""),
    )
