"""What an answer may show, and that a text is shown as it is.

tests/test_browser.py of the template reads in a browser what Streamlit makes of it.
"""

import pytest

from chatbot import markdown
from chatbot.markdown import GrowingAnswer, as_text
from chatbot.syntax import parse


def as_answer(text: str) -> str:
    """Return the Markdown of a whole answer."""
    return "\n\n".join(markdown.as_answer(text))


@pytest.mark.parametrize(
    "answer",
    [
        "`$HOME and ![x](http://a/b)`",
        "``a ` $b ![``",
        "```\nlet v = vec![$1];\n```",
        "````\n```\n$a\n```\n````",
        "- one\n  ```py\n  x = $1\n\n    y\n  ```",
    ],
)
def test_code_is_shown_to_the_letter(answer: str) -> None:
    assert as_answer(answer) == answer


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("~~~ruby\n$a ![x]\n~~~", "```ruby\n$a ![x]\n```"),
        ("    $a\n    \tb", "```\n$a\n\tb\n```"),
        ("`$a\n![b`", "`$a ![b`"),
        ("```\n\n$a\n```", "```\n\n\n$a\n```"),  # Streamlit removes the first empty line
        ('```x" onclick\n$a\n```', "```\n$a\n```"),
        ("| a |\n| - |\n| `x\\|$y` |", "| a |\n| --- |\n| `x\\|$y` |"),
    ],
)
def test_code_of_other_shapes_becomes_fences_and_spans(answer: str, shown: str) -> None:
    assert as_answer(answer) == shown


@pytest.mark.parametrize(
    ("answer", "address"),
    [
        ("[a](https://b.c/d?$filter=e_f&g=*h*)", r"<https\:\/\/b\.c\/d\?\$filter\=e\_f\&g\=\*h\*>"),
        ("[a][b]\n\n[b]: http://c/(d) 'e'", r"<http\:\/\/c\/\(d\)>"),
        ("[a](<http://b.c/d e>)", r"<http\:\/\/b\.c\/d e>"),
        ("[a](http://b.c/:material/d)", r"<http\:\/\/b\.c\/\:material\/d>"),
        ("<mailto:a@b.c>", "mailto:a@b.c"),
        ("<a@b.c>", "mailto:a@b.c"),
        ("See http://b.c/d_e_f?g=1.", "http://b.c/d_e_f?g=1"),
        ("(http://b.c/d_(e))", r"<http\:\/\/b\.c\/d\_\(e\)>"),
        ("**http://b.c**", "http://b.c"),
        ("![a](http://b.c/d)", "http://b.c/d"),
    ],
)
def test_addresses_of_the_web_and_of_mail_are_links_to_the_letter(
    answer: str, address: str
) -> None:
    assert f"]({address}" in as_answer(answer)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("[a](javascript:b)", r"\[a\](javascript\:b)"),
        ("[a](file.txt)", r"\[a\](file.txt)"),
        ("[a](#b)", r"\[a\](\#b)"),
        ("<ftp://a>", r"\<ftp\://a\>"),
        ("![a](data:b)", r"\!\[a\](data\:b)"),
        ('<img src="a">', r'\<img src\="a"\>'),
        ("<div>\n*a*\n</div>", "\\<div\\>\n*a*\n\\</div\\>"),
        ("a[^1]\n\n[^1]: b", "a\\[\\^1\\]\n\n\\[\\^1\\]: b"),
        ("Oh! *Why-not?* (It's 5.)", "Oh! *Why-not?* (It's 5.)"),
        ("5.&#32;", "5\\.&#32;"),
        ("www.a_b.c", "www\\.a\\_b.c"),
        ("a![b](http://c)", "a[b](http://c)"),
        ("a\\![b](http://c)", "a\\![b](http://c)"),
    ],
)
def test_other_addresses_html_and_footnotes_are_text(answer: str, shown: str) -> None:
    assert as_answer(answer) == shown


