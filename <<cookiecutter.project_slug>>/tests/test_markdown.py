"""What an answer may show, and that a text is shown as it is."""

import pytest

from chatbot.markdown import as_answer, as_text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("From $5 to $6", "From \\$5 to \\$6"),
        ("![x](https://stranger.example/?secret)", "\\![x](https://stranger.example/?secret)"),
        ("`$HOME` and \\$7", "`$HOME` and \\$7"),
        ("a `![x](http://stranger/a)`` b", "a `!\u200b[x](http://stranger/a)`` b"),
        ("```rust\nlet v = vec![1];\n```", "```rust\nlet v = vec![1];\n```"),
        ("See [the book](https://doc.example/book).", "See [the book](https://doc.example/book)."),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
    ],
)
def test_an_answer_has_no_pictures_and_no_formulas(answer: str, shown: str) -> None:
    assert as_answer(answer) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Not a *heading* <b>$x$</b>", r"\# Not a \*heading\* \<b\>\$x\$\<\/b\>"),
        ("two\nlines  of text", "two lines of text"),
        ("für 5 €? 日本語です。🎉", r"für 5 €\? 日本語です。🎉"),
    ],
)
def test_a_text_is_shown_as_it_is_on_one_line(text: str, shown: str) -> None:
    assert as_text(text) == shown
