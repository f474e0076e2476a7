"""Answers as a model could write them, and what a person sees of them."""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from chatbot.syntax import parse
from hypothesis import strategies as st
from markdown_it.token import Token

STRANGER = "http://127.0.0.2:9/secret"

# Scraps of Markdown, of Streamlit's additions to it, and of what could be taken for either.
_SCRAPS = """a|b c|1.|2)|é|日本|🎉|*|**|_|__|~~|`|``|```|# |- |* |+ |> |---|===|![|[|]|\\|\\]
"|'|(|)|!|;|.|,|/|%|(c)|^|[^1]|[^1]: |{|}|[ ] |[x] |#|:|::|:::a|:smile:|:red[
:material_x:|:streamlit:|->| -> | -- |<->|>=|&|&amp;|&#32;|&#10;|&lt;|$5|http://x.y/z|www.x.yz|a@b.cd|ftp://q|mailto:q@r.st
javascript:|?a=1&b=2|<b>|<!--|-->|<br>|[x]: STRANGER|[x]|![x]|](STRANGER)|<STRANGER>|![x](STRANGER)
<img src="STRANGER">"""
SCRAPS = [
    *_SCRAPS.replace("STRANGER", STRANGER).replace("\n", "|").split("|"),
    *("|", " ", "    ", "\t", "\xa0", "\n", "\n", "\n\n", "\n    ", "\n> ", "\n- ", "\n1. "),
    *("\n---\n", "\n```\n", "\n~~~text\n", "\n| a | b |\n|---|---|\n| c | d |\n"),
]
answers = st.lists(st.sampled_from(SCRAPS) | st.text(max_size=5), max_size=14).map("".join)

_PARAGRAPH = ("paragraph_open", "inline", "paragraph_close")


def shown(answer: str) -> str:
    """Return the characters that a person should see of an answer without formulas."""
    return squeeze(_text(parse(answer, {})))


def squeeze(text: str) -> str:
    return "".join(text.split())


def has_formula(answer: str) -> bool:
    return any(
        each.type.startswith("formula")
        for token in parse(answer, {})
        for each in (token, *(token.children or []))
    )


def is_address_of_a_link(address: str) -> bool:
    return re.fullmatch(r"(?i)(https?://|mailto:)\S.*", address) is not None  # on one line


def _text(tokens: Sequence[Token]) -> str:
    pieces: list[str] = []
    links: list[Token] = []
    for number, token in enumerate(tokens):
        if token.type == "inline":
            pieces.append(_text(token.children or []))
        elif token.meta.get("checked"):
            pieces.append("" if _has_words(tokens[number + 1 :]) else "[x]")
        elif token.type == "image":
            address, description = str(token.attrs["src"]), _description(token)
            if links or is_address_of_a_link(address):
                pieces.append(description if description.strip() else address)
            else:
                pieces.append(f"![{description}]({address}{_title(token)})")
        elif token.type == "link_open":
            links.append(token)
            pieces.append(_edge(token, "[", "<") if len(links) == 1 else "")
            if tokens[number + 1].type == "link_close" and is_address_of_a_link(_address(token)):
                pieces.append(_address(token))
        elif token.type == "link_close":
            link = links.pop()
            pieces.append("" if links else _edge(link, f"]({_address(link)}{_title(link)})", ">"))
        else:
            pieces.append(token.content)
    return "".join(pieces)


def _has_words(tokens: Sequence[Token]) -> bool:
    """Tell whether the item of a list, whose tokens these are, has more than its box."""
    item = takewhile(lambda token: token.type != "list_item_close", tokens)
    return any(_text([token]) or token.type not in _PARAGRAPH for token in item)


def _address(link: Token) -> str:
    return str(link.attrs["href"])


def _title(token: Token) -> str:
    return f' "{token.attrs["title"]}"' if token.attrs.get("title") else ""


def _edge(link: Token, bracket: str, angle: str) -> str:
    if is_address_of_a_link(_address(link)):
        return ""
    return angle if link.markup == "autolink" else bracket


def _description(token: Token) -> str:
    children: Any = token.children or []
    return "".join(_description(each) if each.children else each.content for each in children)
