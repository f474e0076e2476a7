"""What a text may do when it is drawn as Markdown: nothing, or what an answer may.

Streamlit draws more than Markdown: colours, icons, emoji, arrows. So an answer is parsed here, and
written again as Markdown in which only what was decided on each part can happen.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from markdown_it.token import Token

from chatbot.diagrams import may_be_drawn, without_colors
from chatbot.syntax import MAX_NESTING, parse

# An answer is drawn in parts, so that a page that shows it grow is sent only the last one again: a
# part ends with the block in which its source reaches so many characters.
PART_SIZE = 1_500

_CURSOR = "▌"
# A line that has not arrived whole, and may be the next item of the list above it, or an address.
_UNDECIDED = re.compile(r" {0,3}[0-9\[].*")
_LINE_FEED = "&#10;"  # breaks the line in a table's cell, by grace of the page's style sheet
_ALIGNMENTS = {"": "---", "left": ":--", "center": ":-:", "right": "--:"}
_ESCAPES = {each: f"\\{each}" for each in string.punctuation} | {"\n": "&#10;", "\r": "&#13;"}
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
# What could mean something in text that is written as Markdown; the rest stays readable.
_SPECIAL = re.compile(
    r"[#$&*+<=>@\[\\\]^_`{|}~\n\r]|:(?!\s)|!(?![\s\w])|(?<!\w)-|-(?!\w)"
    r"|(?<=\d)[.)](?=\s|$)|(?<=www)\.|(?<=:material)/",
    re.IGNORECASE,
)
_PLAIN_ADDRESS = re.compile(r"(?!.*:material/)[\w/:.?=#%+,;@-]+", re.ASCII)
_SPACES_AT_EDGES = re.compile(r"^[ \t]+|[ \t]+$", re.MULTILINE)
# Streamlit replaces these even if they are escaped. A directive without attributes, `:color[…]`,
# around one of their characters shows it as it is, and keeps it apart from the others.
_REPLACED = re.compile(r"(?P<shortcode>:(?=[\w+-]+:))|<->|->|<-|--|>=|<=|~=", re.ASCII)
# It replaces this even in code, where nothing can be escaped: an invisible character prevents that.
_ICON_IN_CODE = (":material/", ":\u2060material/")
_LANGUAGE = re.compile(r"[A-Za-z0-9][\w+#.-]*", re.ASCII)
_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_ONLY_MARKERS = re.compile(r"(?:[-*+] ?)+")
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
_JOINERS = "\u200c\u200d"  # of emoji, and of letters in Persian and in the languages of India


def as_text(text: str) -> str:
    """Return Markdown that shows the text as it is, on one line that can be seen.

    Characters that are invisible or turn the direction of writing are left out.
    """
    kept = "".join(" " if each.isspace() else each for each in text if not _is_hidden(each))
    line = " ".join(kept.split())
    has_shape = any(unicodedata.category(each)[0] in "LNPS" for each in line)
    return _escape(line, _PUNCTUATION) if has_shape else "…"


def _is_hidden(character: str) -> bool:
    if character in _JOINERS or character.isspace():
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") or character in _BLANK_LETTERS


@lru_cache(maxsize=64)  # more than a page shows: each run of the page draws all of them again
def as_answer(text: str) -> tuple[str, ...]:
    """Return Markdown that draws what a model's Markdown may draw, in parts of some PART_SIZE.

    Links lead to http, https and mailto only, and no picture or HTML is left, because their
    addresses could carry the conversation to a stranger's server. A single dollar is money.
    """
    text = _with_line_feeds(text)
    parts = _Parts()
    for source, tokens in _split(text, parse(text, {})):
        parts.add(source, tokens)
    return tuple(parts.written)


class GrowingAnswer:
    """Markdown of an answer that is still written, of which each finished block is parsed once.

    Its parts, except the last one, are those of the whole answer. There is one exception: what is
    called by a name whose address comes later is text until `as_answer` draws the whole.
    """

    def __init__(self) -> None:
        self._source = ""  # of what is finished
        self._finished = _Parts()
        self._references: dict[str, Any] = {}

    def draw(self, text: str) -> list[str]:
        """Return Markdown that draws the text so far in parts, with a cursor at its end."""
        text = _with_line_feeds(text)
        if not text.startswith(self._source):
            self._source, self._finished, self._references = "", _Parts(), {}
        rest = text[len(self._source) :]
        blocks = self._parse(rest)
        if finished := "".join(source for source, _ in blocks[:-1]):
            # It is parsed alone, because the addresses in the rest may not have arrived whole.
            for block in _split(finished, parse(finished, self._references)):
                self._finished.add(*block)
            self._source += finished
            blocks = self._parse(rest[len(finished) :])
        parts = self._finished.copy()
        for block in blocks:
            parts.add(*block)
        cursor = f" {_CURSOR}" if _ends_in_text(blocks[-1][1]) else f"\n\n{_CURSOR}"
        last = "".join([*parts.written[-1:], cursor]).lstrip("\n")
        return [*parts.written[:-1], last]

    def _parse(self, rest: str) -> list[tuple[str, Sequence[Token]]]:
        *blocks, last = _split(rest, parse(rest, dict(self._references)))
        if blocks and _UNDECIDED.fullmatch(last[0]):
            above = blocks.pop()
            last = (above[0] + last[0], [*above[1], *last[1]])
        return [*blocks, last]


@dataclass
class _Parts:
    """The parts of an answer in the making. size: characters of the last one's source."""

    written: list[str] = field(default_factory=list)
    size: int = 0

    def copy(self) -> "_Parts":
        return _Parts([*self.written], self.size)

    def add(self, source: str, tokens: Sequence[Token]) -> None:
        """Add a block to the last part, or begin another part if that one has its size."""
        if markdown := _write(source, tokens):
            if not self.written or self.size >= PART_SIZE:
                self.written.append(markdown)
                self.size = 0
            else:
                self.written[-1] += f"\n\n{markdown}"
        self.size += len(source)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _split(text: str, tokens: Sequence[Token]) -> list[tuple[str, Sequence[Token]]]:
    """Split a text, and its tokens, wherever a blank line precedes a block of the top level.

    No line that follows can change where this is. The blocks between two such places, which are
    mostly one, are called a block here. There is at least one, even if it is empty.
    """
    lines = text.split("\n")
    blocks: list[tuple[str, Sequence[Token]]] = []
    first_line = first_token = 0
    for number, token in enumerate(tokens):
        line = token.map[0] if token.map and token.level == 0 else 0
        if line and number and not lines[line - 1].strip(" \t"):
            source = "".join(f"{each}\n" for each in lines[first_line:line])
            blocks.append((source, tokens[first_token:number]))
            first_line, first_token = line, number
    return [*blocks, ("\n".join(lines[first_line:]), tokens[first_token:])]


