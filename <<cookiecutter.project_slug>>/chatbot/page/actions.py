"""What can be done with a message, in a row under it: page, edit, answer again, rate, copy."""

from datetime import datetime
from functools import lru_cache
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.answers import Assistant
from chatbot.conversations import RATINGS, Conversation, Turn, Versions, new_turn_id
from chatbot.journals import DeletedError
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.models import count_tokens
from chatbot.page import wording
from chatbot.page.clock import time_zone
from chatbot.page.composer import PROMPT_LENGTH
from chatbot.page.state import Tab, Unsent, current_tab
from chatbot.page.waiting import run_next
from chatbot.text import is_blank, without_blank_lines_around

COMMENT_LENGTH = 1_000  # characters
# What the menu under an older answer offers, beside other models.
_EDIT, _AGAIN, _RATE = "edit", "again", "rate"
_IN_FULL = 3  # elements that a row in full has more than one with a menu

# A row is as low as its symbols. What a symbol is called is there for screen readers only. The one
# for copying, of two sheets, is a mask: Streamlit lets no picture into HTML.
STYLE = """
[class*="st-key-under-"] { align-items: center; gap: 0 2px; min-height: 28px; margin-top: -12px; }
[class*="st-key-under-answer-"] { padding-inline-start: 50px; }
[class*="st-key-under-prompt-"] { justify-content: flex-end; gap: 0 8px; }
[class*="st-key-edit-"] { align-self: flex-end; }
:is([class*="st-key-under-prompt-"]:has(button[kind="tertiary"]), [class*="st-key-edit-"]:not(
  [class*="st-key-under-"] *)) { margin-bottom: -16px; } /* web/page.css counts on it */
[class*="st-key-edit-"]:not([class*="st-key-under-"] *) { margin-top: -12px; }
:is([class*="st-key-under-"], [class*="st-key-edit-"]) button[kind="tertiary"] {
  min-height: 28px;
  padding: 0 6px;
}
:is([class*="st-key-under-"], [class*="st-key-edit-"]) button[kind="tertiary"]
  [data-testid="stMarkdownContainer"], button[data-copy]:not([data-done]) span {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
}
[class*="st-key-under-"] :is(.stButton, .stMenuButton), [class*="st-key-edit-"] .stButton {
  display: flex;
}
[class*="st-key-under-"] [data-testid="stFeedbackButton"] { min-height: 28px; padding: 0 5px; }
:is([class*="st-key-under-"], [class*="st-key-edit-"]) :is(button[kind="tertiary"],
  [data-testid="stFeedbackButton"]) [data-testid="stIconMaterial"] { font-size: 18px; }
:is([class*="st-key-under-"], [class*="st-key-edit-"]) :is(button[kind="tertiary"],
  [data-testid="stFeedbackButton"], button[data-copy]):not(:hover, :focus-visible) {
  opacity: 0.75;
}
[class*="st-key-another-"] { margin-inline-start: -4px; }
[class*="st-key-another-"] button[kind="tertiary"] { min-width: 24px; padding: 0 2px; }
[class*="st-key-try-"] { margin-inline: 6px 8px; }
[class*="st-key-comment-"] { flex: 1 0 90%; margin-inline-start: 6px; padding: 8px 0 0; }
[class*="st-key-under-"] .stHtml { display: flex; align-items: center; gap: 8px; }
[class*="st-key-under-"] small { font-size: 14px; opacity: 0.75; }
button[data-copy] {
  display: flex;
  align-items: center;
  gap: 4px;
  position: relative;
  min-height: 28px;
  padding: 0 6px;
  border: 0;
  border-radius: 8px;
  background: none;
  color: inherit;
  font: inherit;
  font-size: 14px;
  cursor: pointer;
}
button[data-copy]:hover { background: rgb(128 128 128 / 15%); }
button[data-copy]::before {
  content: "";
  width: 18px;
  height: 18px;
  background: currentColor;
  mask: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E\
%3Cpath d='M9 18a2 2 0 0 1-2-2V4c0-1.1.9-2 2-2h9a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H9Zm0-2h9V4H9v12Z\
m-4 6a2 2 0 0 1-2-2V6h2v14h11v2H5Z'/%3E%3C/svg%3E") center / contain;
}
.prompt { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }
@media (max-width: 640px) { [class*="st-key-under-answer-"] { padding-inline-start: 0; } }
"""


def is_in_full(tab: Tab, turn: Turn) -> bool:
    """Return whether a row shows all that can be done with an answer, instead of a menu."""
    is_newest = turn.id == tab.conversation.turns[-1].id
    in_full = is_newest or bool(turn.rating) or turn.id == tab.rating
    if in_full:
        tab.in_full.add(turn.id)
    return in_full


def row(kind: str, turn: Turn) -> DeltaGenerator:
    """Return the row under a prompt or an answer. kind: "prompt" or "answer"."""
    return st.container(key=f"under-{kind}-{turn.id}", horizontal=True, gap=None)