@pytest.mark.parametrize(
    "answer",
    [
        "![a](http://b.c)",
        "![a][b\\]]\n\n[b\\]]: http://b.c",
        "![b]\n\n[b]: http://b.c",
        "[![a](http://b.c)](http://d.e)",
        "| ![a](http://b.c) |\n| --- |",
        "> - ![a](<http://b.c>)",
        "a `![x](http://b.c)`` b",
    ],
)
def test_no_picture_is_left(answer: str) -> None:
    assert "![" not in as_answer(answer).replace("\\!\\[", "").replace("`![x](http://b.c)``", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (":smile:", r":color[\:]smile\:"),
        ("arn:aws:es:eu", r"arn:color[\:]aws:color[\:]es\:eu"),
        ("2001:db8::1", r"2001:color[\:]db8\:\:1"),
        ("H2O:gas[1]", r"H2O\:gas\[1\]"),
        (":::warning", r"\:\:\:warning"),
        (":material/delete:", r"\:material\/delete\:"),
        (":material_delete:", r":color[\:]material\_delete\:"),
        ("a -- b", r"a \-:color[\-] b"),
        ("a <-> b", r"a \<:color[\-]\> b"),
        ("a >= b", r"a \>:color[\=] b"),
    ],
)
def test_what_streamlit_would_replace_stays_as_it_is(text: str, shown: str) -> None:
    assert as_answer(text) == as_text(text) == shown
    assert as_answer("(c)") == "(c)"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("From $5 to $6", r"From \$5 to \$6"),
        ("$$ or $$$", r"\$\$ or \$\$\$"),
        (r"So \(a_1 | b\) is", "So $$ a_1 | b $$ is"),
        (r"So \[a\] is", "So $$ a $$ is"),
        ("So $$a$$ is", "So $$ a $$ is"),
        ("Then\n\\[\na\n= b\n\\]\nends", "Then\n\n$$\na\n= b\n$$\n\nends"),
        ("$$ a $$", "$$\na\n$$"),
        ("```math\na\n```", "$$\na\n$$"),
        ("| a |\n| - |\n| \\(b \\| c\\) |", "| a |\n| --- |\n| $$ b \\vert  c $$ |"),
        (r"`\(a\)`", r"`\(a\)`"),
    ],
)
def test_formulas_are_drawn_and_single_dollars_are_money(answer: str, shown: str) -> None:
    assert as_answer(answer) == shown


@pytest.mark.parametrize(
    "diagram",
    [
        "graph TD\n  A[One] -->|two| B{Three?}\n",
        "mindmap\n  Text\n    style: guide\n",
        "sequenceDiagram\n  A-\x3e>B: Hello<br/>you\n",
        "classDiagram\n  class A {\n    \x3c<interface>\x3e\n  }\n",
    ],
)
def test_a_whole_diagram_is_drawn_and_its_source_kept_behind_it(diagram: str) -> None:
    assert (
        as_answer(f"```mermaid\n{diagram}```") == f"```mermaid\n{diagram}```\n\n```\n{diagram}```"
    )


@pytest.mark.parametrize(
    ("source", "drawn"),
    [
        (
            "graph TD\n  A:::x --> B\n  classDef x fill:#f9f,stroke:#3;\n  linkStyle 0 color:red\n",
            "graph TD\n  A:::x --> B\n;\n\n",
        ),
        ("graph TD; A --> B; style A fill:pink; B --> C\n", "graph TD; A --> B; B --> C\n"),
        ('graph TD\n  A["a; style b"]\n', 'graph TD\n  A["a; style b"]\n'),
        (
            "sequenceDiagram\n  rect rgb(191, 223, 255)\n  A-\x3e>B: Hello\n  end\n",
            "sequenceDiagram\n  rect transparent\n  A-\x3e>B: Hello\n  end\n",
        ),
    ],
)
def test_a_diagram_is_drawn_in_the_colors_of_the_page_only(source: str, drawn: str) -> None:
    assert as_answer(f"```mermaid\n{source}```") == f"```mermaid\n{drawn}```\n\n```\n{source}```"


