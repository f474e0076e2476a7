"""The input, and messages that are not saved yet."""

from contextlib import suppress

import streamlit as st

from chatbot.answers import Assistant
from chatbot.file_kinds import Upload
from chatbot.journals import DeletedError
from chatbot.languages import say
from chatbot.page import notices, opening, uploads, wording
from chatbot.page.clock import time_zone
from chatbot.page.files import draw_names
from chatbot.page.state import Tab, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.storage import StorageError
from chatbot.text import is_blank, without_blank_lines_around
from chatbot.usage import LimitError, remember

PROMPT_LENGTH = 50_000  # characters
_INPUT = "prompt"  # the key of the input


def draw_input(assistant: Assistant) -> None:
    """Draw the input at the bottom of the page, with the files that wait for the next message.

    The length of a message is checked here: `max_chars` would drop a longer one without a word.
    """
    tab = current_tab()
    uploads.draw_held(tab)
    notice = st.bottom.empty()
    if tab.too_long:
        st.session_state[_INPUT] = tab.too_long
        with notice.container():
            notices.draw(wording.too_long(len(tab.too_long), PROMPT_LENGTH))
    elif tab.draft:
        st.session_state[_INPUT] = tab.draft
    endings = uploads.endings(assistant.models)
    submitted = st.chat_input(
        say("Ask anything"),
        key=_INPUT,
        accept_file="multiple" if endings else False,
        file_type=endings or None,
        on_submit=_queue_prompt,
    )
    tab.too_long = tab.draft = ""
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
    submitted = st.session_state[_INPUT] or ""
    files: tuple[Upload, ...] = ()
    if not isinstance(submitted, str):
        files = tuple(Upload(each.name, each.getvalue()) for each in submitted.files)
        for each in submitted.files:
            each.truncate(0)  # Streamlit would keep them in memory until the answer has ended
        submitted = submitted.text
    prompt = without_blank_lines_around(submitted)
    if len(prompt) > PROMPT_LENGTH:
        tab.too_long, tab.uploads = prompt, files
    elif not is_blank(prompt) or files or tab.held:
        tab.queue(prompt, files, tuple(tab.held))
        tab.held, tab.file_errors, tab.other_models = [], [], []
    tab.prompt_queued = True


def send_outbox(tab: Tab, assistant: Assistant, model: str, persona: str = "") -> None:
    """Save what is in the outbox and begin to answer, in a new conversation if theirs is deleted.

    Messages that waited in the outbox together are answered one after the other. What can't be
    saved stays, and is tried again with each run, for the conversation that it was sent in.
    """
    if not tab.outbox and not tab.uploads:
        return
    for each in tab.outbox:
        if not each.conversation:
            each.conversation = tab.conversation.id
            each.begins = tab.conversation.id == tab.new_conversation
        if each.conversation == tab.conversation.id:
            each.model, each.persona = model, persona
    if tab.storage_error:
        tab.not_sent = tab.storage_error
        return
    uploads.take_in(tab, assistant, model)
    if not tab.outbox or tab.not_sent:
        return
    while unsent := next(iter(tab.outbox), None):
        try:
            run_interruptibly(
                uploads.send,
                tab.session,
                assistant,
                tab.session.conversation(unsent.conversation),
                unsent,
                unsent.model or model,
                after=tab.batch,
                persona=unsent.persona,
            )
        except DeletedError:  # in another tab
            opening.begin_conversation(tab)
            deleted = unsent.conversation
            for each in tab.outbox:
                if each.conversation == deleted:
                    each.conversation, each.begins, each.where = tab.conversation.id, True, ""
            continue
        except (StorageError, LimitError) as error:
            tab.not_sent = error
            return
        _remember_person(tab)
        # A later run may have sent it, too, while this one's thread stood still.
        with suppress(ValueError):
            tab.outbox.remove(unsent)
        tab.sent.add(unsent.turn_id)
        tab.batch = [*tab.batch, unsent.turn_id] if tab.outbox else []
        if unsent.conversation == tab.new_conversation:
            tab.new_conversation = ""
        if unsent.conversation == tab.conversation.id:
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
        notices.draw_error(tab.refused)


def draw_unsent(tab: Tab) -> None:
    """Draw the messages that could not be saved, with what can be done about them."""
    place = st.empty()  # clears at once what the run before drew, also if an answer follows
    if not tab.outbox or not tab.not_sent:
        return
    with place.container(key="unsent"):  # web/scripts/sent.js looks for it
        for unsent in tab.outbox:
            with st.chat_message("user"):
                st.text(unsent.prompt, width="stretch")
                waiting = [(each.name, len(each.content)) for each in unsent.uploads]
                draw_names([*waiting, *((each.name, each.size) for each in unsent.files)])
        notices.draw_error(tab.not_sent, wording.not_sent(tab.not_sent, time_zone()))
        with st.container(horizontal=True):
            st.button(say("Send again"), icon=":material/refresh:")  # as each run of the page does
            st.button(say("Discard"), on_click=tab.outbox.clear)
