"""The page that staff see, from top to bottom."""

import gc
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar, cast

import streamlit as st

from chatbot import answers, browser, retention
from chatbot.journals import DeletedError
from chatbot.models import Model, choose_backend, load_models, turns_that_fit
from chatbot.sessions import (
    Conversation,
    Entry,
    Session,
    Turn,
    is_conversation_id,
    new_conversation_id,
)
from chatbot.settings import Settings, SettingsError, load_settings
from chatbot.storage import SessionError

TURNS_SHOWN = 25  # of the newest ones; each further click on "Show earlier" adds as many
CONVERSATIONS_SHOWN = 20
PROMPT_LENGTH = 50_000  # characters
SLOW_AFTER = 2.0  # seconds until the page says that it waits for the storage

# A title and its bin stay on one line, however narrow the sidebar is.
LIST_STYLE = """<style>
.st-key-conversations .stHorizontalBlock { flex-wrap: nowrap; }
.st-key-conversations [class*="st-key-open-"] { flex: 1 1 0; min-width: 0; }
.st-key-conversations [class*="st-key-open-"] :is(button, button *) { justify-content: start; }
</style>"""

T = TypeVar("T")

# What starts with a backslash, or is code, stays as it is.
_CODE_OR_RISK = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)|(\\.)|(!\[)|(\$)", re.DOTALL)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_DEFINITION = re.compile(r"^[ \t>*+\d.)-]*\[[^\]]{1,999}\]:", re.MULTILINE)  # of an address


@st.cache_resource
def start() -> tuple[Settings, answers.Answering]:
    settings = load_settings()
    retention.start(settings.sessions_dir, settings.retention_days)
    answering = answers.Answering(choose_backend(settings), load_models(), settings.system_prompt)
    gc.collect()
    gc.freeze()  # else Streamlit, after each run, looks for garbage in all that was imported: 30 ms
    return settings, answering


def patiently(action: Callable[..., T], *arguments: object) -> T:
    """Do what waits for the storage, in a thread of its own, and return or raise what it does.

    Meanwhile the page says so, and Streamlit can end this run: what a person says while the
    storage does not answer must not be lost. The action goes on to its end in any case.
    """
    results: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def act() -> None:
        try:
            results.put((action(*arguments), None))
        except Exception as error:
            results.put((None, error))

    thread = Thread(target=act, daemon=True)
    thread.start()
    since = time.monotonic()
    while thread.is_alive():
        thread.join(0.1)
        if time.monotonic() - since > SLOW_AFTER:
            waiting.info("The storage of conversations is slow at the moment. Nothing is lost.")
        elif thread.is_alive():
            waiting.empty()
    result, error = results.get_nowait()
    if error:
        raise error
    waiting.empty()
    return cast(T, result)


def as_text(text: str) -> str:
    """Return Markdown that shows the text as it is, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def as_answer(text: str) -> str:
    """Return a model's Markdown without pictures and formulas.

    A picture's address could carry the conversation to a stranger's server, and two prices in a
    sentence would be taken for a formula. What looks like code is not always code to Markdown, so
    where code might be a picture, an invisible character breaks it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    named = _DEFINITION.search(text) is not None
    paragraph_end = last_address = -1

    def harmless(found: re.Match[str]) -> str:
        nonlocal paragraph_end, last_address
        if not found[1]:
            return found[2] or ("\\![" if found[3] else "\\$")
        if found.end() > paragraph_end:
            blank = _BLANK_LINE.search(text, found.end())
            paragraph_end = blank.start() if blank else len(text)
            last_address = text.rfind("](", 0, paragraph_end)
        picture = named or last_address > found.start()
        return found[1].replace("![", "!\u200b[") if picture else found[1]

    return _CODE_OR_RISK.sub(harmless, text)


def open_conversation(conversation_id: str) -> None:
    st.query_params["chat"] = conversation_id
    st.session_state["turns_shown"] = TURNS_SHOWN


def open_new_conversation() -> None:
    st.session_state["new_chat"] = new_conversation_id()
    open_conversation(st.session_state["new_chat"])


