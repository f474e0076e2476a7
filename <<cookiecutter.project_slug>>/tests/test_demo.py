"""The demo model says what it is, and continues like a real one."""

from support.models import MODEL, listen, talk

from chatbot.context import to_messages
from chatbot.demo import Demo
from chatbot.models import Cancellation, Text


def test_the_demo_model_says_what_it_is() -> None:
    text, finish = listen(Demo())
    assert "no model was called" in text
    assert "> Hello" in text
    assert "| --- |" in text and "```" in text
    assert finish.code == "end_turn"


def test_the_demo_model_continues_where_it_was_cut_off() -> None:
    whole, _ = listen(Demo())
    for length in (1, 40, len(whole) - 1):
        messages = to_messages(talk(("Hello", whole[:length])))
        events = Demo().stream(MODEL, messages, "", Cancellation())
        rest = "".join(event.text for event in events if isinstance(event, Text))
        assert whole[:length] + rest == whole
