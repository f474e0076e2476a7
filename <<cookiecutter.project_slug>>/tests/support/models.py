"""A model and a question for it, and how a test listens to the answer."""

from chatbot.context import to_messages
from chatbot.conversations import Turn
from chatbot.models import Backend, Cancellation, Finish, Model, Text

MODEL = Model("m", "The Model", "test.model-v1:0", 1000, {"maxTokens": 100})


def talk(*exchanges: tuple[str, str]) -> list[Turn]:
    """Return turns with these prompts and answers."""
    return [
        Turn(f"t{number}", prompt, answer=answer, model=MODEL.key)
        for number, (prompt, answer) in enumerate(exchanges)
    ]


HELLO = to_messages(talk(("Hello", "")))


def listen(backend: Backend, model: Model = MODEL) -> tuple[str, Finish]:
    """Let the backend answer to the end; return its text, and how it ended."""
    *texts, finish = backend.stream(model, HELLO, "Be kind.", Cancellation())
    assert isinstance(finish, Finish)
    return "".join(event.text for event in texts if isinstance(event, Text)), finish
