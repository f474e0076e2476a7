"""The input, and messages that are not saved yet."""

from contextlib import suppress

import streamlit as st

from chatbot.answers import Assistant
from chatbot.conversations import new_turn_id
from chatbot.journals import DeletedError
from chatbot.languages import say
from chatbot.page import opening, wording
from chatbot.page.clock import time_zone
from chatbot.page.state import Tab, Unsent, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.storage import StorageError
from chatbot.text import is_blank
from chatbot.usage import LimitError, remember

PROMPT_LENGTH = 50_000  # characters
_INPUT = "prompt"  # the key of the input


def draw_input() -> None:
    """Draw the input at the bottom of the page.

    The length of a message is checked here: `max_chars` would drop a longer one without a word.
    """
    tab = current_tab()
    notice = st.bottom.empty()
    if tab.too_long:
        st.session_state[_INPUT] = tab.too_long
        sentence = wording.too_long(len(tab.too_long), PROMPT_LENGTH)
        notice.error(sentence, icon=":material/error:")
    submitted = st.chat_input(say("Ask anything"), key=_INPUT, on_submit=_queue_prompt)
    tab.too_long = ""
    if submitted and not tab.prompt_queued:  # the input was drawn by another task
        _queue_prompt()
        if tab.too_long:
            st.rerun()
    tab.prompt_queued = False


def _queue_prompt() -> None:
    """Put the prompt into the outbox, where it stays until it is saved.

    A prompt that is too long goes back into the input, where a person can shorten or copy it.

    Streamlit may end a run at any call, for example because of a second message. With its turn's
    id, a prompt that was saved by a run that ended is not saved again.
    """
    tab = current_tab()
    prompt = (st.session_state[_INPUT] or "").strip()
    if len(prompt) > PROMPT_LENGTH:
        tab.too_long = prompt
    elif not is_blank(prompt):
        tab.outbox.append(Unsent(prompt, new_turn_id()))
    tab.prompt_queued = True


def send_outbox(tab: Tab, assistant: Assistant, model: str) -> None:
    """Save what is in the outbox and begin to answer, in a new conversation if this one is deleted.

    Messages that waited in the outbox together are answered one after the other. What can't be
    saved stays, and is tried again with each run.
    """
    if not tab.outbox:
        return
    if tab.storage_error:
        tab.not_sent = tab.storage_error
        return
    while tab.outbox:
        unsent = tab.outbox[0]
        try:
            run_interruptibly(
                assistant.ask,
                tab.conversation,
                unsent.prompt,
                model,
                unsent.turn_id,
                after=tab.batch,
            )
        except DeletedError:  # in another tab, since this run began
            opening.begin_conversation(tab)
            continue
        except (StorageError, LimitError) as error:
            tab.not_sent = error
            return
        _remember_person(tab)
        del tab.outbox[0]
        tab.sent.add(unsent.turn_id)
        tab.batch = [*tab.batch, unsent.turn_id] if tab.outbox else []
        tab.new_conversation = ""
        tab.open_conversation(tab.conversation.id)
    opening.read_chats(tab)


def _remember_person(tab: Tab) -> None:
    """Keep whose usage it is, with the first message: who only looks leaves nothing."""
    if tab.person and tab.remembered != tab.person:
        with suppress(StorageError):  # it is tried again with the next message
            run_interruptibly(remember, tab.session.folder, tab.person)
            tab.remembered = tab.person


def draw_refusal(tab: Tab) -> None:
    """Say why an answer is not tried again."""
    if tab.refused:
        st.error(wording.error(tab.refused, time_zone()), icon=":material/error:")


def draw_unsent(tab: Tab) -> None:
    """Draw the messages that could not be saved, with what can be done about them."""
    place = st.empty()  # clears at once what the run before drew, also if an answer follows
    if not tab.outbox or not tab.not_sent:
        return
    with place.container(key="unsent"):  # web/scripts/sent.js looks for it
        for unsent in tab.outbox:
            with st.chat_message("user"):
                st.text(unsent.prompt, width="stretch")
        st.error(wording.not_sent(tab.not_sent, time_zone()), icon=":material/error:")
        with st.container(horizontal=True):
            st.button(say("Send again"), icon=":material/refresh:")  # as each run of the page does
            st.button(say("Discard"), on_click=tab.outbox.clear)
