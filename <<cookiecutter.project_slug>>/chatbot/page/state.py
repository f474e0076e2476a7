"""What one browser tab remembers between runs of the page, and which conversation it shows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.conversations import (
    Conversation,
    is_conversation_id,
    new_conversation_id,
    new_turn_id,
)
from chatbot.errors import ChatbotError
from chatbot.file_kinds import File, FileError, Upload
from chatbot.identity import Person
from chatbot.sessions import ConversationSummary, Session
from chatbot.sign_in import SignedIn
from chatbot.storage import StorageError
from chatbot.usage import LimitError, Row

TURNS_SHOWN = 25  # of the newest ones; each further click on "Show earlier" adds as many
CHATS_SHOWN = 20  # in the list, and found by a search
CHATS_MORE = 50  # with each further click
TURNS_AT_A_TIME = 5  # leave the page, once there are more
NEW = "new"  # in the address of a chat that nothing was sent to: else it would seem to be deleted
ASSISTANT = "assistant"  # the address names the assistant that a new chat is to begin with


@dataclass(eq=False)
class Unsent:
    """A message that is not saved yet, with the id that its turn will have.

    where: the last turn that the person saw when sending it, or "".
    uploads, files: what is attached: in memory, and in the session already.
    conversation: id of the conversation that it was sent in, whichever one is open by now; "" until
        the tab has opened one.
    begins: whether that was a new one; else, if it is not there, it was deleted.
    model, persona: keys of the model and the assistant that were chosen there, as far as is known.
    """

    prompt: str
    turn_id: str
    where: str = ""
    uploads: tuple[Upload, ...] = ()
    files: tuple[File, ...] = ()
    conversation: str = ""
    begins: bool = False
    model: str = ""
    persona: str = ""


@dataclass(eq=False)
class Action:
    """What the next run does first, because somebody clicked a button.

    new: what two clicks have different ones of, such as the id of what is made.
    """

    call: Callable[..., object]
    arguments: tuple[object, ...]
    new: dict[str, str]


@dataclass(frozen=True)
class Removed:
    """A chat that was deleted, and may come back.

    until: until then, by time.monotonic.
    was_open: whether this tab showed it.
    """

    id: str
    title: str
    until: float
    was_open: bool


@dataclass
class Tab:
    """What one browser tab remembers.

    signed_in: who signed in; None until it is known, and where nobody has to.
    sign_in_over: whether that is too long ago, so that they have to sign in again.
    browser_key: the key that this browser holds, "" until it is known, and where people sign in.
    asked_browser: when the browser was asked for its key, by time.monotonic; 0 if it was not.
    new_conversation: id of the conversation that this tab has begun and sent nothing to, or "".
    chats: the list of conversations, as it was last read.
    chats_shown: how many of the newest are in the list.
    chats_drawn: how many elements the list had in the run before.
    missing: the address that leads to no chat, while a new one is shown in its place; or "".
    asked: what a dialog is open for, an action and a conversation's id; None without one.
    removed: the chat that was deleted last, if that can be undone.
    too_late: whether that was not undone, as it was too late.
    download: a conversation's id and an ending, which the browser is about to get, and a number.
    turns_shown: how many of the newest turns are shown, or a few more.
    drawn: which conversation the page has drawn, how many of its turns it has hidden, whether it
        had branches, and in which of the places.
    positions: what the page has drawn at each position of that place, and in which of two places.
    in_full: the turns under whose answers the page has drawn all that can be done with them.
    last_shown: the last turn that the page has drawn, or "".
    editing: the turn whose prompt is being edited, or "".
    edited: what the person has made of that prompt so far.
    rating: the older turn whose answer the person wants to rate, or "".
    model_read: whether the person's last choice of a model is known, if there was one.
    last_model: the key of the model that the person chose last, or "".
    model_shown: which model the select box was set to, and for which conversation.
    model_field: which select box shows it: another one, once another model is to be shown.
    model_fields: how many there were.
    model_changed: whether the person has changed the select box since the last run.
    own: the person's own instructions, and whether they are used.
    own_read: whether these are what the storage holds, or newer.
    own_fields: which pair of fields shows them: others, once somebody else has changed them.
    own_unsaved: what of these was changed and is not on the disk yet, as in the session's value.
    own_too_long: how many characters instructions have that are too long to be saved; 0 if none.
    language: the code of the language that the person chose, "" for the browser's; None if nothing
        is known of a choice.
    language_read: whether that is what the person chose last, on whatever device.
    kept: the choices that are known to be on the disk, by name.
    remembered: who is known to be named in the session's usage.
    everyones_usage: what this tab has read of it; None if it has not.

    pending: what the next run does first, in this order.
    outbox: messages that are not saved yet, the oldest first.
    batch: ids of the turns sent since the outbox was last empty.
    prompt_queued: whether this run's message is in the outbox already, or in `too_long`.
    too_long: a message that is too long to be sent, until it is in the input again.
    uploads: files that came with that message.
    draft: a message that goes back into the input, because a file of it can't be taken.
    held: files that wait beside the input for the next message.
    held_alone: whether that message had no text.
    file_errors: why files of the last message can't be taken.
    other_models: names of models that would take them.
    sent: ids of the turns that this tab has sent.
    watched: ids of the turns that this tab has shown in progress.

    storage_error: why something could not be read or done in this run.
    not_sent: why the outbox could not be sent in this run.
    refused: the limit that kept an answer from being tried again in this run.

    failed: when this tab first saw a failed answer, by its turn's id and attempt, by
        time.monotonic.
    contact, hostname: as in Settings.

    Set at the beginning of each run: slow_notice (the place for a sentence about slow storage),
    held_place (the place for the files that wait),
    session, conversation (the one shown, with all that was read of it), bar and told (the places
    of Stop, and of what is told about answers).
    """

    signed_in: SignedIn | None = None
    sign_in_over: bool = False
    browser_key: str = ""
    asked_browser: float = 0.0
    new_conversation: str = ""
    chats: list[ConversationSummary] = field(default_factory=list)
    chats_shown: int = CHATS_SHOWN
    chats_drawn: int = 0
    missing: str = ""
    asked: tuple[str, str] | None = None
    removed: Removed | None = None
    too_late: bool = False
    download: tuple[str, str, int] = ("", "", 0)
    turns_shown: int = TURNS_SHOWN
    drawn: tuple[str, int, bool, int] = ("", 0, False, 0)
    positions: list[tuple[str, int]] = field(default_factory=list)
    in_full: set[str] = field(default_factory=set)
    last_shown: str = ""
    editing: str = ""
    edited: str = ""
    rating: str = ""
    model_read: bool = False
    last_model: str = ""
    model_shown: tuple[str, str] = ("", "")
    model_field: str = "model"
    model_fields: int = 0
    model_changed: bool = False
    own: tuple[str, bool] = ("", True)
    own_read: bool = False
    own_fields: int = 0
    own_unsaved: dict[str, object] = field(default_factory=dict)
    own_too_long: int = 0
    language: str | None = None
    language_read: bool = False
    kept: dict[str, Any] = field(default_factory=dict)
    remembered: Person | None = None
    everyones_usage: list[Row] | None = None

    pending: list[Action] = field(default_factory=list)
    outbox: list[Unsent] = field(default_factory=list)
    batch: list[str] = field(default_factory=list)
    prompt_queued: bool = False
    too_long: str = ""
    uploads: tuple[Upload, ...] = ()
    draft: str = ""
    held: list[File] = field(default_factory=list)
    held_alone: bool = False
    file_errors: list[FileError] = field(default_factory=list)
    other_models: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)

    storage_error: StorageError | None = None
    not_sent: ChatbotError | None = None
    refused: LimitError | None = None
    failed: dict[tuple[str, int], float] = field(default_factory=dict)
    contact: str = ""
    hostname: str = ""

    slow_notice: DeltaGenerator = field(init=False)
    held_place: DeltaGenerator = field(init=False)
    session: Session = field(init=False)
    conversation: Conversation = field(init=False)
    bar: DeltaGenerator = field(init=False)
    told: DeltaGenerator = field(init=False)

    @property
    def person(self) -> Person | None:
        """Who uses this tab; None where nobody has to sign in."""
        return self.signed_in.person if self.signed_in else None

    def open_conversation(self, conversation_id: str) -> None:
        """Show this conversation from now on, its newest turns first."""
        kept = {NEW, ASSISTANT}  # these were for a chat that had not begun
        others = {name: st.query_params[name] for name in st.query_params if name not in kept}
        st.query_params.from_dict({**others, "chat": conversation_id})
        self.missing = ""
        self.turns_shown = TURNS_SHOWN

    def open_new_conversation(self) -> None:
        """Show a new conversation from now on."""
        self.new_conversation = new_conversation_id()
        st.query_params.update({"chat": self.new_conversation, NEW: "yes"})
        self.missing = ""
        self.turns_shown = TURNS_SHOWN

    def queue(
        self, prompt: str, uploads: tuple[Upload, ...] = (), files: tuple[File, ...] = ()
    ) -> None:
        """Put a message into the outbox, for the conversation that the person has opened last."""
        shown = self.conversation.id if hasattr(self, "conversation") else ""
        opened = st.query_params.get("chat", "")
        # A chat that was just clicked is in the address, and not on the page yet.
        is_shown = not shown or opened == self.missing or not is_conversation_id(opened)
        chat = shown if is_shown else opened
        where = self.last_shown if chat == shown else ""
        begins = chat == self.new_conversation
        self.outbox.append(Unsent(prompt, new_turn_id(), where, uploads, files, chat, begins))

    def show_more_chats(self) -> None:
        self.chats_shown += CHATS_MORE

    def ask(self, action: str, conversation_id: str) -> None:
        """Open a dialog about the conversation."""
        self.asked = (action, conversation_id)

    def ask_no_more(self) -> None:
        """Close the dialog."""
        self.asked = None

    def show_earlier_turns(self) -> None:
        self.turns_shown += TURNS_SHOWN


def current_tab() -> Tab:
    """Return what the tab remembers for which the page runs now."""
    tab = st.session_state.get("tab")
    if not isinstance(tab, Tab):  # also if this module was loaded anew, while somebody edits it
        tab = st.session_state["tab"] = Tab()
    return tab
