"""An answer on the page, in parts: each is an element of its own, so that none is sent in vain."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from chatbot.conversations import Turn
from chatbot.languages import say
from chatbot.markdown import GrowingAnswer as GrowingMarkdown
from chatbot.markdown import as_answer
from chatbot.page import wording

# A part may be long, if it is one block: a table, or code. Then it is sent less often.
_SENT_A_SECOND = 8_000  # characters of one answer that grows
THOUGHTS_EVERY = 1.0  # seconds between two times that folded thoughts are drawn, at least
_LATEST = 1.0  # seconds after which a piece is drawn, however long its part is

# The parts are in one flow, so the margins between them are those between the blocks of one part.
STYLE = """
[class*="st-key-answer-"], [class*="st-key-answer-"] .stMarkdown > div { display: block; }
[class*="st-key-answer-"] [data-testid="stMarkdownContainer"] { overflow-x: clip; }
[class*="st-key-answer-"] > :not(:last-child) [data-testid="stMarkdownContainer"] {
  margin-bottom: 0;
}
[data-testid="stSpinner"] p[data-time]::after { content: " (" attr(data-time) ")"; }
"""


def draw_answer(turn: Turn) -> None:
    """Draw an answer that has ended, with what the model thought before, folded."""
    thought, place = st.empty(), _place(turn)
    if turn.thought:
        with thought, _fold(wording.thought_for(turn.thought_seconds)):
            for part in _whole(turn.thought):
                st.markdown(part)
    with place:
        for part in _whole(turn.answer):
            st.markdown(part)


class GrowingAnswer:
    """An answer that grows on the page: what the model thinks, and what it says."""

    def __init__(self, turn: Turn) -> None:
        self._thought = st.empty()
        self._answer = _GrowingParts(_place(turn))
        self._waiting = st.empty()
        self._wait_over = ExitStack()
        self._thoughts: _GrowingParts  # once there are any
        self._folded = ""  # the line under which they are folded
        self._thought_ended = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show the time until the first word, while the answer is followed in this block.

        web/scripts/thinking.js counts it.
        """
        self._answer.clear()
        with self._wait_over:
            with self._waiting:
                self._wait_over.enter_context(st.spinner(say("Thinking")))
            yield

    def draw(self, turn: Turn) -> None:
        """Draw what there is so far, unless it was drawn a moment ago."""
        if not turn.answer:
            self._draw_thought(turn, say("Thoughts so far"))
            return
        self._wait_over.close()
        if not self._thought_ended:
            self._draw_whole_thought(turn)
        self._answer.draw(turn.answer)

    def draw_whole(self, turn: Turn) -> None:
        """Draw the answer that has ended."""
        self._wait_over.close()
        self._draw_whole_thought(turn)
        self._answer.draw_whole(turn.answer)

    def say(self, sentence: str) -> None:
        """Say why there is nothing of the answer yet."""
        self._answer.say(sentence)

    def _draw_whole_thought(self, turn: Turn) -> None:
        """Draw what the model has thought: once when the answer begins, and when it has ended."""
        self._thought_ended = True
        self._draw_thought(turn, wording.thought_for(turn.thought_seconds), whole=True)

    def _draw_thought(self, turn: Turn, line: str, *, whole: bool = False) -> None:
        """Draw what the model thinks, folded below the line; another line folds it again."""
        if not turn.thought:
            return
        if line != self._folded:
            self._folded = line
            with self._thought:
                self._thoughts = _GrowingParts(_fold(line), THOUGHTS_EVERY)
        if whole:
            self._thoughts.draw_whole(turn.thought)
        else:
            self._thoughts.draw(turn.thought)


class _GrowingParts:
    """Markdown that grows, in elements of a place.

    pause: seconds at least between two times that it is drawn.
    """

    def __init__(self, place: DeltaGenerator, pause: float = 0.0) -> None:
        self._place = place
        self._pause = pause
        self._elements: list[DeltaGenerator] = []
        self._shown: list[str] = []  # the Markdown in them
        self._growing = GrowingMarkdown()
        self._text: str | None = None  # as it was drawn last
        self._due = 0.0  # when it may be drawn again, by time.monotonic

    def draw(self, text: str) -> None:
        """Draw the text so far, unless it was drawn a moment ago."""
        if text != self._text and time.monotonic() >= self._due:
            self._text = text
            parts = self._growing.draw(text)
            self._send(parts)
            pause = min(_LATEST, len(parts[-1]) / _SENT_A_SECOND)
            self._due = time.monotonic() + max(pause, self._pause)

    def draw_whole(self, text: str) -> None:
        """Draw the text that has ended, unless all of it is drawn."""
        self._send(_whole(text))

    def say(self, sentence: str) -> None:
        """Say why there is nothing yet."""
        self._element(0).caption(sentence)

    def clear(self) -> None:
        """Say no more why there is nothing yet."""
        for element in self._elements:
            element.empty()

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


def _fold(line: str) -> DeltaGenerator:
    return st.expander(line, type="compact")


def _whole(text: str) -> Sequence[str]:
    """Return the parts of a text that has ended: one at least, as there is while it grows."""
    return as_answer(text) or ("",)
