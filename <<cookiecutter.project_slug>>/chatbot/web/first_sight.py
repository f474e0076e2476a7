"""First sight: the newest turns as HTML, which a returning person sees before the page has loaded.

The page covers it with its own messages. Until then, its text stands where the page will draw it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from markdown_it.token import Token

from chatbot import service
from chatbot.conversations import Conversation, Turn, is_conversation_id
from chatbot.file_kinds import File, size_of
from chatbot.languages import say
from chatbot.page import choices, wording
from chatbot.page.state import TURNS_SHOWN
from chatbot.sessions import Session
from chatbot.settings import SettingsError
from chatbot.storage import StorageError
from chatbot.syntax import parse

LENGTH = 12_000  # characters of all turns: more than a screen shows
PART = 4_000  # characters of a single prompt or answer, its end

_TAGS = {
    *("p", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "s"),
    *("table", "thead", "tbody", "tr", "th", "td", "a"),
}
_DIRECTED = {"ul", "ol", "blockquote", "table"}  # as web/scripts/status.js does on the page
# Without this, what was read for the sight would be read again a moment later, for the page.
_recent: deque[Conversation] = deque(maxlen=64)


@dataclass(frozen=True)
class Sight:
    """What there is to see.

    turns: the newest ones as HTML, the content of an element; "" if there are none.
    footer: the line below the input, as HTML.
    messages: how many the page is going to draw; these may be more.
    """

    turns: str = ""
    footer: str = ""
    messages: int = 0


def draw(folder: Path, chat: str) -> Sight:
    """Draw the newest turns of a conversation, unless it can't be read.

    folder: of the person's session.
    chat: the conversation's id, as the address has it; otherwise the newest one is drawn.
    """
    session = Session(folder)
    try:
        shared = service.start()
        if not is_conversation_id(chat):
            chat = session.newest_conversation()
        conversation = session.conversation(chat)
        if session.is_removed(chat):
            return Sight()
        conversation.refresh()
    except (StorageError, ValueError, SettingsError):
        return Sight()
    _recent.append(conversation)
    drawn: list[str] = []
    shown = conversation.turns[-TURNS_SHOWN:]
    for turn in reversed(shown):
        if sum(map(len, drawn)) > LENGTH:
            break
        drawn.append(_turn(conversation, turn))
    if len(drawn) == len(conversation.turns):
        drawn.append(
            _other_assistant(*choices.other_assistant(conversation.turns, shared.assistant))
        )
    footer = wording.footer(shared.settings.footer, shared.settings.retention_days)
    return Sight("".join(reversed(drawn)), escape(footer), 2 * len(shown))


def _other_assistant(icon: str, name: str) -> str:
    """Return the line above the first turn, with an empty place for an icon that the page draws."""
    place = "<i></i> " if icon.startswith(":") else f"{escape(icon)} " if icon else ""
    return f'<p class="assistant">{place}{escape(name)}</p>' if name else ""


def _turn(conversation: Conversation, turn: Turn) -> str:
    prompt = escape(turn.prompt[-PART:])
    files = f'<div class="chat-files">{"".join(map(_file, turn.files))}</div>' if turn.files else ""
    has_versions = conversation.is_forked and conversation.prompt_versions(turn.id).count > 1
    sentence = say("Stopped.") if turn.state == "stopped" else wording.end(turn)
    look = "said" if turn.state == "stopped" else "box"
    note = f'<p class="{look}">{escape(sentence)}</p>' if sentence else ""
    answer = _end_of(turn.answer)
    thought = ""
    if turn.thought:
        thought = f'<p class="thought">{escape(wording.thought_for(turn.thought_seconds))}</p>'
    return (
        f"<section{' class=row' if has_versions else ''}>"
        f"<b></b><div><pre>{prompt}</pre>{files}</div></section>"
        f"<section{' class=rated' if turn.rating else ''}>"
        f"<b></b><div>{thought}{_as_html(parse(answer, {}))}{note}</div></section>"
    )


def _file(file: File) -> str:
    """Return a file as the page draws it, with an empty place for an image."""
    if file.is_image:
        return "<a><i></i></a>"
    about = f"{file.kind.upper()} · {size_of(file.size)}"
    return f"<a><b>{escape(file.name)}</b><small>{about}</small></a>"


def _end_of(answer: str) -> str:
    """Return the end of an answer, cut where a block begins, in a fence if that is in one."""
    if len(answer) <= PART:
        return answer
    start = answer.find("\n\n", len(answer) - PART)
    start = start + 2 if start >= 0 else len(answer) - PART
    is_in_fence = answer.count("\n```", 0, start) % 2 == 1
    return ("```\n" if is_in_fence else "") + answer[start:]


def _as_html(tokens: Sequence[Token]) -> str:
    """Return HTML of tags with no attribute but `dir`, all text escaped: nothing is fetched."""
    parts = []
    for token in tokens:
        if token.children is not None:
            parts.append(_as_html(token.children))
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n" if token.type == "softbreak" else "<br>")
        elif token.type == "hr":
            parts.append("<hr>")
        elif token.type in ("fence", "code_block"):
            parts.append(f"<pre><code>{escape(token.content)}</code></pre>")
        elif token.type == "code_inline":
            parts.append(f"<code>{escape(token.content)}</code>")
        elif token.nesting == 1 and token.level == 0 and token.tag in _DIRECTED:
            parts.append(f'<{token.tag} dir="auto">')
        elif token.nesting and token.tag in _TAGS and not token.hidden:
            parts.append(f"<{token.tag}>" if token.nesting == 1 else f"</{token.tag}>")
        else:
            parts.append(escape(token.content))
    return "".join(parts)
