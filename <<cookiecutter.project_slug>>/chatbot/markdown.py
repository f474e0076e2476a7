"""What a text may do when it is drawn as Markdown: nothing, or what an answer may."""

import re

# What starts with a backslash, or is code, stays as it is.
_CODE_OR_RISK = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)|(\\.)|(!\[)|(\$)", re.DOTALL)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_DEFINITION = re.compile(r"^[ \t>*+\d.)-]*\[[^\]]{1,999}\]:", re.MULTILINE)  # of a link's address


def as_text(text: str) -> str:
    """Return Markdown that shows the text as it is, on one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def as_answer(text: str) -> str:
    """Return a model's Markdown without pictures and formulas.

    A picture's address could carry the conversation to a stranger's server, and two prices in a
    sentence would be taken for a formula. What looks like code is not always code to Markdown, so
    an invisible character breaks a picture that seems to be in code.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    has_definition = _DEFINITION.search(text) is not None
    paragraph_end = last_address = -1

    def disarm(found: re.Match[str]) -> str:
        nonlocal paragraph_end, last_address
        if not found[1]:
            return found[2] or ("\\![" if found[3] else "\\$")
        if found.end() > paragraph_end:
            blank = _BLANK_LINE.search(text, found.end())
            paragraph_end = blank.start() if blank else len(text)
            last_address = text.rfind("](", 0, paragraph_end)
        may_be_picture = has_definition or last_address > found.start()
        return found[1].replace("![", "!\u200b[") if may_be_picture else found[1]

    return _CODE_OR_RISK.sub(disarm, text)
