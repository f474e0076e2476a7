"""What Streamlit is handed of any answer: its own words, nothing foreign, the same as it grows."""

import re

import pytest
from chatbot.markdown import GrowingAnswer, as_answer
from hypothesis import assume, example, given, settings
from markdown_it import MarkdownIt

from support.answers import answers, has_formula, is_address_of_a_link, shown

# A parser that draws all it is given, HTML and pictures too.
_READER = MarkdownIt("commonmark", {"tasklists": True}).enable(["table", "strikethrough"])


@settings(max_examples=200, deadline=None)
@given(answers)
@example("![\n](https://example.com/a)")
@example("- [x]  ")
@example("- [x] \rwords")
@example("[x]\n\n[x]: https://example.com/\\\n")
def test_an_answer_is_written_again_with_its_own_words_and_nothing_foreign(answer: str) -> None:
    check(answer)


@pytest.mark.browser  # takes minutes
@settings(max_examples=20_000, deadline=None)
@given(answers)
def test_twenty_thousand_answers_are_written_again_likewise(answer: str) -> None:
    check(answer)


@settings(max_examples=300, deadline=None)
@given(answers)
@example("1. one and two\n\n2. three")
@example("one and two\n| a |\n| - three\n")
@example("one and two\n\\[\nb\n\\] three\n")
def test_the_parts_of_an_answer_that_grows_are_those_of_the_whole(answer: str) -> None:
    assume("]:" not in answer)  # what is called by a name may get its address later
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatbot.markdown.PART_SIZE", 5)  # as short as the blocks made up here
        whole, growing = list(as_answer.__wrapped__(answer)), GrowingAnswer()
        for end in range(len(answer) + 1):
            parts = growing.draw(answer[:end])
            assert parts[:-1] == whole[: len(parts) - 1]
    assert "\n\n".join(parts).rstrip("▌ \n") == "\n\n".join(whole).rstrip("▌ \n")


def check(answer: str) -> None:
    assume(not has_formula(answer))
    written = "\n\n".join(as_answer.__wrapped__(answer))  # without filling its cache
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