def _ends_in_text(tokens: Sequence[Token]) -> bool:
    last = next((token for token in reversed(tokens) if token.nesting == 0), None)
    is_text = last is not None and last.type == "inline" and last.content != ""
    return is_text and tokens[-1].type != "table_close"


def _write(source: str, tokens: Sequence[Token]) -> str:
    """Return the Markdown of blocks, or the source in a fence if they are nested too deeply."""
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        return _fence(source.strip("\n"))
    return _Blocks(tokens).written


# Blocks


@dataclass
class _Block:
    """A block in the making. kind: its tag in HTML, or a name for what has none."""

    kind: str
    token: Token
    children: list[tuple[str, str]] = field(default_factory=list)  # kinds and Markdown
    is_loose: bool = False
    alignments: list[str] = field(default_factory=list)  # of a table's columns

    def join(self) -> str:
        """Return the children, with an empty line between them where Markdown needs one."""
        parts: list[str] = []
        previous = ""
        for kind, child in self.children:
            if parts:
                parts.append("\n" if not self.is_loose and _may_adjoin(previous, kind) else "\n\n")
            parts.append(child)
            previous = kind
        return "".join(parts)


def _may_adjoin(upper: str, lower: str) -> bool:
    """Tell whether blocks stay what they are without an empty line between them."""
    if "table" in (upper, lower) or (upper == lower and upper != "li"):
        return False
    return upper not in ("p", "ul", "ol", "blockquote") or lower not in (
        ("p",) if upper == "p" else ("p", "ul", "ol")
    )


