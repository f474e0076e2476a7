"""The assistants that staff choose from, and what a model is told before each conversation."""

import re
import tomllib
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.settings import ROOT, SettingsError
from chatbot.text import clean, is_blank

FILE = ROOT / "assistants.toml"
MOST = 12  # assistants
MOST_SUGGESTIONS = 4
OWN_LENGTH = 4_000  # characters of a person's own instructions
OWN = "instructions"  # the value of a session that holds them
# In characters. What stands on a button has to fit one.
_LENGTHS = {"name": 40, "icon": 60, "description": 300, "instructions": 20_000, "model": 100}
_SUGGESTION_LENGTH = 200
_MATERIAL_ICON = re.compile(r":material/[a-z0-9_]+:")


@dataclass(frozen=True)
class Persona:
    """What staff know as an assistant: one table of assistants.toml.

    key: the table's name, which conversations remember.
    name: what staff see.
    icon: an emoji, or a Material icon such as ":material/edit:"; "" for none.
    description: a line about what it is for, or "".
    instructions: what a model is told after the team's own, or "".
    model: the key of the model that a new chat begins with; "" for the one chosen last.
    suggestions: messages that staff can send with a click while a chat is empty.
    """

    key: str
    name: str
    icon: str = ""
    description: str = ""
    instructions: str = ""
    model: str = ""
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompts:
    """What is in assistants.toml.

    instructions: the team's own, for all assistants, or "".
    personas: by their keys, the default one first.
    """

    instructions: str
    personas: dict[str, Persona]


def load_assistants(models: Collection[str], path: Path = FILE) -> Prompts:
    """Read the assistants on offer, and the team's instructions for all of them.

    models: the keys of the models on offer.

    Raises SettingsError, whose code begins with "assistants_", if the file can't be used.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError("assistants_unreadable", file=path.name, reason=str(error)) from error
    instructions = tables.pop("instructions", "")
    if not isinstance(instructions, str):
        raise SettingsError("assistants_team", file=path.name)
    personas = {key: _read_persona(path.name, key, table) for key, table in tables.items()}
    if not personas:
        raise SettingsError("assistants_none", file=path.name)
    if len(personas) > MOST:
        raise SettingsError("assistants_too_many", file=path.name, most=MOST)
    for persona in personas.values():
        if persona.model and persona.model not in models:
            raise SettingsError(
                "assistants_no_model", file=path.name, name=persona.model, table=persona.key
            )
    return Prompts(clean(instructions.strip()), personas)


def _read_persona(file: str, key: str, table: Any) -> Persona:
    if not isinstance(table, dict):
        raise SettingsError("assistants_no_table", file=file, name=key)
    for name in table:
        if name not in _LENGTHS and name != "suggestions":
            raise SettingsError("assistants_unknown", file=file, name=name, table=key)
    for name, length in _LENGTHS.items():
        value = table.get(name, "")
        if not isinstance(value, str):
            raise SettingsError("assistants_wrong_type", file=file, name=name, table=key)
        if len(value) > length:
            raise SettingsError(
                "assistants_too_long", file=file, name=name, table=key, limit=length
            )
        if name in table and is_blank(value):
            raise SettingsError("assistants_blank", file=file, name=name, table=key)
    if "name" not in table:
        raise SettingsError("assistants_no_name", file=file, table=key)
    icon = table.get("icon", "").strip()
    if icon and not _is_icon(icon):
        raise SettingsError("assistants_icon", file=file, value=icon, table=key)
    suggestions = table.get("suggestions", [])
    if not _are_suggestions(suggestions):
        raise SettingsError(
            "assistants_suggestions",
            file=file,
            table=key,
            most=MOST_SUGGESTIONS,
            limit=_SUGGESTION_LENGTH,
        )
    texts = {name: clean(table.get(name, "").strip()) for name in _LENGTHS}
    return Persona(key=key, suggestions=tuple(each.strip() for each in suggestions), **texts)


def _are_suggestions(value: Any) -> bool:
    """Return whether these are short texts, no two alike, and not too many."""
    if not isinstance(value, list) or len(value) > MOST_SUGGESTIONS:
        return False
    for each in value:
        if not isinstance(each, str) or is_blank(each) or len(each) > _SUGGESTION_LENGTH:
            return False
    return len({each.strip() for each in value}) == len(value)


def _is_icon(text: str) -> bool:
    """Return whether the text is a Material icon by its form, or an emoji."""
    if _MATERIAL_ICON.fullmatch(text):
        return True
    kinds = [unicodedata.category(character) for character in text]
    return "So" in kinds and {*kinds} <= {"So", "Sk", "Mn", "Me", "Cf"} and len(text) <= 10


def own_instructions(value: object) -> str:
    """Return a person's own instructions, "" if they have none or have switched them off.

    value: of the session, as `to_value` made it, unless somebody else wrote the file.
    """
    text, used = from_value(value)
    return text if used else ""


def from_value(value: object) -> tuple[str, bool]:
    """Return a person's own instructions, and whether they are used; "" and True if unknown."""
    if not isinstance(value, dict):
        return "", True
    text, used = value.get("text"), value.get("used")
    return text[:OWN_LENGTH] if isinstance(text, str) else "", used is not False


def to_value(text: str, used: bool) -> dict[str, object]:
    """Return what the session keeps of a person's own instructions."""
    return {"text": text, "used": used}


def compose(team: str, persona: Persona | None, own: str) -> str:
    """Return what a model is told before a conversation: the team's, the assistant's, the person's.

    own: what a person wants to be heeded in all their chats, or "".
    """
    told = [team, persona.instructions if persona else ""]
    if not is_blank(own):
        told.append(f"The person who writes to you has asked for this, in all their chats:\n{own}")
    return "\n\n".join(each for each in told if not is_blank(each))
