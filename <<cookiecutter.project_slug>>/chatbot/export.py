"""A person's chats as files: one of them as Markdown or JSON, all of them in a zip archive."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from chatbot.conversations import Conversation, Turn
from chatbot.journals import DeletedError
from chatbot.languages import say
from chatbot.sessions import ConversationSummary, Session
from chatbot.storage import storage_errors

MARKDOWN, JSON = "md", "json"
MEDIA_TYPES = {MARKDOWN: "text/markdown; charset=utf-8", JSON: "application/json"}
ARCHIVE = "chats.zip"
NAME_LENGTH = 80  # characters of a file's name, without its ending

# What a file's name can't have on one system or another, or would mislead with, such as a mark that
# turns the direction of the text.
_UNSAFE = re.compile(r"[^\w .,()\[\]&+=@!\'-]|[\x00-\x1f\x7f]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_TIME = re.compile(rb'"at":"([^"\\]{1,40})","type":"(prompt|end)","turn":"([^"\\]{1,100})"')


@dataclass(frozen=True)
class Words:
    """How a file words what is stored as a code.

    end: the sentence about how an answer ended, or "".
    model: the name of the model of that key.
    untitled: the title of a chat whose own can't be read, by its id.
    """

    end: Callable[[Turn], str]
    model: Callable[[str], str]
    untitled: Callable[[str], str]


def to_markdown(conversation: Conversation, title: str, words: Words) -> str:
    """Return the shown turns of a conversation, for people to read."""
    begun = words.untitled(conversation.id)
    parts = [f"# {title}", begun] if title else [f"# {begun}"]
    times = _times(conversation)
    for turn in list(conversation.turns):
        asked = _for_people(times.get(("prompt", turn.id), ""))
        parts += [_heading(say("Question"), asked), _list_files(turn), turn.prompt]
        parts += [_heading(say("Answer"), words.model(turn.model)), turn.answer]
        sentence = words.end(turn)
        parts += [f"({sentence})"] if sentence else []
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def to_json(conversation: Conversation, title: str, words: Words) -> str:
    """Return the shown turns of a conversation, for programs to read.

    Times are in UTC, as ISO 8601 has them; what is not known is left out.
    """
    times = _times(conversation)
    messages: list[dict[str, Any]] = []
    for turn in list(conversation.turns):
        asked, ended = (times.get((kind, turn.id), "") for kind in ("prompt", "end"))
        question = {"role": "user", "time": asked, "text": turn.prompt, "files": _files(turn)}
        answer = {
            "role": "assistant",
            "time": ended,
            "model": turn.model,
            "model_name": words.model(turn.model) if turn.model else "",
            "state": turn.state,
            "text": turn.answer,
            "note": words.end(turn),
        }
        messages += [
            {name: value for name, value in each.items() if value or name == "text"}
            for each in (question, answer)
        ]
    chat = {"id": conversation.id, "title": title, "messages": messages}
    return json.dumps(chat, ensure_ascii=False, indent=1) + "\n"


WRITERS = {MARKDOWN: to_markdown, JSON: to_json}


def read_chat(session: Session, conversation_id: str) -> tuple[Conversation, str]:
    """Return a conversation with its title. Raises DeletedError if there is none, StorageError."""
    conversation = session.conversation(conversation_id)
    conversation.refresh()
    if conversation.missing or session.is_removed(conversation_id):
        raise DeletedError
    return conversation, session.title_of(conversation_id)


def write_archive(session: Session, words: Words) -> Iterator[bytes]:
    """Yield the pieces of a zip archive with all chats, each as Markdown and as JSON.

    Only one chat at a time is in memory. Raises StorageError.
    """
    pieces: list[bytes] = []
    names: set[str] = set()
    with zipfile.ZipFile(
        cast(BinaryIO, _Pieces(pieces)), "w", zipfile.ZIP_DEFLATED, compresslevel=6
    ) as archive:
        for chat in session.conversations():
            with suppress(DeletedError):  # meanwhile
                conversation, title = read_chat(session, chat.id)
                for ending, write in WRITERS.items():
                    name = _free_name(file_name(_dated(chat, title, words)), ending, names)
                    time = datetime.fromtimestamp(max(chat.written / 1e9, 315_619_200), UTC)
                    info = zipfile.ZipInfo(name, time.timetuple()[:6])
                    info.compress_type = zipfile.ZIP_DEFLATED
                    info.external_attr = 0o600 * 2**16  # the mode is in the upper half
                    archive.writestr(
                        info, write(conversation, title, words).encode("utf-8", "replace")
                    )
                    yield b"".join(pieces)
                    pieces.clear()
    yield b"".join(pieces)


def file_name(title: str) -> str:
    """Return a file's name for a title that may be hostile, without an ending."""
    words = " ".join(_UNSAFE.sub(" ", title).split())[:NAME_LENGTH].strip(" .")
    return f"{words} -" if _RESERVED.fullmatch(words) else words or "chat"


def disposition(name: str) -> str:
    """Return the header that has a browser save a response under that name (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class _Pieces:
    """A file that zipfile writes to, and does not seek in."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass


def _dated(chat: ConversationSummary, title: str, words: Words) -> str:
    day = chat.id[:8]
    return f"{day[:4]}-{day[4:6]}-{day[6:]} {title or words.untitled(chat.id)}"


def _free_name(stem: str, ending: str, names: set[str]) -> str:
    """Return a name that no other file in the archive has, whatever a system takes for the same."""
    number, name = 1, f"{stem}.{ending}"
    while name.casefold() in names:
        number += 1
        name = f"{stem} ({number}).{ending}"
    names.add(name.casefold())
    return name


def _heading(*parts: str) -> str:
    return "## " + " · ".join(part for part in parts if part)


def _files(turn: Turn) -> list[str]:
    """Return the names of the files that came with a prompt."""
    return [file.name for file in turn.files]


def _list_files(turn: Turn) -> str:
    names = [" ".join(name.split()) for name in _files(turn)]
    return say("Attached: {files}", files=", ".join(names)) if names else ""


def _times(conversation: Conversation) -> dict[tuple[str, str], str]:
    """Return when each prompt came and each answer ended, by kind and turn."""
    with storage_errors():
        try:
            lines = conversation.path.read_bytes()
        except FileNotFoundError:
            return {}
    return {
        (kind.decode(), turn.decode("utf-8", "replace")): at.decode("utf-8", "replace")
        for at, kind, turn in _TIME.findall(lines)
    }


def _for_people(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


def path_of(conversation_id: str, ending: str) -> str:
    """Return where a chat can be downloaded, from the page's address."""
    return f"./{Path('chats', conversation_id)}.{ending}"
