"""Whose session it is: a browser's key, or a person who signed in, leads to the folder with it."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

COOKIE = "chatbot_session"  # which brings a browser's key; its item in local storage, too

_KEY = re.compile(r"k[0-9a-f]{32}")
_FOLDER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Person:
    """Who signed in, as the company's provider says.

    issuer, subject: the provider, and what it calls this person for ever; no two persons have both.
    name: what people call this person; it may change, and nothing depends on it.
    groups: the groups or roles that this person is in.
    """

    issuer: str
    subject: str
    name: str = ""
    groups: frozenset[str] = frozenset()


def new_key() -> str:
    """Make a browser's key of 128 random bits.

    The letter in front keeps JavaScript and JSON from taking it for a number.
    """
    return "k" + secrets.token_hex(16)


def is_key(value: object) -> TypeGuard[str]:
    """Return whether the value, which may be anything a browser sends, is formed like a key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def session_folder(root: Path, owner: str | Person) -> Path:
    """Return the folder of the session of a browser, by its key, or of a person.

    It is named by a hash so that it doesn't reveal the key. No key leads to a person's folder,
    because what is hashed for a person has not the form of a key.

    root: the folder of all sessions. Raises ValueError if the key is not formed like one.
    """
    if isinstance(owner, Person):
        owner = f"person\n{owner.issuer}\n{owner.subject}"
    elif not is_key(owner):
        raise ValueError("not a browser's key")
    return root / hashlib.sha256(owner.encode()).hexdigest()


def is_session_folder(name: str) -> bool:
    """Return whether a folder of that name is a session's."""
    return _FOLDER.fullmatch(name) is not None
