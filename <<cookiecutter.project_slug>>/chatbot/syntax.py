"""The syntax of an answer: CommonMark with GitHub's tables and the formulas that models write."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, reference
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

# Whatever lies deeper is not parsed. A list in a list is two levels.
MAX_NESTING = 40

_ADDRESS = re.compile(r"://(?:\[[0-9a-f:.]+\])?[^\s<>\[\]\"`\\|]+", re.IGNORECASE)
_SCHEME = re.compile(r"(?<![a-z0-9])https?\Z", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FORMULA = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}


class _Parser(MarkdownIt):
    """Keeps addresses to the letter, and leaves it to others which of them are links."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True


def parse(text: str, references: dict[str, Any]) -> Sequence[Token]:
    """Return the tokens of a text.

    references: the addresses that references stand for; those that the text defines are added.
    """
    return _PARSER.parse(text, {"references": references})


def _formula_block(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    r"""Read `\[ … \]` or `$$ … $$` that stands on lines of its own, without blank lines."""
    start = state.bMarks[first] + state.tShift[first]
    opener = state.src[start : start + 2]
    if opener not in ("\\[", "$$") or state.is_code_block(first):
        return False
    closer = _FORMULA[opener]
    hopeless: dict[str, range] = state.env.setdefault("hopeless", {})
    if first in hopeless.get(closer, ()):
        return False
    last, content_start = first, start + 2
    while not state.src[content_start : state.eMarks[last]].rstrip().endswith(closer):
        last += 1
        if last >= end or state.isEmpty(last) or state.sCount[last] < state.blkIndent:
            hopeless[closer] = range(first, last)
            return False
        content_start = state.bMarks[last] + state.tShift[last]
    lines = state.getLines(first, last + 1, state.blkIndent, False).strip()
    content = lines[2:-2].strip()
    if not content or closer in content or content[0] == "$" or content[-1] == "$":
        return False
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content = content
        token.map = [first, last + 1]
    state.line = last + 1
    return True


def _formula(state: StateInline, silent: bool) -> bool:
    r"""Read `\( … \)`, `\[ … \]` or `$$…$$` in a line of text."""
    opener = state.src[state.pos : state.pos + 2]
    if opener not in _FORMULA:
        return False
    closer = _FORMULA[opener]
    start = state.pos + 2
    if start > _last(state, closer):
        return False
    end = state.src.index(closer, start)
    content = state.src[start:end]
    if not content.strip() or end + 2 > state.posMax:
        return False
    if opener == "$$" and (content != content.strip() or state.src[end + 2 : end + 3] == "$"):
        return False  # prices
    if not silent:
        state.push("formula", "", 0).content = " ".join(content.split())
    state.pos = end + 2
    return True


def _last(state: StateInline, closer: str) -> int:
    """Return where the text has the closer for the last time, or -1. Searches a text once."""
    places: dict[tuple[str, str], int] = state.env.setdefault("closers", {})
    if (state.src, closer) not in places:
        places[state.src, closer] = state.src.rfind(closer)
    return places[state.src, closer]


def _bare_address(state: StateInline, silent: bool) -> bool:
    """Read an address without brackets, as GitHub does: the rule begins at its colon."""
    if state.linkLevel or state.src[state.pos] != ":":
        return False
    scheme = _SCHEME.search(state.src[max(0, state.pos - 6) : state.pos])
    found = _ADDRESS.match(state.src, state.pos, state.posMax)
    if not scheme or not found:
        return False
    rest = found[0]
    while rest[-1] in "?!.,:;*_~'\"" or (rest[-1] == ")" and rest.count(")") > rest.count("(")):
        rest = rest[:-1]
    if len(rest) <= len("://"):
        return False
    if not silent:
        if not state.pending.endswith(scheme[0]):
            return False
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": scheme[0] + rest}
        state.push("text", "", 0).content = scheme[0] + rest
        state.push("link_close", "a", -1)
    state.pos += len(rest)
    return True


def _line_break(state: StateInline, silent: bool) -> bool:
    found = _LINE_BREAK.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = found.end()
    return True


def _reference(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """Read what an address is called. `[^1]:` begins a footnote, which stays text."""
    start = state.bMarks[first] + state.tShift[first]
    return not state.src.startswith("[^", start) and reference(state, first, end, silent)


def _build() -> MarkdownIt:
    options = {"html": False, "maxNesting": MAX_NESTING, "tasklists": True}
    parser = _Parser("commonmark", options).enable(["table", "strikethrough"])
    starts_after_text: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "formula", _formula_block, starts_after_text)
    parser.block.ruler.at("reference", _reference)
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.inline.ruler.before("escape", "address", _bare_address)
    parser.inline.ruler.before("autolink", "line_break", _line_break)
    for character in "$:":
        parser.inline.add_terminator_char(character)
    return parser


_PARSER = _build()