def begin_conversation(session: Session) -> Conversation:
    open_new_conversation()
    return session.conversation(st.session_state["new_chat"])


def current_conversation(session: Session, entries: list[Entry]) -> Conversation:
    """Open the conversation that the address names, else the newest one, else a new one.

    An id is never used again: a conversation that is named and not there was deleted, perhaps in
    another tab, or was never begun.
    """
    chosen = st.query_params.get("chat", "")
    if not is_conversation_id(chosen) and entries:
        chosen = entries[0].id
        open_conversation(chosen)
    elif not is_conversation_id(chosen):
        # A new visitor's address names none until he has said something: his browser may still
        # find that it has another session.
        chosen = st.session_state.setdefault("new_chat", new_conversation_id())
    conversation = session.conversation(chosen)
    st.session_state["conversation"] = conversation  # so that the next run reads what is new only
    patiently(conversation.refresh)
    if conversation.missing and chosen != st.session_state.get("new_chat"):
        return begin_conversation(session)
    return conversation


def choose_model(session: Session, models: dict[str, Model], kept: bool) -> str:
    """Draw the choice of the model, which comes back with a session that is kept already."""
    if "model" not in st.session_state and kept:
        last = patiently(session.get, "model")
        if last in models:
            st.session_state["model"] = last
    return st.selectbox(
        "Model", list(models), format_func=lambda key: models[key].name, key="model"
    )


def draw_conversations(session: Session, entries: list[Entry], current: str) -> None:
    """Draw the list of conversations, each with a button that deletes it."""
    st.html(LIST_STYLE)
    shown = entries if st.session_state.get("all_shown") else entries[:CONVERSATIONS_SHOWN]
    for entry in shown:
        row = st.container(horizontal=True, gap="xxsmall", vertical_alignment="center")
        row.button(
            as_text(entry.title),
            key=f"open-{entry.id}",
            type="secondary" if entry.id == current else "tertiary",
            width="stretch",
            on_click=open_conversation,
            args=(entry.id,),
        )
        row.button(
            "",
            key=f"delete-{entry.id}",
            icon=":material/delete:",
            type="tertiary",
            help="Delete",
            on_click=st.session_state.update,
            args=({"deleting": entry.id},),
        )
        if st.session_state.get("deleting") == entry.id:
            draw_confirmation(session.conversation(entry.id).delete)
    if len(shown) < len(entries):
        st.button(
            f"Show all {len(entries)}",
            type="tertiary",
            on_click=st.session_state.update,
            args=({"all_shown": True},),
        )


def draw_delete_everything(session: Session) -> None:
    """Draw the button that deletes all that is kept for this browser."""
    st.button(
        "Delete everything",
        icon=":material/delete_forever:",
        type="tertiary",
        help="All conversations, and all else that is kept for this browser",
        on_click=st.session_state.update,
        args=({"deleting": "everything"},),
    )
    if st.session_state.get("deleting") == "everything":
        draw_confirmation(session.delete)


def draw_confirmation(action: Callable[[], None]) -> None:
    """Ask before something is deleted."""
    with st.container(horizontal=True, gap="small"):
        st.button("Delete for good", type="primary", on_click=wish, args=(action,))
        st.button("Keep", on_click=st.session_state.pop, args=("deleting", None))


def keep_choices(session: Session, model: str) -> None:
    """Keep the model, and the day of this visit: so retention sees that the session is in use."""
    for name, value in (("model", model), ("visited", f"{datetime.now(UTC):%Y-%m-%d}")):
        if st.session_state.get(f"{name}_kept") != value:
            with suppress(SessionError):  # the conversations can be read all the same
                patiently(session.__setitem__, name, value)
                st.session_state[f"{name}_kept"] = value


def forget_choices() -> None:
    """Have the choices kept again once there is something to keep: all of it was deleted."""
    for name in ("model_kept", "visited_kept"):
        st.session_state.pop(name, None)


