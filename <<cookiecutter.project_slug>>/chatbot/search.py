"""Search in a person's chats: by all words, in titles and texts, whatever their case and accents.

An index of a session is the folded text of each of its chats, in memory. It is made when somebody
searches, and then follows what was written since.
"""

import json
import os
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from chatbot.sessions import ConversationSummary, Session
from chatbot.storage import GONE, read_chunks, storage_errors
from chatbot.text import clean

WORDS = 12  # of a search, at most
LENGTH = 200  # characters of a search, at most
BEFORE, AFTER = 30, 60  # characters that are shown around a match
MEMORY = 24_000_000  # characters of all indexes that this process keeps
READERS = 8  # threads: a file on a network takes a millisecond or more, whatever its size

# A text in a line, with the character before it: of a prompt a quotation mark, of a piece of an
# answer the digit of its attempt. Within a text, these would have backslashes.
_TEXT = re.compile(rb'([0-9"]),"text":"([^"\\\n]*(?:\\.[^"\\\n]*)*)"')
_FEW = 40  # runs of other letters than those of ASCII
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
# Accents, and signs for vowels that Hebrew and Arabic can leave out. Those of other scripts are as
# good as letters.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670]+"
)
# What Unicode takes for letters of their own, and a keyboard may not have.
_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "\u0131": "i", "\u0640": ""}
)


@dataclass(frozen=True)
class Match:
    """A chat that has all the words.

    before, word, after: where it has one of them, unless that is in its title only.
    """

    chat: ConversationSummary
    before: str = ""
    word: str = ""
    after: str = ""


def fold(text: str) -> str:
    """Return the text in a form that is the same for what a search takes for the same."""
    if text.isascii():
        return text.lower()
    runs = set(_FOREIGN.findall(text))
    if len(runs) > _FEW or len(max(runs, key=len)) > 2:
        return _FOREIGN.sub(lambda run: _fold_run(run[0]), text).lower()
    for run in runs:  # some letters with accents, again and again: this takes half the time
        text = text.replace(run, _fold_run(run))
    return text.lower()


@lru_cache(maxsize=4096)
def _fold_run(text: str) -> str:
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return decomposed.casefold().translate(_LETTERS)


def words_of(query: str) -> list[str]:
    """Return the words of a search, folded."""
    return fold(query[:LENGTH]).split()[:WORDS]


def find(session: Session, chats: Sequence[ConversationSummary], query: str) -> list[str]:
    """Return the ids of the chats that have all the words of the query, in the order of the chats.

    Raises StorageError if they can't be read.
    """
    words = words_of(query)
    texts = _index_of(session.folder).texts_of(session.folder, chats)
    found = []
    for chat in chats:
        title, text = fold(chat.title), texts.get(chat.id, "")
        if all(word in text or word in title for word in words):
            found.append(chat.id)
    return found


def show_match(session: Session, chat: ConversationSummary, query: str) -> Match:
    """Return where the chat has the words. Raises StorageError if it can't be read."""
    words = words_of(query)
    best: tuple[int, str, str] = (0, "", "")
    for text in _messages(_read(session.folder / f"{chat.id}.jsonl")):
        folded = fold(text)
        count = sum(word in folded for word in words)
        if count > best[0]:
            best = (count, text, next(word for word in words if word in folded))
            if count == len(words):
                break
    count, text, word = best
    return Match(chat, *_around(text, word)) if count else Match(chat)


def _around(text: str, word: str) -> tuple[str, str, str]:
    """Return the word as it stands in the text, with what is before and after it."""
    at, length, start, end = fold(text).index(word), 0, None, len(text)
    for position, character in enumerate(text):
        if start is None and length + len(fold(character)) > at:
            start = position
        if length >= at + len(word):
            end = position
            break
        length += len(fold(character))
    start = start or 0
    before = text[max(0, start - BEFORE) : start].replace("\n", " ")
    after = text[end : end + AFTER].replace("\n", " ")
    before = f"…{before}" if start > BEFORE else before
    after = f"{after}…" if len(text) > end + AFTER else after
    return before, text[start:end], after


class _Index:
    """The folded texts of a session's chats, by id, each with when it was written to."""

    def __init__(self) -> None:
        self._lock = Lock()  # who searches while another one reads waits for that one's result
        self._texts: dict[str, tuple[int, str]] = {}
        self.size = 0  # characters

    def texts_of(self, folder: Path, chats: Sequence[ConversationSummary]) -> dict[str, str]:
        with self._lock:
            wanted = {chat.id: chat.written for chat in chats}
            kept = {
                id_: each
                for id_, each in self._texts.items()
                if id_ in wanted and each[0] == wanted[id_]
            }
            missing = [id_ for id_ in wanted if id_ not in kept]
            paths = [folder / f"{id_}.jsonl" for id_ in missing]
            if len(paths) > READERS:
                with ThreadPoolExecutor(READERS, "search") as readers:
                    folded = list(readers.map(_read_folded, paths))
            else:
                folded = list(map(_read_folded, paths))
            for id_, text in zip(missing, folded, strict=True):
                kept[id_] = (wanted[id_], text)
            self._texts = kept
            self.size = sum(len(text) for _, text in kept.values())
            return {id_: text for id_, (_, text) in kept.items()}


_indexes: OrderedDict[Path, _Index] = OrderedDict()
_lock = Lock()


def _index_of(folder: Path) -> _Index:
    """Return the session's index; those that were not used for longest make room."""
    with _lock:
        total = sum(index.size for index in _indexes.values())
        while total > MEMORY:
            _, index = _indexes.popitem(last=False)
            total -= index.size
        index = _indexes.setdefault(folder, _Index())
        _indexes.move_to_end(folder)
        return index


def _read_folded(path: Path) -> str:
    return fold("\n".join(_messages(_read(path))))


def _read(path: Path) -> bytes:
    """Return the content of a file; nothing if it was deleted meanwhile. Raises StorageError."""
    with storage_errors():
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            if error.errno in GONE:
                return b""
            raise
        try:
            return b"".join(read_chunks(descriptor, 0))
        finally:
            os.close(descriptor)


def _messages(lines: bytes) -> list[str]:
    """Return the texts in a conversation's lines; the pieces of an answer are joined.

    It does not parse the lines, which takes six times as long.
    """
    messages: list[list[bytes]] = []
    in_answer = False
    for mark, text in _TEXT.findall(lines):
        if mark == b'"' or not in_answer:
            messages.append([])
        in_answer = mark != b'"'
        messages[-1].append(text)
    return [_unescape(b"".join(pieces)) for pieces in messages]


def _unescape(text: bytes) -> str:
    if b"\\" not in text:
        return text.decode("utf-8", "replace")
    try:
        return clean(str(json.loads(b'"' + text + b'"', strict=False)))
    except ValueError:
        return text.decode("utf-8", "replace")
