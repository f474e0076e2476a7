"""What a model is sent of a conversation: the turns that fit its window, as Converse wants them."""

from collections.abc import Sequence
from dataclasses import replace

from chatbot.models import Backend, Cancellation, Events, Finish, Message, Model, TooLongError

BYTES_PER_TOKEN = 3  # of UTF-8; English has about 4, so the estimate is on the safe side
ANSWER_TOKENS = 4096  # room for an answer, if models.toml has no maxTokens

CONTINUE = (
    "Your answer above was cut off. Go on exactly where it ends, in the same language and form. "
    "Don't repeat any of it, and don't mention the interruption."
)

Exchange = tuple[str, str]  # a prompt and its answer, which may be empty


def stream_answer(
    backend: Backend,
    model: Model,
    turns: Sequence[Exchange],
    system: str,
    cancellation: Cancellation,
) -> Events:
    """Let the backend answer the last of the turns. Raises ModelError.

    How many turns fit the model's window is an estimate. If the model disagrees, it is asked again
    with half as many, until it answers or only the last one is left; `Finish.facts` then says how
    many "messages" it saw.
    """
    fitting = count_fitting_turns(turns, model, system)
    sent, begun = fitting, False
    while True:
        messages = to_messages(turns[-sent:])
        try:
            for event in backend.stream(model, messages, system, cancellation):
                if isinstance(event, Finish) and sent < fitting:
                    event = replace(event, facts=event.facts | {"messages": 2 * sent - 1})
                begun = True
                yield event
            return
        except TooLongError:
            if begun or sent == 1:
                raise
            sent //= 2


def count_fitting_turns(turns: Sequence[Exchange], model: Model, system: str) -> int:
    """Return how many of the newest turns fit the model's window; at least one."""
    answer_tokens = model.inference.get("maxTokens", ANSWER_TOKENS)
    room = (model.context_window - answer_tokens) * BYTES_PER_TOKEN - len(system.encode())
    for fitting, (prompt, answer) in enumerate(reversed(turns)):
        room -= len(prompt.encode()) + len(answer.encode())
        if room < 0:
            return max(1, fitting)
    return len(turns)


def to_messages(turns: Sequence[Exchange]) -> list[Message]:
    """Turn prompts and answers into messages that Converse accepts.

    Roles alternate, no text is blank, and the user speaks first and last. If the last turn already
    has a part of its answer, the user asks the model to continue: newer models refuse a
    conversation that ends with the assistant.
    """
    messages: list[Message] = []
    for prompt, answer in turns:
        _add(messages, "user", prompt)
        _add(messages, "assistant", answer)
    if messages and messages[-1]["role"] == "assistant":
        _add(messages, "user", CONTINUE)
    return messages


def _add(messages: list[Message], role: str, text: str) -> None:
    if not text.strip():
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"].append({"text": text})
    else:
        messages.append({"role": role, "content": [{"text": text}]})
