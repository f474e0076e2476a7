"""What a person chooses, and keeps: the model."""

from contextlib import suppress
from datetime import UTC, datetime

import streamlit as st

from chatbot.languages import say
from chatbot.models import Model
from chatbot.page.state import Tab, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.storage import StorageError

_MODEL = "model"  # the key of the select box, and of the value in the session


def chosen_model(tab: Tab, models: dict[str, Model]) -> str:
    """Return the key of the chosen model: the session's last one, else the default."""
    if tab.chats and not tab.model_read:
        with suppress(StorageError):  # it is tried again in the next run
            last = run_interruptibly(tab.session.get, _MODEL)
            if last in models:
                st.session_state[_MODEL] = last
            tab.model_read = True
    if st.session_state.get(_MODEL) not in models:
        st.session_state[_MODEL] = next(iter(models))
    return str(st.session_state[_MODEL])


def draw_model(models: dict[str, Model]) -> None:
    """Draw the choice of the model."""
    st.selectbox(
        say("Model"),
        list(models),
        format_func=lambda key: models[key].name,
        key=_MODEL,
        on_change=_model_changed,
    )


def _model_changed() -> None:
    current_tab().model_read = True  # what is on the disk is older


def keep_choices(tab: Tab, model: str) -> None:
    """Keep the model, and the day of this visit, which shows retention that the session is used.

    Nothing is kept for who has no chats.
    """
    if not tab.chats:
        tab.kept.clear()  # it was all deleted
        return
    choices = {"visited": f"{datetime.now(UTC):%Y-%m-%d}"}
    if tab.model_read:
        choices[_MODEL] = model
    for name, value in choices.items():
        if tab.kept.get(name) != value:
            with suppress(StorageError):  # the chats can be read all the same
                run_interruptibly(tab.session.set, name, value)
                tab.kept[name] = value
