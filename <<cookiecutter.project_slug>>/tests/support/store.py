"""Conversations and sessions as tests use them: written as records, read as by another process."""

from pathlib import Path

from chatbot.conversations import Conversation, Turn
from chatbot.identity import new_key, session_folder
from chatbot.records import Record
from chatbot.sessions import Session


def new_session(root: Path) -> Session:
    """Return the session of a browser that nobody has used yet."""
    return Session(session_folder(root, new_key()))


def append(conversation: Conversation, *records: Record) -> None:
    """Append the records, and make the file if it is missing."""
    conversation.update(lambda: records, create=True)


def reread(conversation: Conversation) -> Conversation:
    """Read the file as another process would."""
    other = Conversation(conversation.path)
    other.refresh()
    return other


def reread_turns(conversation: Conversation) -> list[Turn]:
    """Read the turns as another process would."""
    return reread(conversation).turns
