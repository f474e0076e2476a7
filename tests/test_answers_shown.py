"""What Streamlit is handed of any answer: its own words, and nothing foreign."""

import re

import pytest
from chatbot.markdown import as_answer
from hypothesis import assume, given, settings
from markdown_it import MarkdownIt

from support.answers import answers, has_formula, is_address_of_a_link, shown

# A parser that draws all it is given, HTML and pictures too.
_READER = MarkdownIt("commonmark", {"tasklists": True}).enable(["table", "strikethrough"])


@settings(max_examples=200, deadline=None)
@given(answers)
def test_an_answer_is_written_again_with_its_own_words_and_nothing_foreign(answer: str) -> None:
    check(answer)


@pytest.mark.browser  # takes minutes
@settings(max_examples=20_000, deadline=None)
@given(answers)
def test_twenty_thousand_answers_are_written_again_likewise(answer: str) -> None:
    check(answer)


def check(answer: str) -> None:
    assume(not has_formula(answer))
    written = as_answer.__wrapped__(answer)  # without filling its cache
    assert ":material/" not in written
    # This directive of Streamlit's shows a character as it is.
    tokens = _READER.parse(re.sub(r":color\[(\\.)\]", r"\1", written))
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in (*tokens, *inline)}
    assert not kinds & {"image", "html_inline", "html_block"}
    addresses = [str(each.attrs["href"]) for each in inline if each.type == "link_open"]
    assert all(map(is_address_of_a_link, addresses))
    leaves = [leaf for token in tokens for leaf in token.children or [token]]
    words = "".join(leaf.content for leaf in leaves if leaf.type != "inline")
    assert letters(words) == letters(shown(answer))


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())