def draw_turns(conversation: Conversation, model: str, answering: answers.Answering) -> None:
    """Draw the newest turns; the last answer may still be in progress."""
    turns = list(conversation.turns)
    count = st.session_state.setdefault("turns_shown", TURNS_SHOWN)
    if len(turns) > count:
        st.button(
            f"Show earlier messages ({2 * (len(turns) - count)})",
            type="tertiary",
            on_click=st.session_state.update,
            args=({"turns_shown": count + TURNS_SHOWN},),
        )
    for number, turn in enumerate(turns[-count:]):
        if number == TURNS_SHOWN and len(turns) > TURNS_SHOWN < count:
            keep_in_sight(count)
        with st.chat_message("user"):
            st.text(turn.prompt)
        with st.chat_message("assistant"):
            if turn is turns[-1] and not turn.ended:
                draw_answer_in_progress(conversation, turn.id, answering)
            else:
                st.markdown(as_answer(turn.answer))
                draw_end(turn)
    if turns and turns[-1].state == "failed":
        st.button(
            "Try again",
            icon=":material/refresh:",
            on_click=wish,
            args=(answers.retry, conversation, turns[-1].id, model, answering),
        )


def keep_in_sight(count: int) -> None:
    """Scroll to this place, once for each count: here was the top when earlier turns were asked."""
    st.html(
        f"""<span id="turns-{count}" style="scroll-margin-top: 8.5rem"></span>
        <script>document.getElementById("turns-{count}").scrollIntoView();</script>""",
        unsafe_allow_javascript=True,
    )


def draw_end(turn: Turn) -> None:
    """Say how the answer ended, where it is not plain from the answer."""
    if turn.state == "stopped":
        st.caption("Stopped.")
    elif turn.state == "failed":
        st.error(turn.notice, icon=":material/error:")
        st.caption(f"For whoever runs the chatbot: {as_text(turn.reason)}")
    elif turn.notice:
        st.info(turn.notice, icon=":material/info:")


def draw_answer_in_progress(
    conversation: Conversation, turn_id: str, answering: answers.Answering
) -> None:
    """Draw an answer as it grows, whoever writes it, with a button that stops it."""
    text, button = st.empty(), st.empty()
    button.button(
        "Stop",
        key=f"stop-{turn_id}",
        icon=":material/stop_circle:",
        on_click=wish,
        args=(answers.stop, conversation, turn_id),
    )
    pulse = st.empty()
    shown = None
    for turn in answers.follow(conversation, turn_id, answering):
        if turn.answer != shown:
            shown = turn.answer
            text.markdown(as_answer(shown) + " ▌")
        # Streamlit can end a run only when it is called, and this run may wait.
        if conversation.trouble:
            pulse.error(f"{conversation.trouble} The answer goes on as soon as it can be saved.")
        else:
            pulse.empty()
    pulse.empty()
    text.markdown(as_answer(turn.answer))
    button.empty()
    draw_end(turn)


def wish(action: Callable[..., object], *arguments: object) -> None:
    """Have the next run do the action: unlike a callback, it can say that it waits."""
    st.session_state["wish"] = (action, *arguments)
    st.session_state.pop("deleting", None)


def fulfil_wish() -> None:
    """Do what a button asked for; what goes wrong is shown on the page."""
    try:
        if "wish" in st.session_state:
            patiently(*st.session_state["wish"])
    except SessionError as error:
        st.session_state["trouble"] = str(error)
    st.session_state.pop("wish", None)


def hold_prompt() -> None:
    """Put the prompt aside until it is saved: until then, the page's run may be ended any time.

    Streamlit ends a run when there is a newer reason for one, such as a second message. With its
    turn's id, a prompt that was saved by a run that ended is not saved again.
    """
    prompt = (st.session_state["prompt"] or "").strip()
    if prompt:
        st.session_state.setdefault("unsent", []).append((prompt, answers.new_turn_id()))
    st.session_state["held"] = True