def empty_rest_of_row(tab: Tab, turn: Turn) -> None:
    """Leave nothing of a row that was drawn in full, while another answer grows."""
    if turn.id in tab.in_full and not is_in_full(tab, turn):
        for _ in range(_IN_FULL):
            st.empty()


# Under a prompt


def draw_under_prompt(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw what can be done with what a person asked, in one element below it."""
    versions = tab.conversation.prompt_versions(turn.id)
    if turn.id == tab.editing:
        with row("prompt", turn):
            draw_editor_buttons(tab, assistant, turn, model)
    elif versions.count > 1:
        with row("prompt", turn):
            draw_versions(tab, versions, "prompt", turn)
            draw_edit(tab, turn)
    else:
        draw_edit(tab, turn)


def draw_edit(tab: Tab, turn: Turn) -> None:
    """Draw the button with which a person changes what was asked last: older ones have a menu."""
    place = st.empty()
    if turn.id == tab.conversation.turns[-1].id:
        place.button(
            say("Edit"),
            key=f"edit-{turn.id}",
            icon=":material/edit:",
            type="tertiary",
            on_click=_begin_edit,
            args=(turn,),
        )


def _begin_edit(turn: Turn) -> None:
    tab = current_tab()
    tab.editing = turn.id
    tab.edited = st.session_state[_edited(turn)] = turn.prompt


def _edited(turn: Turn) -> str:
    """Return the key of the field in which the turn's prompt is edited."""
    return f"edited-{turn.id}"


def draw_editor(tab: Tab, turn: Turn) -> None:
    """Draw the field in which a prompt is edited, in its place."""
    # Streamlit forgets what is in a field while another chat is shown.
    st.session_state.setdefault(_edited(turn), tab.edited)
    st.text_area(
        say("Edit your message"),
        key=_edited(turn),
        height="content",
        label_visibility="collapsed",
        on_change=_keep_edited,
        args=(turn,),
    )


def _keep_edited(turn: Turn) -> None:
    current_tab().edited = st.session_state[_edited(turn)]


def draw_editor_buttons(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw what ends the editing of a prompt; a prompt that is too long is told."""
    length = len(st.session_state.get(_edited(turn)) or "")
    if length > PROMPT_LENGTH:
        st.error(wording.too_long(length, PROMPT_LENGTH), icon=":material/error:")
    st.button(say("Cancel"), key=f"cancel-{turn.id}", on_click=_end_edit, args=(tab,))
    st.button(
        say("Send"),
        key=f"send-{turn.id}",
        on_click=_send_edited,
        args=(tab, assistant, turn, model),
    )


def _end_edit(tab: Tab) -> None:
    tab.editing = ""


def _send_edited(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    text = without_blank_lines_around(st.session_state[_edited(turn)] or "")
    if (turn.files or not is_blank(text)) and len(text) <= PROMPT_LENGTH:
        run_next(_edit, tab, assistant, tab.conversation, turn, text, model, new_id=new_turn_id())


def _edit(
    tab: Tab,
    assistant: Assistant,
    conversation: Conversation,
    turn: Turn,
    text: str,
    model: str,
    new_id: str,
) -> None:
    """Ask what was edited; where the chat was deleted meanwhile, in a new one."""
    try:
        assistant.edit(conversation, turn.id, text, model, new_id)
        tab.sent.add(new_id)
    except DeletedError:  # what sends it begins the new one
        files = tuple(turn.files)
        tab.outbox.append(Unsent(text, new_id, files=files, conversation=conversation.id))
    tab.editing = ""


def draw_versions(tab: Tab, versions: Versions, kind: str, turn: Turn) -> None:
    """Draw which version is shown, between the buttons that show another one.

    kind: tells the versions of prompts from those of answers.
    """
    st.button(
        say("Previous version"),
        key=f"previous-{kind}-{turn.id}",
        icon=":material/chevron_left:",
        type="tertiary",
        disabled=not versions.previous,
        on_click=run_next,
        args=(tab.conversation.show, versions.previous),
    )
    st.caption(f"{versions.number}/{versions.count}", width="content")
    st.button(
        say("Next version"),
        key=f"next-{kind}-{turn.id}",
        icon=":material/chevron_right:",
        type="tertiary",
        disabled=not versions.next,
        on_click=run_next,
        args=(tab.conversation.show, versions.next),
    )


# Under an answer


def draw_try_again(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw the button that begins a failed answer again, or goes on with the part there is."""
    st.button(
        say("Try again"),
        key=f"try-{turn.id}",
        icon=":material/refresh:",
        on_click=run_next,
        args=(assistant.retry, tab.conversation, turn.id, model),
    )


def draw_answer_again(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw the button that asks the same model for another answer."""
    st.button(
        say("Answer again"),
        key=f"again-{turn.id}",
        icon=":material/refresh:",
        type="tertiary",
        on_click=_answer_again,
        args=(tab, assistant, turn, _model_of(assistant, turn, model)),
    )


def draw_other_models(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw the menu of the other models that may answer."""
    key = f"another-{turn.id}"
    st.menu_button(
        say("Another model"),
        _other_models(assistant, _model_of(assistant, turn, model)),
        key=key,
        type="tertiary",
        format_func=lambda each: _name(assistant, each),
        on_click=lambda: _answer_again(tab, assistant, turn, st.session_state[key]),
    )


def draw_menu(tab: Tab, assistant: Assistant, turn: Turn, model: str) -> None:
    """Draw the menu of what can be done with an older answer."""
    key = f"more-{turn.id}"
    same = _model_of(assistant, turn, model)

    def choose() -> None:
        chosen = st.session_state[key]
        if chosen == _EDIT:
            _begin_edit(turn)
        elif chosen == _RATE:
            tab.rating = turn.id
        elif chosen:
            _answer_again(tab, assistant, turn, same if chosen == _AGAIN else chosen[1:])

    def name(option: str) -> str:
        if option == _EDIT:
            return say("Edit your message")
        if option == _AGAIN:
            return say("Answer again")
        if option == _RATE:
            return say("Rate this answer")
        return say("Answer again with {model}", model=_name(assistant, option[1:]))

    st.menu_button(
        say("More"),
        [_EDIT, _AGAIN, *(f"/{each}" for each in _other_models(assistant, same)), _RATE],
        key=key,
        icon=":material/more_horiz:",
        type="tertiary",
        format_func=name,
        on_click=choose,
    )


def _name(assistant: Assistant, model: str) -> str:
    return _as_text(assistant.name_of(model))


_as_text = lru_cache(maxsize=256)(as_text)  # a page has the same names many times


def _model_of(assistant: Assistant, turn: Turn, model: str) -> str:
    """Return the model that a person asked, or the chosen one if it is no longer on offer."""
    asked = turn.instead_of or turn.model
    return asked if asked in assistant.models else model


def _other_models(assistant: Assistant, model: str) -> list[str]:
    return [each for each in assistant.models if each != model]


def _answer_again(tab: Tab, assistant: Assistant, turn: Turn, model: str | None) -> None:
    if model:
        new_id = new_turn_id()
        tab.sent.add(new_id)
        run_next(assistant.answer_again, tab.conversation, turn.id, model, turn_id=new_id)


def draw_feedback(tab: Tab, turn: Turn) -> None:
    """Draw the thumbs with which a person rates an answer."""
    key = f"feedback-{turn.id}"
    st.session_state[key] = _THUMBS.get(turn.rating)  # another tab may have changed it

    def rate() -> None:
        thumb = st.session_state[key]
        rating = "" if thumb is None else RATINGS[1 - thumb]
        tab.rating = turn.id  # stays in full, so that it can be rated anew
        run_next(tab.conversation.rate, turn.id, rating)

    st.feedback("thumbs", key=key, on_change=rate)


_THUMBS = {"up": 1, "down": 0}


def draw_comment(tab: Tab, turn: Turn) -> None:
    """Draw the field for a comment on the answer, once it is rated."""
    key = f"comment-{turn.id}"
    place = st.empty()
    if not turn.rating:
        return
    st.session_state[key] = turn.comment  # what is being typed stays all the same

    def comment() -> None:
        said = str(st.session_state[key] or "").strip()
        run_next(tab.conversation.rate, turn.id, None, said)

    place.text_input(
        say("Comment"),
        key=key,
        max_chars=COMMENT_LENGTH,
        placeholder=say("What was good, or what was wrong? (optional)"),
        label_visibility="collapsed",
        on_change=comment,
    )


def draw_copy(assistant: Assistant, turn: Turn) -> None:
    """Draw the button that copies the answer's own Markdown, and beside it who answered when.

    web/scripts/copy.js does the copying: Streamlit has no access to the clipboard.
    """
    button = ""
    if not is_blank(turn.answer):
        name, done = escape(say("Copy")), escape(say("Copied"))
        button = (
            f'<button type="button" title="{name}" data-copy="{escape(_as_value(turn.answer))}"'
            f' data-copied="{done}"><span>{name}</span></button>'
        )
    st.html(f"{button}<small>{escape(_facts(assistant, turn))}</small>", width="content")


def _as_value(text: str) -> str:
    """Return the text for an attribute: web/scripts/copy.js decodes it.

    Streamlit leaves out attributes with what could end a comment or a style, such as an arrow.
    """
    return text.replace("%", "%25").replace("<", "%3C").replace(">", "%3E")


def _facts(assistant: Assistant, turn: Turn) -> str:
    tokens = count_tokens(turn.usage)
    model = assistant.models.get(turn.model)
    cost = model.cost(tokens) if tokens and model else None
    name = assistant.name_of(turn.model) if turn.attempt else ""
    return wording.about_answer(name, _time(turn.written), tokens.all if tokens else 0, cost)


def _time(written: str) -> str:
    """Return when that was, where the person is: the time, and the day unless it is today."""
    try:
        zone = time_zone()
        then = datetime.fromisoformat(written).astimezone(zone)
    except (ValueError, OverflowError):
        return ""
    is_today = then.date() == datetime.now(zone).date()
    return f"{then:%H:%M}" if is_today else f"{then:%Y-%m-%d %H:%M}"