class _Blocks:
    """Writes blocks as Markdown in which each means to Streamlit what it means here."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._open = [_Block("", Token("", "", 1), is_loose=True)]
        for token in tokens:
            if token.nesting == 1:
                self._open.append(_Block(token.tag, token))
            elif token.nesting == -1:
                self._close()
            elif token.type == "inline":
                kind = self._open[-1].kind
                self._add("inline", _Inline(token.children or [], kind).written)
            elif token.type == "hr":
                self._add("hr", "___")
            elif token.type == "formula_block":
                self._add("formula", _formula_block(token.content))
            else:
                self._add("fence", _code_block(token))
        self.written = self._open[0].join()

    def _add(self, kind: str, text: str) -> None:
        if text or kind in ("li", "th", "td"):
            self._open[-1].children.append((kind, text))

    def _close(self) -> None:
        block = self._open.pop()
        kind, token, parent = block.kind, block.token, self._open[-1]
        text = block.join()
        if kind == "p":
            parent.is_loose |= not token.hidden
        elif kind in ("h1", "h2", "h3", "h4", "h5", "h6"):
            text = f"{'#' * int(kind[1])} {text}".rstrip()
        elif kind == "blockquote":
            text = "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))
        elif kind == "li":
            parent.is_loose |= block.is_loose
            text = _item(token, text)
        elif kind == "tr":
            text = f"| {' | '.join(cell for _, cell in block.children)} |"
        elif kind == "th":
            align = str(token.attrGet("style") or "").removeprefix("text-align:")
            parent.alignments.append(_ALIGNMENTS[align])
        elif kind == "thead":
            text += f"\n| {' | '.join(block.alignments)} |"
        elif kind in ("tbody", "table"):
            text = "\n".join(child for _, child in block.children)
        if kind == "tr":
            parent.alignments = block.alignments
        self._add(kind, text)


def _item(token: Token, text: str) -> str:
    """Return a list's item with its marker."""
    marker = token.info + token.markup
    if token.meta and "checked" in token.meta:
        box = "[x]" if token.meta["checked"] else "[ ]"
        text = f"{box} {text}" if text else _escape(box)
    lines = text.split("\n")
    indented = [" " * (len(marker) + 1) + line if line else "" for line in lines[1:]]
    if not text:
        return marker
    if _ONLY_MARKERS.fullmatch(lines[0]):  # with one more it could be a line across the page
        return "\n".join([marker, " " * (len(marker) + 1) + lines[0], *indented])
    return "\n".join([f"{marker} {lines[0]}", *indented])


def _code_block(token: Token) -> str:
    """Return code as a fence, or what is drawn instead: a formula or a diagram."""
    language = (token.info.split() or [""])[0]
    kind = language.lower()
    if kind == "math" and token.content.strip():
        return _formula_block(token.content.strip("\n"))
    if re.match(r"mermaid\b", kind):
        # The page's style sheet shows the source where Mermaid rejects it.
        lines = token.content.count("\n") + (token.content[-1:] not in ("", "\n"))
        is_whole = token.map and token.map[1] - token.map[0] == lines + 2
        if is_whole and may_be_drawn(token.content):
            drawn = _fence(without_colors(token.content), "mermaid")
            return f"{drawn}\n\n{_fence(token.content)}"
        return _fence(token.content)
    return _fence(token.content, language if _LANGUAGE.fullmatch(language) else "")


def _fence(code: str, language: str = "") -> str:
    code = code.replace(*_ICON_IN_CODE)
    mark = "`" * max(3, _longest_run("`", code) + 1)
    end = "" if not code or code.endswith("\n") else "\n"
    start = "\n" if code.startswith("\n") else ""  # Streamlit removes one
    return f"{mark}{language}\n{start}{code}{end}{mark}"


def _formula_block(formula: str) -> str:
    mark = "$" * max(2, _longest_run("$", formula) + 1)
    return f"{mark}\n{formula}\n{mark}"


def _longest_run(character: str, text: str) -> int:
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)


# Text


