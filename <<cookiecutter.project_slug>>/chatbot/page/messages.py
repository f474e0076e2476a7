"""Messages: turns as they are shown, the answer in progress, and what is said about them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.answers import Assistant, Progress
from chatbot.context import count_fitting_turns
from chatbot.conversations import Conversation, Turn
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import account, actions, answering, files, notices, parts, wording
from chatbot.page.state import TURNS_AT_A_TIME, Tab, current_tab
from chatbot.storage import StorageError

# A line feed in a table's cell breaks the line, and a table that is too wide scrolls by itself.
# So do a diagram and a formula, for which web/scripts/status.js sets `tabindex`. Each paragraph has
# the direction of its own text. Below each diagram stands its source: for screen readers, or for
# all where Mermaid rejects it.
_STYLE = """
.stMarkdown td, .stMarkdown th { white-space: pre-line; }
.stMarkdown table { display: block; overflow-x: auto; max-width: 100%; }
.stMarkdown :is(p, li, h1, h2, h3, h4, h5, h6, td, th), .stText > span, .stChatInput textarea {
  unicode-bidi: plaintext;
  text-align: start;
}
.stText > span { flex: 1; min-width: 0; }
.stMarkdown .katex[tabindex] {
  display: inline-block; max-width: 100%; padding-block: 4px; overflow: auto hidden;
  vertical-align: middle;
}
.stMarkdown [data-testid="stMermaidChart"] { overflow-x: auto; align-items: safe center; }
.stMarkdown [data-testid="stMermaidChart"] img { max-width: none; }
[data-testid="stMarkdownPre"]:has([data-testid="stMermaidChart"]):not(:has([role="alert"])) + * {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
[data-testid="stMarkdownPre"]:has([data-testid="stMermaidChart"]):not(:has([role="alert"])) + *
  button, [data-testid="stMarkdownPre"]:has([data-testid="stMermaidError"]) { display: none; }
"""


def make_place(tab: Tab) -> DeltaGenerator:
    """Return the place for the turns, in which nothing is left of another conversation.

    Until a run of the page ends, Streamlit shows what an earlier run has drawn in each place, and a
    run lasts as long as an answer. So another conversation, and the same one from another turn on,
    has a place of its own, and the old one is emptied. So has each turn, once there are branches.
    """
    *drawn, number = tab.drawn
    shown = (tab.conversation.id, _count_hidden(tab), tab.conversation.is_forked)
    if shown != tuple(drawn):
        number = 1 - number
        tab.positions = []
    tab.drawn = (*shown, number)
    return _choose_place(number)


def _choose_place(number: int) -> DeltaGenerator:
    """Return one of two places; the other one is emptied."""
    places = [st.container() if each == number else st.empty() for each in range(2)]
    return places[number]


def _place_for_turn(
    tab: Tab, position: int, looks: str
) -> AbstractContextManager[DeltaGenerator | None]:
    """Return the place for a turn, in which nothing is left of what was drawn at its position.

    looks: what differs if the elements do: which turn it is, and whether it is being edited.
    """
    if not tab.conversation.is_forked:
        return nullcontext()
    drawn = tab.positions[position : position + 1]
    number = drawn[0][1] if drawn else 0
    if drawn and drawn[0][0] != looks:
        number = 1 - number
    tab.positions[position : position + 1] = [(looks, number)]
    return _choose_place(number)


def _empty_places_behind(tab: Tab, count: int) -> None:
    """Empty the places of turns that another branch had behind so many."""
    for _ in range(len(tab.positions) - count):
        for _ in range(2):
            st.empty()
    del tab.positions[count:]


def _count_hidden(tab: Tab) -> int:
    """Return how many turns are not shown; it stays the same for some turns to come."""
    hidden = len(tab.conversation.turns) - tab.turns_shown
    return max(0, hidden // TURNS_AT_A_TIME * TURNS_AT_A_TIME)


def draw_turns(
    tab: Tab,
    assistant: Assistant,
    model: str,
    draw_actions: Callable[[Turn], None],
) -> None:
    """Draw the newest turns, then follow the answers that are in progress, one after the other.

    model: the key of the one that is asked next.
    draw_actions: draws what can be done with a turn's answer, once that has ended.
    """
    st.html(f"<style>{parts.STYLE}{files.STYLE}{actions.STYLE}{_STYLE}</style>")
    turns = list(tab.conversation.turns)
    tab.last_shown = turns[-1].id if turns else ""
    unfinished = {turn.id for turn in tab.conversation.unfinished}
    hidden = _count_hidden(tab)
    if hidden > 0:
        st.button(
            say("Show earlier messages ({messages})", messages=2 * hidden),
            key="earlier",  # web/scripts/messages.js keeps in place what is below it
            type="tertiary",
            on_click=tab.show_earlier_turns,
        )
    in_progress: list[tuple[Turn, parts.GrowingAnswer, DeltaGenerator, DeltaGenerator]] = []
    answering.tell(tab)
    for number, turn in enumerate(turns[hidden:]):
        is_edited = turn.id == tab.editing
        with _place_for_turn(tab, number, f"{turn.id} {is_edited}"):
            with st.chat_message("user"):
                if is_edited:
                    actions.draw_editor(tab, turn)
                else:
                    _draw_prompt(turn.prompt)
                files.draw_files(turn.files)
            actions.draw_under_prompt(tab, assistant, turn, model)
            answer = st.chat_message("assistant")
            if turn.id in unfinished:
                with answer:
                    growing = parts.GrowingAnswer(turn)
                if in_progress:
                    growing.say(wording.waiting())
                in_progress.append((turn, growing, answer, st.empty()))
            else:
                with answer:
                    parts.draw_answer(turn)
                    _draw_end(tab, assistant, turn)
                _draw_row(tab, turn, draw_actions)
    _empty_places_behind(tab, len(turns) - hidden)
    for turn, growing, answer, row in in_progress:
        try:
            with answer:
                _draw_answer_in_progress(tab, assistant, turn.id, growing)
            drawn = tab.conversation.turn(turn.id)
            if not drawn.ended:  # the page stands still behind a dialog, and so do later answers
                break
            with row:
                _draw_row(tab, drawn, draw_actions)
        except StorageError as error:  # the conversation is deleted, or can't be read for long
            with answer:
                notices.draw_error(error)
            return  # what is drawn stays
    if [turn.id for turn in tab.conversation.turns] != [turn.id for turn in turns]:
        st.rerun()  # another tab has sent a message meanwhile, or has chosen another branch


def _draw_prompt(prompt: str) -> None:
    """Draw a prompt as it was typed. Of an indented first line, `st.text` would lose the spaces."""
    if prompt[:1].isspace():
        st.html(f'<div class="prompt">{escape(prompt)}</div>')
    else:
        st.text(prompt, width="stretch")


def _draw_row(tab: Tab, turn: Turn, draw_actions: Callable[[Turn], None]) -> None:
    with actions.row("answer", turn):
        draw_actions(turn)
        actions.empty_rest_of_row(tab, turn)


def _draw_answer_in_progress(
    tab: Tab, assistant: Assistant, turn_id: str, growing: parts.GrowingAnswer
) -> None:
    """Draw an answer as it grows, whoever writes it; meanwhile, the bar has a button to stop it."""
    tab.watched.add(turn_id)
    notice = st.empty()
    answering.draw_stop(tab, assistant, tab.conversation.turn(turn_id))
    said = ""
    with growing.waiting():
        for progress in _follow(assistant, tab, turn_id):
            growing.draw(progress.turn)
            sentence = wording.unsaved(progress.storage_error) if progress.storage_error else ""
            if sentence != said:
                said = sentence
                if progress.storage_error:
                    with notice.container():
                        notices.draw(said, notices.details_of(progress.storage_error))
                else:
                    notice.empty()
            if tab.asked:  # a click in the dialog would wait for the end of this run
                return
            current_tab()  # Streamlit can end a run only when it is called; this sends nothing
    notice.empty()
    growing.draw_whole(progress.turn)
    answering.draw_no_stop(tab)
    _draw_end(tab, assistant, progress.turn)


def _follow(assistant: Assistant, tab: Tab, turn_id: str) -> Iterator[Progress]:
    """Follow the answer; if that fails, there is nothing to stop any more.

    Ends the script's run if the person signs out meanwhile, who must see no more of the answer.
    """
    looked = time.monotonic()
    try:
        for progress in assistant.follow(tab.conversation, turn_id):
            if time.monotonic() > looked + account.LOOK_EVERY:
                account.leave_if_signed_out(tab, tab.session)
                looked = time.monotonic()
            yield progress
    except StorageError:
        answering.draw_no_stop(tab)
        raise


def _draw_end(tab: Tab, assistant: Assistant, turn: Turn) -> None:
    """Say how the answer ended, unless the answer needs no comment."""
    sentence = wording.end(turn)
    if turn.instead_of and turn.answer:
        first = assistant.name_of(turn.instead_of)
        st.caption(as_text(wording.stands_in(assistant.name_of(turn.model), first)))
    if turn.state == "stopped":
        by_this_tab = turn.facts.get("by") in tab.sent
        st.caption(wording.stopped(turn, by_this_tab=by_this_tab, was_shown=turn.id in tab.watched))
    elif turn.state == "failed":
        notices.draw_failure(tab, turn, assistant.name_of(turn.model))
    elif sentence:
        st.info(sentence, icon=":material/info:")


def draw_storage_error(tab: Tab) -> None:
    """Say what could not be read or done, unless the unsent messages say so."""
    if tab.storage_error and not (tab.outbox and tab.not_sent):
        notices.draw_error(tab.storage_error)


def draw_notes(
    conversation: Conversation, assistant: Assistant, model_key: str, instructions: str
) -> None:
    """Say what is not shown of the conversation, and what its model no longer sees.

    instructions: what the model is told before the conversation.
    """
    newer, damaged, forgotten = st.empty(), st.empty(), st.empty()
    if conversation.newer:
        newer.warning(wording.newer_lines())
    if conversation.damaged:
        damaged.warning(wording.damaged(conversation.damaged))
    model = assistant.model(model_key)
    turns = list(conversation.turns)
    fitting = count_fitting_turns(turns, model, instructions)
    if fitting < len(turns):
        forgotten.caption(wording.forgotten(model.name, 2 * (len(turns) - fitting)))
