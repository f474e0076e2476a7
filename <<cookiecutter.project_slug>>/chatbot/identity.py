"""Whose session it is: a browser's key leads to the folder that holds it."""

import hashlib
import re
import secrets
from pathlib import Path
from typing import TypeGuard

COOKIE = "chatbot_session"  # which brings a browser's key; its item in local storage, too

_KEY = re.compile(r"k[0-9a-f]{32}")
_FOLDER = re.compile(r"[0-9a-f]{64}")


def new_key() -> str:
    """Make a browser's key of 128 random bits.

    The letter in front keeps JavaScript and JSON from taking it for a number.
    """
    return "k" + secrets.token_hex(16)


def is_key(value: object) -> TypeGuard[str]:
    """Return whether the value, which may be anything a browser sends, is formed like a key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def session_folder(root: Path, key: str) -> Path:
    """Return the folder of that key's session, named by a hash so that it doesn't reveal the key.

    root: the folder of all sessions. Raises ValueError if the key is not formed like one.
    """
    if not is_key(key):
        raise ValueError("not a browser's key")
    return root / hashlib.sha256(key.encode()).hexdigest()


def is_session_folder(name: str) -> bool:
    """Return whether a folder of that name is a session's."""
    return _FOLDER.fullmatch(name) is not None