def ask(session: Session, conversation: Conversation, model: str) -> Conversation:
    """Save what was said and begin to answer, in a new conversation if this one was deleted.

    What can't be saved is kept, and tried again with each run.
    """
    unsent = st.session_state.get("unsent", [])
    while unsent:
        try:
            prompt, turn_id = unsent[0]
            patiently(answers.ask, conversation, prompt, model, answering, turn_id)
        except DeletedError:  # in another tab, since this run began
            conversation = begin_conversation(session)
            continue
        except SessionError as error:
            st.session_state["not_sent"] = str(error)
            return conversation
        del unsent[0]  # at once: at each call of Streamlit the run may end
        st.session_state.pop("new_chat", None)
        open_conversation(conversation.id)
    return conversation


def draw_unsent() -> None:
    """Draw what was said and could not be saved, with what can be done about it."""
    unsent = st.session_state.get("unsent", [])
    why = st.session_state.pop("not_sent", "")
    if not unsent or not why:
        return
    for prompt, _ in unsent:
        with st.chat_message("user"):
            st.text(prompt)
    st.error(f"Your message was not sent. {why}", icon=":material/error:")
    with st.container(horizontal=True):
        st.button("Send again", icon=":material/refresh:")  # as each run of the page does
        st.button("Discard", on_click=st.session_state.pop, args=("unsent", None))


def draw_notes(conversation: Conversation, model: Model, system_prompt: str) -> None:
    """Say what a person should know about this conversation's file and the model's memory."""
    if conversation.newer:
        st.warning("A newer version of the chatbot wrote a part of this; it is not shown here.")
    if conversation.damaged:
        lines = "line is" if conversation.damaged == 1 else "lines are"
        st.warning(f"{conversation.damaged} damaged {lines} not shown.")
    said = [(turn.prompt, turn.answer) for turn in conversation.turns]
    forgotten = len(said) - turns_that_fit(said, model, system_prompt)
    if forgotten > 0:
        st.caption(
            f"{model.name} no longer sees the oldest {2 * forgotten} messages of this conversation."
        )


def draw_page() -> None:
    """Draw the page for this browser; raises SessionError if its session can't be used."""
    said = st.chat_input(
        "Ask anything", key="prompt", max_chars=PROMPT_LENGTH, on_submit=hold_prompt
    )
    if said and not st.session_state.pop("held", False):  # another task had drawn the input
        hold_prompt()

    key = browser.session_key()
    session = st.session_state.setdefault("session", Session(settings.sessions_dir, key))
    fulfil_wish()
    entries = patiently(session.conversations)

    with st.sidebar:
        st.title(as_text(settings.title), anchor=False)
        st.caption(f"Hostname `{settings.hostname}`  \nSession `{session.id[:8]}`")
        model = choose_model(session, answering.models, kept=bool(entries))
        st.button(
            "New chat",
            icon=":material/add:",
            width="stretch",
            on_click=open_new_conversation,
        )
        conversation_list = st.container(key="conversations", gap="xxsmall")
        browser.remember(key)

    conversation = current_conversation(session, entries)
    if st.session_state.get("unsent"):
        conversation = ask(session, conversation, model)
        entries = patiently(session.conversations)

    with conversation_list:
        draw_conversations(session, entries, conversation.id)
        if entries:
            draw_delete_everything(session)
            keep_choices(session, model)
        else:
            forget_choices()
    if trouble := st.session_state.pop("trouble", ""):
        st.error(trouble, icon=":material/error:")
    if not conversation.turns:
        st.header("How can I help?", anchor=False)
    turns, notes = st.container(), st.container()  # an answer in progress keeps the turns open
    with notes:
        draw_notes(conversation, answering.models[model], answering.system_prompt)
        draw_unsent()
    with turns:
        draw_turns(conversation, model, answering)


st.set_page_config(page_title="Chatbot", page_icon="💬")
try:
    settings, answering = start()
    st.set_page_config(page_title=settings.title)
    waiting = st.empty()
    draw_page()
except SettingsError as error:
    st.error(f"The chatbot can't start. {error}", icon=":material/error:")
except SessionError as error:
    if st.session_state.get("unsent"):
        st.session_state["not_sent"] = str(error)
        draw_unsent()
    else:
        st.error(st.session_state.pop("trouble", str(error)), icon=":material/error:")