@pytest.mark.parametrize(
    "diagram",
    [
        'A@{ img: "http://b.c" }',
        "classDef x background-image:url(http://b.c)",
        "classDef x background-image:u\\72l(//b.c)",
        "style A background:image-set('http://b.c')",
        'click A "http://b.c"',
        "A; click A href",
        "%%{init: {}}%%",
        'A["<img src=x>"]',
        'A["#lt;img src=x#gt;"]',
        'A["`![x](//b.c)`"]',
        "rect URL (x)",
    ],
)
def test_a_diagram_that_could_fetch_anything_is_shown_as_source(diagram: str) -> None:
    source = f"graph TD\n{diagram}\n"
    assert as_answer(f"~~~ MERMAID\n{source}~~~") == f"```\n{source}```"


@pytest.mark.parametrize("source", ["C4Context\n", "---\nconfig: x\n---\ngraph TD\n", "A --> B\n"])
def test_diagrams_of_other_kinds_are_shown_as_source(source: str) -> None:
    assert as_answer(f"```mermaid\n{source}```") == f"```\n{source}```"


@pytest.mark.parametrize("end", ["", "\n", "\n``"])
def test_a_diagram_that_is_not_complete_is_shown_as_source(end: str) -> None:
    source = f"graph TD\nA --> B{end}"
    assert as_answer(f"```mermaid\n{source}") == f"```\n{source.rstrip()}\n```"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("one<br>two", "one\\\ntwo"),
        ("| a |\n| - |\n| b<br/>c |", "| a |\n| --- |\n| b&#10;c |"),
        ("# a *b*", "# a *b*"),
        ("- a\n  - b\n- [x] c", "- a\n  - b\n- [x] c"),
        ("3. a\n\n   b\n4. c", "3. a\n\n   b\n\n4. c"),
        ("> a\n\n~~b~~\n***", "> a\n\n~~b~~\n\n___"),
        ("&#32;&#32;&#32;&#32;a", "&#32;&#32;&#32;&#32;a"),
        ("> " * 60 + "a", f"```\n{'> ' * 60}a\n```"),
    ],
)
def test_the_rest_of_an_answer_means_what_it_meant(answer: str, shown: str) -> None:
    assert as_answer(answer) == shown


@pytest.mark.parametrize(
    "paragraph",
    ["Some *words*.\n\n", "```py\nx = 1\n```\n\n", "- a\n- b\n\nc\n\n", "> a\n\n# b\n\n"],
)
def test_what_is_finished_of_a_growing_answer_is_not_parsed_again(
    paragraph: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, growing, answer = 0, GrowingAnswer(), paragraph * 100

    def count(text: str, references: dict[str, str]) -> object:
        nonlocal parsed
        parsed += len(text)
        return parse(text, references)

    monkeypatch.setattr("chatbot.markdown.parse", count)
    for end in range(0, len(answer), 10):
        growing.draw(answer[:end])
    assert parsed < 10 * len(answer)
    assert "\n\n".join(growing.draw(answer)).removesuffix("▌").rstrip() == as_answer(answer)


def test_a_growing_answer_may_begin_anew() -> None:
    growing = GrowingAnswer()
    growing.draw("One\n\nTwo\n\nThree")
    assert growing.draw("Four") == ["Four ▌"]


def test_the_cursor_stands_behind_the_text_or_under_the_block() -> None:
    assert GrowingAnswer().draw("") == ["▌"]
    assert GrowingAnswer().draw("- One") == ["- One ▌"]
    assert GrowingAnswer().draw("```\nOne") == ["```\nOne\n```\n\n▌"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Not a *heading* <b>$x$</b>", r"\# Not a \*heading\* \<b\>\$x\$\<\/b\>"),
        ("two\nlines  of\u2028text\x00", "two lines of text"),
        ("für 5 €? 日本語です。🎉", r"für 5 €\? 日本語です。🎉"),
        ("\u202egnorw\u200b", "gnorw"),
        ("\u200b\u3164\ufe0f", "…"),
        ("", "…"),
        ("👨\u200d👩", "👨\u200d👩"),
    ],
)
def test_a_text_is_one_line_that_can_be_seen(text: str, shown: str) -> None:
    assert as_text(text) == shown
