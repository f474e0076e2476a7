"""What one browser tab remembers between runs of the page, and which conversation it shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.conversations import Conversation, new_conversation_id
from chatbot.errors import ChatbotError
from chatbot.identity import Person
from chatbot.sessions import ConversationSummary, Session
from chatbot.sign_in import SignedIn
from chatbot.storage import StorageError
from chatbot.usage import LimitError, Row

TURNS_SHOWN = 25  # of the newest ones; each further click on "Show earlier" adds as many
TURNS_AT_A_TIME = 5  # leave the page, once there are more


@dataclass(frozen=True)
class Unsent:
    """A message that is not saved yet, with the id that its turn will have."""

    prompt: str
    turn_id: str


@dataclass
class Tab:
    """What one browser tab remembers.

    signed_in: who signed in; None until it is known, and where nobody has to.
    sign_in_over: whether that is too long ago, so that they have to sign in again.
    browser_key: the key that this browser holds, "" until it is known, and where people sign in.
    asked_browser: when the browser was asked for its key, by time.monotonic; 0 if it was not.
    new_conversation: id of the conversation that this tab has begun and sent nothing to, or "".
    chats: the list of conversations, as it was last read.
    chats_shown: whether all of them are shown, instead of the newest.
    turns_shown: how many of the newest turns are shown, or a few more.
    drawn: which conversation the page has drawn, and which turn first; and in which of the places.
    confirming: the conversation about to be deleted by its id, or "".
    model_read: whether the select box shows the person's choice, instead of a default.
    kept: the choices that are known to be on the disk, by name.
    remembered: who is known to be named in the session's usage.
    everyones_usage: what this tab has read of it; None if it has not.

    pending: what the next run does first, because somebody clicked a button.
    outbox: messages that are not saved yet, the oldest first.
    batch: ids of the turns sent since the outbox was last empty.
    prompt_queued: whether this run's message is in the outbox already, or in `too_long`.
    too_long: a message that is too long to be sent, until it is in the input again.
    sent: ids of the turns that this tab has sent.
    watched: ids of the turns that this tab has shown in progress.

    storage_error: why something could not be read or done in this run.
    not_sent: why the outbox could not be sent in this run.
    refused: the limit that kept an answer from being tried again in this run.

    failed: when this tab first saw a failed answer, by its turn's id and attempt, by
        time.monotonic.
    contact, hostname: as in Settings.

    Set at the beginning of each run: slow_notice (the place for a sentence about slow storage),
    session, conversation (the one shown, with all that was read of it).
    """

    signed_in: SignedIn | None = None
    sign_in_over: bool = False
    browser_key: str = ""
    asked_browser: float = 0.0
    new_conversation: str = ""
    chats: list[ConversationSummary] = field(default_factory=list)
    chats_shown: bool = False
    turns_shown: int = TURNS_SHOWN
    drawn: tuple[str, str, int] = ("", "", 0)
    confirming: str = ""
    model_read: bool = False
    kept: dict[str, Any] = field(default_factory=dict)
    remembered: Person | None = None
    everyones_usage: list[Row] | None = None

    pending: tuple[Callable[..., object], tuple[object, ...]] | None = None
    outbox: list[Unsent] = field(default_factory=list)
    batch: list[str] = field(default_factory=list)
    prompt_queued: bool = False
    too_long: str = ""
    sent: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)

    storage_error: StorageError | None = None
    not_sent: ChatbotError | None = None
    refused: LimitError | None = None
    failed: dict[tuple[str, int], float] = field(default_factory=dict)
    contact: str = ""
    hostname: str = ""

    slow_notice: DeltaGenerator = field(init=False)
    session: Session = field(init=False)
    conversation: Conversation = field(init=False)

    @property
    def person(self) -> Person | None:
        """Who uses this tab; None where nobody has to sign in."""
        return self.signed_in.person if self.signed_in else None

    def open_conversation(self, conversation_id: str) -> None:
        """Show this conversation from now on, its newest turns first."""
        st.query_params["chat"] = conversation_id
        self.turns_shown = TURNS_SHOWN

    def open_new_conversation(self) -> None:
        """Show a new conversation from now on."""
        self.new_conversation = new_conversation_id()
        self.open_conversation(self.new_conversation)

    def show_all_chats(self) -> None:
        self.chats_shown = True

    def show_earlier_turns(self) -> None:
        self.turns_shown += TURNS_SHOWN

    def ask_to_confirm(self, what: str) -> None:
        """Ask before this conversation is deleted, by its id; "" asks no more."""
        self.confirming = what


def current_tab() -> Tab:
    """Return what the tab remembers for which the page runs now."""
    tab = st.session_state.get("tab")
    if not isinstance(tab, Tab):  # also if this module was loaded anew, while somebody edits it
        tab = st.session_state["tab"] = Tab()
    return tab
