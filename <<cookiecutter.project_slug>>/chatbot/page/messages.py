"""Messages: turns as they are shown, the answer in progress, and what is said about them."""

from collections.abc import Callable, Iterator

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.answers import Assistant, Progress
from chatbot.context import count_fitting_turns
from chatbot.conversations import Conversation, Turn
from chatbot.markdown import as_text
from chatbot.page import notices, parts, wording
from chatbot.page.scripts import SCROLL_HERE
from chatbot.page.state import TURNS_AT_A_TIME, TURNS_SHOWN, Tab, current_tab
from chatbot.page.waiting import run_next
from chatbot.storage import StorageError

# A line feed in a table's cell breaks the line, and a table that is too wide scrolls by itself.
# Each paragraph has the direction of its own text. Below each diagram stands its source, which is
# shown instead where Mermaid rejects it.
_STYLE = """
.stMarkdown td, .stMarkdown th { white-space: pre-line; }
.stMarkdown table { display: block; overflow-x: auto; max-width: 100%; }
.stMarkdown :is(p, li, h1, h2, h3, h4, h5, h6, td, th), .stText > span, .stChatInput textarea {
  unicode-bidi: plaintext;
  text-align: start;
}
.stText > span { flex: 1; min-width: 0; }
[data-testid="stMarkdownPre"]:has([data-testid="stMermaidChart"]) + [data-testid="stMarkdownPre"],
[data-testid="stMarkdownPre"]:has([data-testid="stMermaidError"]) { display: none; }
[data-testid="stMarkdownPre"]:has([data-testid="stMermaidError"]) + [data-testid="stMarkdownPre"] {
  display: block;
}
"""


def make_place(tab: Tab) -> DeltaGenerator:
    """Return the place for the turns, in which nothing is left of other ones.

    Until a run of the page ends, Streamlit shows what an earlier run has drawn in each place, and a
    run lasts as long as an answer. So another conversation, and the same one from another turn on,
    has a place of its own, and the old one is emptied.
    """
    turns = tab.conversation.turns[_count_hidden(tab) :]
    conversation, first, number = tab.drawn
    shown = (tab.conversation.id, turns[0].id if turns else "")
    if shown != (conversation, first) and first:
        number = 1 - number
    tab.drawn = (*shown, number)
    places = [st.container() if each == number else st.empty() for each in range(2)]
    return places[number]


def _count_hidden(tab: Tab) -> int:
    """Return how many turns are not shown; it stays the same for some turns to come."""
    hidden = len(tab.conversation.turns) - tab.turns_shown
    return max(0, hidden // TURNS_AT_A_TIME * TURNS_AT_A_TIME)


def draw_turns(tab: Tab, assistant: Assistant, draw_actions: Callable[[Turn], None]) -> None:
    """Draw the newest turns, then follow the answers that are in progress, one after the other.

    draw_actions: draws what can be done with a turn that has ended, in one element at most.
    """
    st.html(f"<style>{parts.STYLE}{_STYLE}</style>")
    turns = list(tab.conversation.turns)
    unfinished = {turn.id for turn in tab.conversation.unfinished}
    hidden = _count_hidden(tab)
    if hidden > 0:
        st.button(
            f"Show earlier messages ({2 * hidden})",
            type="tertiary",
            on_click=tab.show_earlier_turns,
        )
    in_progress: list[tuple[Turn, parts.GrowingParts, DeltaGenerator, DeltaGenerator]] = []
    for number, turn in enumerate(turns[hidden:]):
        if number == TURNS_SHOWN and len(turns) > TURNS_SHOWN < tab.turns_shown:
            _scroll_to_anchor(tab.turns_shown)
        with st.chat_message("user"):
            st.text(turn.prompt, width="stretch")
        answer, actions = st.chat_message("assistant"), st.empty()
        if turn.id in unfinished:
            with answer:
                growing = parts.GrowingParts(turn)
            if in_progress:
                growing.say(wording.WAITING)
            in_progress.append((turn, growing, answer, actions))
        else:
            with answer:
                parts.draw_answer(turn)
                _draw_end(tab, assistant, turn)
            with actions:
                draw_actions(turn)
    for turn, growing, answer, actions in in_progress:
        try:
            with answer:
                _draw_answer_in_progress(tab, assistant, turn.id, growing)
            with actions:
                draw_actions(tab.conversation.turn(turn.id))
        except StorageError as error:  # the conversation is deleted, or can't be read for long
            with answer:
                notices.draw_error(error)
    if len(tab.conversation.turns) > len(turns):  # another tab has sent a message meanwhile
        st.rerun()


def _scroll_to_anchor(count: int) -> None:
    """Scroll here, once for each count: this was the top when earlier turns were asked for."""
    st.html(
        f"""<span id="turns-{count}" style="scroll-margin-top: 8.5rem"></span>
        <script>{SCROLL_HERE}</script>""",
        unsafe_allow_javascript=True,
    )


def _draw_answer_in_progress(
    tab: Tab, assistant: Assistant, turn_id: str, growing: parts.GrowingParts
) -> None:
    """Draw an answer as it grows, whoever writes it, with a button that stops it."""
    tab.watched.add(turn_id)
    stop, notice = st.empty(), st.empty()
    stop.button(
        "Stop",
        key=f"stop-{turn_id}",
        icon=":material/stop_circle:",
        on_click=run_next,
        args=(assistant.stop, tab.conversation, turn_id),
    )
    said = ""
    for progress in _follow(assistant, tab, turn_id, stop):
        growing.draw(progress.turn.answer)
        sentence = wording.unsaved(progress.storage_error) if progress.storage_error else ""
        if sentence != said:
            said = sentence
            if progress.storage_error:
                with notice.container():
                    notices.draw(said, notices.details_of(progress.storage_error))
            else:
                notice.empty()
        current_tab()  # Streamlit can end a run only when it is called; this sends nothing
    notice.empty()
    growing.draw_whole(progress.turn.answer)
    stop.empty()
    _draw_end(tab, assistant, progress.turn)


def _follow(
    assistant: Assistant, tab: Tab, turn_id: str, stop: DeltaGenerator
) -> Iterator[Progress]:
    """Follow the answer; if that fails, there is nothing to stop any more."""
    try:
        yield from assistant.follow(tab.conversation, turn_id)
    except StorageError:
        stop.empty()
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


def draw_notes(conversation: Conversation, assistant: Assistant, model_key: str) -> None:
    """Say what is not shown of the conversation, and what its model no longer sees."""
    newer, damaged, forgotten = st.empty(), st.empty(), st.empty()
    if conversation.newer:
        newer.warning(wording.NEWER_LINES)
    if conversation.damaged:
        damaged.warning(wording.damaged(conversation.damaged))
    model = assistant.model(model_key)
    turns = list(conversation.turns)
    fitting = count_fitting_turns(turns, model, assistant.system_prompt)
    if fitting < len(turns):
        forgotten.caption(wording.forgotten(model.name, 2 * (len(turns) - fitting)))
