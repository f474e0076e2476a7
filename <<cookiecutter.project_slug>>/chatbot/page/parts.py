"""An answer on the page, in parts: each is an element of its own, so that none is sent in vain."""

import time
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.conversations import Turn
from chatbot.markdown import GrowingAnswer, as_answer

# A part may be long, if it is one block: a table, or code. Then it is sent less often.
_SENT_A_SECOND = 8_000  # characters of one answer that grows
_LATEST = 1.0  # seconds after which a piece is drawn, however long its part is

# The parts are in one flow, so the margins between them are those between the blocks of one part.
STYLE = """
[class*="st-key-answer-"], [class*="st-key-answer-"] .stMarkdown > div { display: block; }
[class*="st-key-answer-"] [data-testid="stMarkdownContainer"] { overflow-x: clip; }
[class*="st-key-answer-"] > :not(:last-child) [data-testid="stMarkdownContainer"] {
  margin-bottom: 0;
}
"""


def draw_answer(turn: Turn) -> None:
    """Draw an answer that has ended."""
    with _place(turn):
        for part in _whole(turn.answer):
            st.markdown(part)


class GrowingParts:
    """An answer that grows on the page."""

    def __init__(self, turn: Turn) -> None:
        self._place = _place(turn)
        self._elements: list[DeltaGenerator] = []
        self._shown: list[str] = []  # the Markdown in them
        self._growing = GrowingAnswer()
        self._text: str | None = None  # the answer as it was drawn last
        self._due = 0.0  # when it may be drawn again, by time.monotonic

    def draw(self, text: str) -> None:
        """Draw the answer so far, unless it was drawn a moment ago."""
        if text != self._text and time.monotonic() >= self._due:
            self._text = text
            parts = self._growing.draw(text)
            self._send(parts)
            self._due = time.monotonic() + min(_LATEST, len(parts[-1]) / _SENT_A_SECOND)

    def draw_whole(self, text: str) -> None:
        """Draw the answer that has ended."""
        self._send(_whole(text))

    def say(self, sentence: str) -> None:
        """Say why there is nothing of the answer yet."""
        self._element(0).caption(sentence)

    def _send(self, parts: Sequence[str]) -> None:
        """Make the elements show the parts; those that do so already are not sent."""
        for number, part in enumerate(parts):
            if self._shown[number : number + 1] != [part]:
                self._element(number).markdown(part)
                self._shown[number : number + 1] = [part]
        for number in range(len(parts), len(self._shown)):
            self._element(number).empty()
        del self._shown[len(parts) :]

    def _element(self, number: int) -> DeltaGenerator:
        if number == len(self._elements):
            self._elements.append(self._place.empty())
        return self._elements[number]


def _place(turn: Turn) -> DeltaGenerator:
    return st.container(key=f"answer-{turn.id}", gap=None)


def _whole(text: str) -> Sequence[str]:
    """Return the parts of an answer that has ended: one at least, as there is while it grows."""
    return as_answer(text) or ("",)
