"""The page that staff see, from top to bottom; chatbot/page/ draws its parts."""

import logging

import streamlit as st

from chatbot import service
from chatbot.answers import Assistant
from chatbot.conversations import Turn
from chatbot.export import Words
from chatbot.languages import say
from chatbot.page import (
    about,
    account,
    actions,
    answering,
    chats,
    choices,
    composer,
    dialogs,
    frame,
    language,
    messages,
    notices,
    opening,
    waiting,
    wording,
)
from chatbot.page.state import Tab, current_tab
from chatbot.settings import Settings, SettingsError
from chatbot.storage import StorageError

log = logging.getLogger(__name__)


def draw_page(settings: Settings, assistant: Assistant) -> None:
    """Draw the page. What may wait for the storage comes first, then all that a person sees."""
    tab = current_tab()
    language.tell_browser(tab)
    answering.make_places(tab, settings.title)
    composer.draw_input(assistant)
    frame.draw_footer(settings)
    opening.begin_run(tab, settings)
    waiting.run_pending_actions()
    opening.read_storage(tab)
    language.read_choice(tab)
    persona = choices.chosen_assistant(tab, assistant)
    model = choices.chosen_model(tab, assistant.models, persona)
    choices.keep_instructions(tab)
    composer.send_outbox(tab, assistant, model, choices.key_of_assistant(tab, persona))
    account.end_if_over(tab)
    choices.keep_choices(tab)
    language.keep_choice(tab)
    frame.name_tab(tab, settings.title)

    with st.sidebar:
        draw_sidebar(tab, settings, assistant)
    with st.empty():
        chats.draw_download(tab)
    dialogs.draw_dialog(tab, Words(wording.how_it_ended, assistant.name_of, wording.untitled))
    with frame.header(settings):
        choices.draw_model(tab, assistant.models, model)
    draw_conversation(tab, assistant, model)
    chats.draw_stamp(tab)


def draw_sidebar(tab: Tab, settings: Settings, assistant: Assistant) -> None:
    """Draw the sidebar, from top to bottom."""
    frame.draw_name(settings.title)
    chats.draw_new_chat(tab)
    chats.draw_chats(tab)
    about.draw(tab, settings, assistant)


def draw_conversation(tab: Tab, assistant: Assistant, model: str) -> None:
    """Draw what is in the middle of the page: the messages, and what is said about them.

    What is not always there has a place all the same, so that nothing of an earlier run stays.
    """
    with st.empty():
        messages.draw_storage_error(tab)
    with st.empty():
        chats.draw_missing(tab)
    with st.empty():
        if tab.conversation.turns:
            choices.draw_assistant(tab, assistant)
        elif not tab.storage_error:
            with st.container(key="beginning"):
                draw_empty_state(tab, assistant)
    turns, below = messages.make_place(tab), st.container()  # an answer keeps the turns busy
    with below:
        instructions = choices.instructions(tab, assistant)
        messages.draw_notes(tab.conversation, assistant, model, instructions)
        with st.empty():
            composer.draw_refusal(tab)
        composer.draw_unsent(tab)
    with turns:
        messages.draw_turns(
            tab, assistant, model, lambda turn: draw_message_actions(turn, tab, assistant, model)
        )


def draw_empty_state(tab: Tab, assistant: Assistant) -> None:
    """Draw what a chat shows before its first message."""
    st.header(say("How can I help?"), anchor=False)
    choices.draw_assistants(tab, assistant)


def draw_message_actions(turn: Turn, tab: Tab, assistant: Assistant, model: str) -> None:
    """Draw what can be done with a message whose answer has ended, in a row below it."""
    newest = turn.id == tab.conversation.turns[-1].id
    versions = tab.conversation.answer_versions(turn.id)
    if versions.count > 1:
        actions.draw_versions(tab, versions, "answer", turn)
    can_be_rated = False
    if not actions.is_in_full(tab, turn):
        actions.draw_menu(tab, assistant, turn, model)
    elif newest and turn.state == "failed":
        actions.draw_try_again(tab, assistant, turn, model)
        actions.draw_other_models(tab, assistant, turn, model)
    else:
        actions.draw_answer_again(tab, assistant, turn, model)
        actions.draw_other_models(tab, assistant, turn, model)
        actions.draw_feedback(tab, turn)
        can_be_rated = True
    actions.draw_copy(assistant, turn)
    if can_be_rated:
        actions.draw_comment(tab, turn)


def main() -> None:
    """Draw the page, or say why it can't be drawn; what is drawn already stays."""
    language.begin_run()
    st.set_page_config(page_title="Chatbot", page_icon="💬")
    try:
        shared = service.start()
        st.set_page_config(page_title=shared.settings.title)
        draw_page(shared.settings, shared.assistant)
    except SettingsError as error:
        notices.draw(wording.cannot_start(error))
    except StorageError as error:
        notices.draw_error(error)
    except Exception:
        log.exception(wording.FAULT)
        notices.draw(wording.fault())


main()
