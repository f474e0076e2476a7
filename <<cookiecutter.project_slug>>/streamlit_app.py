"""The page that staff see, from top to bottom; chatbot/page/ draws its parts."""

import streamlit as st

from chatbot import service
from chatbot.answers import Assistant
from chatbot.conversations import Turn
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import (
    account,
    chats,
    choices,
    composer,
    language,
    messages,
    opening,
    usage,
    waiting,
    wording,
)
from chatbot.page.state import Tab, current_tab
from chatbot.settings import Settings, SettingsError
from chatbot.storage import StorageError


def draw_page(settings: Settings, assistant: Assistant) -> None:
    """Draw the page. What may wait for the storage comes first, then all that a person sees.

    Raises StorageError if the open conversation was deleted while an answer grew.
    """
    tab = current_tab()
    language.tell_browser(tab)
    composer.draw_input()
    opening.begin_run(tab, settings)
    waiting.run_pending_action()
    opening.read_storage(tab)
    language.read_choice(tab)
    model = choices.chosen_model(tab, assistant.models)
    composer.send_outbox(tab, assistant, model)
    account.end_if_over(tab)
    choices.keep_choices(tab, model)
    language.keep_choice(tab)

    with st.sidebar:
        draw_sidebar(tab, settings, assistant)
    draw_conversation(tab, assistant, model)


def draw_sidebar(tab: Tab, settings: Settings, assistant: Assistant) -> None:
    """Draw the sidebar, from top to bottom."""
    st.title(as_text(settings.title), anchor=False)
    st.caption(
        say(
            "Hostname `{hostname}`  \nSession `{session}`",
            hostname=settings.hostname,
            session=tab.session.id[:8],
        )
    )
    account.draw_account(tab)
    choices.draw_model(assistant.models)
    chats.draw_new_chat(tab)
    chats.draw_chats(tab)
    usage.draw_usage(tab, assistant)
    if settings.sign_in:
        usage.draw_everyones_usage(tab, settings.sessions_dir, settings.sign_in.admin_groups)
    language.draw_language(tab)


def draw_conversation(tab: Tab, assistant: Assistant, model: str) -> None:
    """Draw what is in the middle of the page: the messages, and what is said about them.

    What is not always there has a place all the same, so that nothing of an earlier run stays.
    """
    with st.empty():
        messages.draw_storage_error(tab)
    with st.empty():
        if not tab.conversation.turns and not tab.storage_error:
            draw_empty_state()
    turns, below = messages.make_place(tab), st.container()  # an answer keeps the turns busy
    with below:
        messages.draw_notes(tab.conversation, assistant, model)
        with st.empty():
            composer.draw_refusal(tab)
        composer.draw_unsent(tab)
    with turns:
        messages.draw_turns(
            tab, assistant, lambda turn: draw_message_actions(turn, tab, assistant, model)
        )


def draw_empty_state() -> None:
    """Draw what a chat shows before its first message."""
    st.header(say("How can I help?"), anchor=False)


def draw_message_actions(turn: Turn, tab: Tab, assistant: Assistant, model: str) -> None:
    """Draw what can be done with a message whose answer has ended, in one element below it."""
    newest = turn.id == tab.conversation.turns[-1].id
    if newest and turn.state == "failed":
        st.button(
            say("Try again"),
            icon=":material/refresh:",
            on_click=waiting.run_next,
            args=(assistant.retry, tab.conversation, turn.id, model),
        )


def main() -> None:
    """Draw the page, or say why it can't be drawn."""
    language.begin_run()
    st.set_page_config(page_title="Chatbot", page_icon="💬")
    try:
        shared = service.start()
        st.set_page_config(page_title=shared.settings.title)
        draw_page(shared.settings, shared.assistant)
    except SettingsError as error:
        st.error(wording.cannot_start(error), icon=":material/error:")
    except StorageError as error:
        st.error(wording.error(error), icon=":material/error:")


main()