class _Inline:
    """Writes what is in a paragraph, a heading or a cell of a table."""

    def __init__(self, tokens: Sequence[Token], kind: str) -> None:
        self._is_cell = kind in ("th", "td")
        self._soft_break = "\n" if kind == "p" else " "
        self._hard_break = "\\\n" if kind == "p" else _LINE_FEED
        self._parts: list[str] = []
        self._text: list[str] = []  # that stands together
        self._links: list[Token] = []
        for number, token in enumerate(tokens):
            self._add(token, tokens[number + 1 : number + 2])
        self._end_text()
        while self._parts and self._parts[-1] in (self._soft_break, self._hard_break):
            self._parts.pop()
        self.written = _SPACES_AT_EDGES.sub(_as_references, "".join(self._parts))

    def _add(self, token: Token, following: Sequence[Token]) -> None:
        match token.type:
            case "text":
                self._text.append(token.content)
            case "code_inline":
                self._mark(_code(token.content, is_cell=self._is_cell))
            case "formula":
                self._mark(_formula(token.content, is_cell=self._is_cell))
            case "softbreak":
                if self._text or self._parts[-1:] != [self._hard_break]:
                    self._mark(self._soft_break)
            case "hardbreak":
                self._mark(self._hard_break)
            case "image":
                self._add_picture(token)
            case "link_open":
                self._links.append(token)
                self._open_link(token, is_empty=following[0].type == "link_close")
            case "link_close":
                self._close_link(self._links.pop())
            case _:  # emphasis and deletion
                self._mark(token.markup)

    def _mark(self, markdown: str) -> None:
        self._end_text()
        self._parts.append(markdown)

    def _end_text(self) -> None:
        if text := "".join(self._text):
            self._parts.append(_escape(text))
        self._text = []

    def _open_link(self, token: Token, *, is_empty: bool) -> None:
        address = str(token.attrs["href"])
        if len(self._links) > 1:
            return  # a link can't be in another
        if _may_be_followed(address):
            self._mark("[")
            self._text.append(address if is_empty else "")
        else:
            self._text.append("<" if token.markup == "autolink" else "[")

    def _close_link(self, token: Token) -> None:
        address, title = str(token.attrs["href"]), str(token.attrs.get("title", ""))
        if self._links:
            return
        if _may_be_followed(address):
            self._mark(_destination(address, title))
        elif token.markup == "autolink":
            self._text.append(">")
        else:
            self._text.append(_shown_destination(address, title))

    def _add_picture(self, token: Token) -> None:
        """Show a picture as a link to it, or as text where a link can't be."""
        address, title = str(token.attrs["src"]), str(token.attrs.get("title", ""))
        description = _plain(token.children or [])
        shown = description if description.strip() else address
        if self._links:
            self._text.append(shown)
        elif _may_be_followed(address):
            self._mark("[")
            self._text.append(shown)
            self._mark(_destination(address, title))
        else:
            self._text.append(f"![{description}{_shown_destination(address, title)}")


def _plain(tokens: Sequence[Token]) -> str:
    """Return what a picture's description says."""
    words = (_plain(each.children) if each.children else each.content for each in tokens)
    breaks = (each.type in ("softbreak", "hardbreak") for each in tokens)
    return "".join(" " if is_break else word for word, is_break in zip(words, breaks, strict=True))


def _may_be_followed(address: str) -> bool:
    return _ADDRESS.match(address) is not None and "\n" not in address


def _destination(address: str, title: str) -> str:
    if not _PLAIN_ADDRESS.fullmatch(address):
        address = f"<{_PUNCTUATION.sub(_escape_one, address)}>"
    words = f' "{_PUNCTUATION.sub(_escape_one, " ".join(title.split()))}"' if title else ""
    return f"]({address}{words})"


def _shown_destination(address: str, title: str) -> str:
    return f']({address} "{title}")' if title else f"]({address})"


def _code(code: str, *, is_cell: bool) -> str:
    code = code.replace(*_ICON_IN_CODE)
    mark = "`" * (_longest_run("`", code) + 1)
    has_edge = code[0] == "`" or code[-1] == "`" or (code[0] == code[-1] == " " and code.strip(" "))
    written = f"{mark} {code} {mark}" if has_edge else f"{mark}{code}{mark}"
    return written.replace("|", "\\|") if is_cell else written


def _formula(formula: str, *, is_cell: bool) -> str:
    mark = "$" * max(2, _longest_run("$", formula) + 1)
    if is_cell:
        formula = formula.replace("\\|", "\\Vert ").replace("|", "\\vert ")
    return f"{mark} {formula} {mark}"


def _escape(text: str, special: re.Pattern[str] = _SPECIAL) -> str:
    """Return Markdown that Streamlit shows as the text."""
    pieces, end = [], 0
    for found in _REPLACED.finditer(text):
        start = found.start() if found["shortcode"] else found.start() + 1
        pieces += [special.sub(_escape_one, text[end:start]), f":color[\\{text[start]}]"]
        end = start + 1
    return "".join([*pieces, special.sub(_escape_one, text[end:])])


def _escape_one(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], found[0])


def _as_references(found: re.Match[str]) -> str:
    return "".join(f"&#{ord(each)};" for each in found[0])
