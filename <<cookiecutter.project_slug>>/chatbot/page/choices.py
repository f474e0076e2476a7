"""What a person chooses, and keeps: the assistant, the model, instructions of their own."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import streamlit as st

from chatbot.answers import Assistant
from chatbot.assistants import OWN, OWN_LENGTH, Persona, from_value, own_instructions, to_value
from chatbot.conversations import Turn, assistant_of
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.models import Model
from chatbot.page import wording
from chatbot.page.state import ASSISTANT, Tab, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.storage import StorageError

_MODEL = "model"  # the key of the value in the session; that of the select box begins with it

# Suggestions are as wide as their texts, and break their lines where one is wider than the page.
_STYLE = """<style>
.st-key-suggestions button { height: auto; text-align: start; }
.st-key-suggestions button p { white-space: normal; overflow-wrap: anywhere; }
</style>"""


def chosen_assistant(tab: Tab, assistant: Assistant) -> Persona | None:
    """Return the open chat's assistant, or the one that a new chat would have.

    None if assistants.toml was never read, which happens only in tests.
    """
    return assistant.persona(_named_assistant(tab))


def key_of_assistant(tab: Tab, persona: Persona | None) -> str:
    """Return what a prompt of the open chat remembers of its assistant, which may be gone."""
    return assistant_of(tab.conversation.turns) or (persona.key if persona else "")


def _named_assistant(tab: Tab) -> str:
    """Return the key of the assistant that the chat, or the address, names; "" if neither does."""
    if tab.conversation.turns:
        return assistant_of(tab.conversation.turns)
    return st.query_params.get(ASSISTANT, "")


def draw_assistant(tab: Tab, assistant: Assistant) -> None:
    """Say which assistant the open chat is with, if it is not the default one."""
    icon, words = other_assistant(tab.conversation.turns, assistant)
    if words:
        st.caption(f"{icon} {as_text(words)}".strip())


def other_assistant(turns: Sequence[Turn], assistant: Assistant) -> tuple[str, str]:
    """Return the icon and the name of the assistant that a chat of these turns is with.

    If it is no longer offered, a sentence takes the place of its name; both are "" for the default
    one.
    """
    named = assistant_of(turns)
    persona = assistant.persona(named)
    if persona and named and named != persona.key:
        return "", wording.assistant_gone(persona.name)
    if persona and persona != assistant.persona(""):
        return persona.icon, persona.name
    return "", ""


def draw_assistants(tab: Tab, assistant: Assistant) -> None:
    """Draw the choice of an assistant for a chat that has not begun, and what it suggests."""
    persona, named = chosen_assistant(tab, assistant), _named_assistant(tab)
    if persona is None:
        return
    if named and named != persona.key:
        st.caption(as_text(wording.no_such_assistant(persona.name)))
    if len(assistant.personas) > 1:
        field = f"assistant-{tab.conversation.id}"
        address_changed = st.session_state.get(field) not in (None, persona.key)
        if address_changed:
            st.session_state[field] = persona.key
        st.pills(
            say("Assistant"),
            list(assistant.personas),
            # Else none would be chosen where another run ends this one before the browser hears.
            default=None if address_changed else persona.key,
            format_func=lambda key: _label(assistant.personas[key]),
            required=True,
            key=field,
            on_change=_assistant_changed,
            args=(field,),
            label_visibility="collapsed",
        )
    if persona.description:
        st.caption(as_text(persona.description))
    _draw_suggestions(persona)


def _label(persona: Persona) -> str:
    return f"{persona.icon} {as_text(persona.name)}".strip()


def _assistant_changed(field: str) -> None:
    """Have the address name the assistant, so that a reload, or another task, knows it."""
    st.query_params[ASSISTANT] = st.session_state[field] or ""


def _draw_suggestions(persona: Persona) -> None:
    if not persona.suggestions:
        return
    st.html(_STYLE)
    with st.container(key="suggestions", horizontal=True, gap="small"):
        for number, suggestion in enumerate(persona.suggestions):
            st.button(
                as_text(suggestion),
                key=f"suggestion-{persona.key}-{number}",
                on_click=_send,
                args=(suggestion,),
            )


def _send(suggestion: str) -> None:
    """Send the suggestion, as if it was typed."""
    current_tab().queue(suggestion)


def chosen_model(tab: Tab, models: dict[str, Model], persona: Persona | None) -> str:
    """Return the key of the chosen model.

    A chat begins with its assistant's model, else with the one that the person chose last, else
    with the default one. A chat that is opened again has the one that it used last.
    """
    if tab.chats and not tab.model_read:
        with suppress(StorageError):  # it is tried again in the next run
            last = run_interruptibly(tab.session.get, _MODEL)
            tab.last_model = tab.last_model or (last if last in list(models) else "")
            tab.model_read = True
    shown = (tab.conversation.id, _model_of(tab, models, persona))
    chosen = st.session_state.get(tab.model_field)
    is_new = shown != tab.model_shown and not tab.model_changed
    if (is_new and chosen != shown[1]) or chosen not in models:
        # To set the old one is not enough: if another run ends this one before the browser hears of
        # it, the browser goes on with what it has.
        tab.model_fields += 1
        tab.model_field = f"{_MODEL}-{tab.conversation.id}-{tab.model_fields}"
        chosen = shown[1]
    tab.model_shown, tab.model_changed = shown, False
    return str(chosen)


def _model_of(tab: Tab, models: dict[str, Model], persona: Persona | None) -> str:
    used = _used_model(tab.conversation.turns[-1]) if tab.conversation.turns else ""
    wanted = [used] if used else [persona.model if persona else "", tab.last_model]
    return next((key for key in wanted if key in models), next(iter(models)))


def _used_model(turn: Turn) -> str:
    """Return the key of the model that was chosen for the turn, whichever one stood in for it."""
    return turn.instead_of or turn.model


def draw_model(tab: Tab, models: dict[str, Model], model: str) -> None:
    """Draw the choice of the model, which stands above the chat without its label."""
    keys = list(models)
    st.selectbox(
        say("Model"),
        keys,
        keys.index(model),
        format_func=lambda key: models[key].name,
        key=tab.model_field,
        on_change=_model_changed,
        label_visibility="collapsed",
        width=260,
    )


def _model_changed() -> None:
    tab = current_tab()
    tab.model_read = True  # what is on the disk is older
    tab.model_changed = True
    tab.last_model = st.session_state[tab.model_field]


def keep_choices(tab: Tab) -> None:
    """Keep the model, and the day of this visit, which shows retention that the session is used.

    Nothing is kept for who has no chats.
    """
    if not tab.chats:
        tab.kept.clear()  # it was all deleted
        tab.own_read = bool(tab.own_unsaved)
        return
    choices = {"visited": f"{datetime.now(UTC):%Y-%m-%d}"}
    if tab.last_model:
        choices[_MODEL] = tab.last_model
    for name, value in choices.items():
        if tab.kept.get(name) != value:
            with suppress(StorageError):  # the chats can be read all the same
                run_interruptibly(tab.session.set, name, value)
                tab.kept[name] = value


def keep_instructions(tab: Tab) -> None:
    """Save what the person has changed in their own instructions, before anything is sent.

    The rest stays as it is on the disk: another tab may have changed it.
    """
    changed = tab.own_unsaved
    if changed:
        with suppress(StorageError):  # it is tried again in the next run
            own = from_value(
                run_interruptibly(
                    tab.session.change, OWN, lambda kept: to_value(*from_value(kept)) | changed
                )
            )
            tab.own_fields += own != tab.own  # other fields have other values to begin with
            tab.own, tab.own_unsaved = own, {}


def instructions(tab: Tab, assistant: Assistant) -> str:
    """Return what a model would be told before the open chat, as far as this process knows it."""
    own = own_instructions(tab.session.last_known(OWN))
    return assistant.instructions(tab.conversation.turns, own)


def draw_instructions(tab: Tab) -> None:
    """Draw a person's own instructions for all their chats, with a switch."""
    if not tab.own_read:
        with suppress(StorageError):  # which the page says already; it is tried again
            own = from_value(run_interruptibly(tab.session.get, OWN))
            tab.own_fields += own != tab.own  # other fields have other values to begin with
            tab.own, tab.own_read = own, True
    text, used = (f"own-{name}-{tab.own_fields}" for name in ("instructions", "used"))
    st.text_area(
        say("Your instructions"),
        tab.own[0],
        key=text,
        height=120,
        placeholder=say("For example: I work in accounting. Keep answers short."),
        help=say("Sent with each of your messages, in all your chats."),
        disabled=not tab.own_read,
        on_change=_own_text_changed,
        args=(text,),
    )
    if tab.own_too_long:
        st.error(wording.own_too_long(tab.own_too_long, OWN_LENGTH), icon=":material/error:")
    st.toggle(
        say("Use my instructions"),
        tab.own[1],
        key=used,
        disabled=not tab.own_read,
        on_change=_own_use_changed,
        args=(used,),
    )


def _own_text_changed(field: str) -> None:
    """Take in the text that the person has changed.

    The length is checked here: `max_chars` would drop a longer text without a word.
    """
    tab = current_tab()
    text = (st.session_state.get(field) or "").strip()
    tab.own_too_long = len(text) if len(text) > OWN_LENGTH else 0
    if not tab.own_too_long:
        tab.own, tab.own_unsaved = (text, tab.own[1]), tab.own_unsaved | {"text": text}


def _own_use_changed(field: str) -> None:
    tab, used = current_tab(), bool(st.session_state.get(field, True))
    tab.own, tab.own_unsaved = (tab.own[0], used), tab.own_unsaved | {"used": used}
