"""Text from outside, as a page, a file and a model can all take it."""

import unicodedata
from typing import Any

_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Zs"}  # Unicode's categories of control and blank characters
# Characters of other categories that leave no mark: fillers, joiners, variation selectors.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}


def clean(text: str) -> str:
    """Return the text with its surrogates joined, and "\ufffd" for each half that is alone.

    JSON may hold halves of a surrogate pair, but UTF-8 can't, nor can anything that is built on it.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_json(value: Any) -> Any:
    """Return a value that came from JSON with all the text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_json(each) for each in value]
    if isinstance(value, dict):
        return {clean(name): clean_json(each) for name, each in value.items()}
    return value


class Joiner:
    """Cleans text that arrives in pieces, which may cut a surrogate pair in two."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """Return what is complete; the first half of a pair waits for the next piece."""
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return clean(piece.removesuffix(self._half))

    def end(self) -> str:
        """Return what is left when no more pieces come."""
        half, self._half = self._half, ""
        return clean(half)


def without_blank_lines_around(text: str) -> str:
    """Return the text without blank lines before and after it; its first line stays indented."""
    before = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, before) + 1 :].rstrip()


# With one of these in front, a spreadsheet takes a name for a formula; some are full-width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_cell(value: str) -> str:
    """Return the value with an apostrophe in front if a spreadsheet would take it for a formula.

    Some spreadsheets leave out what nobody can see in front of it.
    """
    for character in value:
        if character in _FORMULA:
            return f"'{value}"
        if not _is_invisible(character):
            break
    return value


def is_blank(text: str) -> bool:
    """Return whether nobody could see any of the text."""
    return all(map(_is_invisible, text))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE or character in _FILLERS
