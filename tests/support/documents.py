"""What a Markdown document holds: its commands, links and headings, as GitHub would show them."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

SHELLS = ("bash", "sh", "console")
_READER = MarkdownIt("commonmark").enable("table")
_SETTINGS = re.compile(r'([A-Z_]+=("[^"]*"|\S*) )*')  # of environment variables, before a command
_OPERAND = re.compile(r" (--|[A-Z]+\b)")


@dataclass(frozen=True)
class Command:
    """A command in a document: a block that a reader copies, or code within a sentence."""

    text: str
    is_block: bool


@dataclass(frozen=True)
class Document:
    """A document in a folder, which is a repository."""

    folder: Path
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(self.folder).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tokens(self) -> list[Token]:
        return [each for token in _READER.parse(self.text) for each in (token, *_within(token))]

    def commands(
        self, programs: Collection[str] = (), verbs: Collection[str] = ()
    ) -> Iterator[Command]:
        """Yield each block for a shell, and each code in a sentence that runs one of the programs.

        verbs: of `./deployment.sh`: `rollback TAG` is short for `./deployment.sh rollback TAG`, as
        `dev.py run` is for `python3 dev.py run`.
        """
        for token in self.tokens:
            if token.type == "fence" and token.info in SHELLS:
                yield Command(token.content, is_block=True)
            elif token.type == "code_inline":
                code = " ".join(token.content.split())
                words = _SETTINGS.sub("", code, count=1).split() or [""]
                if words[0] in verbs and _OPERAND.search(code):
                    yield Command(f"./deployment.sh {code}", is_block=False)
                elif words[0].endswith(".py") and words[1:]:
                    yield Command(f"python3 {code}", is_block=False)
                elif words[0].startswith("./") or (words[0] in programs and words[1:]):
                    yield Command(code, is_block=False)

    @property
    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        found = [each.attrGet("href") or each.attrGet("src") for each in self.tokens]
        return [unquote(str(target)) for target in found if target]

    @property
    def broken_links(self) -> list[str]:
        """What looks like a link and is none, as its address has characters that end it."""
        texts = [each.content for each in self.tokens if each.type == "text"]
        return [text for text in texts if "](" in text]

    @property
    def anchors(self) -> set[str]:
        """The names by which GitHub links to its headings."""
        seen: Counter[str] = Counter()
        found = set()
        for opening, inline in zip(self.tokens, self.tokens[1:], strict=False):
            if opening.type == "heading_open":
                name = "".join(map(_text, inline.children or [])).lower()
                name = re.sub(r"[^\w -]", "", name).replace(" ", "-")
                found.add(f"{name}-{seen[name]}" if seen[name] else name)
                seen[name] += 1
        return found


def _within(token: Token) -> Iterator[Token]:
    for each in token.children or []:
        yield each
        yield from _within(each)


def _text(token: Token) -> str:
    return token.content if token.type in ("text", "code_inline", "fence") else ""


def documents(folder: Path, *patterns: str) -> list[Document]:
    """Return the documents in a folder that match any of the patterns."""
    return [Document(folder, path) for each in patterns for path in sorted(folder.glob(each))]


def verbs_in(found: Iterable[Document]) -> set[str]:
    """Return the verbs of `./deployment.sh` that the documents name."""
    return {
        verb for each in found for verb in re.findall(r"`\./deployment\.sh ([a-z]+)", each.text)
    }


def dead_links(document: Document) -> list[str]:
    """Return the links to files, pictures and headings that don't exist."""
    dead = document.broken_links
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.path.parent / name if name else document.path
        is_there = target.exists() and target.resolve().is_relative_to(document.folder.resolve())
        if is_there and anchor:
            is_there = anchor in Document(document.folder, target).anchors
        if not is_there:
            dead.append(link)
    return dead
