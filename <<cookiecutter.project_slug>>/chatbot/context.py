"""What a model is sent of a conversation: the turns that fit its window, as Converse wants them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from chatbot.conversations import Turn
from chatbot.file_blocks import Blocks, Load, count_bytes, make_blocks, memory
from chatbot.models import (
    Backend,
    Cancellation,
    Events,
    Finish,
    Message,
    Model,
    Text,
    Thought,
    Tokens,
    TooLongError,
    count_tokens,
)
from chatbot.storage import StorageError
from chatbot.text import Joiner, is_blank

BYTES_PER_TOKEN = 2  # of UTF-8 that no model has counted: English has 4, but hex digits have 2
ANSWER_TOKENS = 4096  # room for an answer, if models.toml has no maxTokens

# How answers end that were withheld. Whoever withheld them judges all that a model is sent, so with
# such a turn in it every later request would end in the same way.
_WITHHELD = ("guardrail_intervened", "content_filtered", "refusal")

CONTINUE = (
    "Your answer above was cut off. Go on exactly where it ends, in the same language and form. "
    "Don't repeat any of it, and don't mention the interruption."
)


def _no_file(name: str) -> bytes:
    raise StorageError("attachment_missing")


def stream_answer(
    backend: Backend,
    model: Model,
    turns: Sequence[Turn],
    system: str,
    cancellation: Cancellation,
    load: Load = _no_file,
) -> Events:
    """Let the backend answer the last of the turns. Raises ModelError.

    load: returns the content of an attached file by its hash.

    How many turns fit the model's window is an estimate. If the model disagrees, it is asked again
    with half as many, until it answers or only the last one is left; `Finish.facts` then says how
    many "messages" it saw, and how many "files" of them it did not see.
    """
    if is_blank(turns[-1].prompt) and not turns[-1].files:
        yield Finish("empty")
        return
    sent = fitting = count_fitting_turns(turns, model, system)
    begun = False
    while True:
        held = count_bytes(turns[-sent:], model)
        if not memory.take(held, lambda: cancellation.cancelled):
            return
        try:
            blocks = make_blocks(turns, sent, model, load)
            unseen = blocks.left_out + blocks.missing
            messages = to_messages(turns[-sent:], blocks)
            del blocks
            events = backend.stream(model, messages, system, cancellation)
            del messages  # the files in them are large, and an answer may take minutes
            for event in _clean(events):
                memory.give_back(held)
                held = 0
                if isinstance(event, Finish):
                    event = replace(event, sent_turns=sent)
                    if unseen:
                        event = replace(event, facts=event.facts | {"files": unseen})
                    if sent < fitting:
                        event = replace(event, facts=event.facts | {"messages": 2 * sent - 1})
                begun = True
                yield event
            return
        except TooLongError:
            if begun or sent == 1:
                raise
            sent //= 2
        finally:
            memory.give_back(held)


def _clean(events: Events) -> Events:
    joiner = Joiner()
    kind: type[Text] | type[Thought] = Text  # of what the joiner holds
    for event in events:
        if not isinstance(event, kind) and (text := joiner.end()):
            yield kind(text)
        if isinstance(event, Finish):
            yield event
        else:
            kind = type(event)
            if text := joiner.add(event.text):
                yield kind(text)


def count_fitting_turns(turns: Sequence[Turn], model: Model, system: str) -> int:
    """Return how many of the newest turns fit the model's window; at least one.

    The model has counted the tokens of what it was sent for an earlier answer. All else is
    estimated by its length.

    A model finds in its cache only what it was sent from the beginning on. So once a conversation
    is too long for a model with a cache, up to a quarter of what would fit is left out as well, and
    the next requests begin with the same turn.
    """
    fitting = _count_fitting_turns(turns, model, system)
    if model.prompt_cache and fitting < len(turns):
        step = int(2 ** max(0, fitting.bit_length() - 3))
        left_out = -(-(len(turns) - fitting) // step) * step
        fitting = max(1, len(turns) - left_out)
    return fitting


def _count_fitting_turns(turns: Sequence[Turn], model: Model, system: str) -> int:
    room = model.context_window - model.inference.get("maxTokens", ANSWER_TOKENS)
    room -= len(system.encode()) // BYTES_PER_TOKEN
    for fitting, tokens in enumerate(_estimate_each(turns, model)):
        room -= tokens
        if room < 0:
            return max(1, fitting)
    return len(turns)


def estimate_tokens(turns: Sequence[Turn], model: Model, system: str, received: str) -> Tokens:
    """Return how many tokens an answer took of which the model told nothing: it was broken off.

    turns: as `stream_answer` got them. received: what has arrived of the answer.
    """
    sent = len(system.encode()) // BYTES_PER_TOKEN
    fitting = count_fitting_turns(turns, model, system)
    sent += sum(islice(_estimate_each(turns, model), fitting))
    return Tokens(sent, len(received.encode()) // BYTES_PER_TOKEN)


def _estimate_each(turns: Sequence[Turn], model: Model) -> Iterator[int]:
    """Yield how many tokens each turn has, the newest first: counted by the model, or estimated."""
    counted, tokens = _find_count(turns, model)
    counted_bytes = sum(_count_bytes(turns[number]) for number in counted) or 1
    for number in reversed(range(len(turns))):
        size = _count_bytes(turns[number])
        yield size * tokens // counted_bytes if number in counted else size // BYTES_PER_TOKEN


def _find_count(turns: Sequence[Turn], model: Model) -> tuple[range, int]:
    """Return for which turns the model last counted tokens, and how many they have together.

    Other models may have more tokens for the same text. A request that was blocked says nothing.
    """
    for number, turn in reversed(list(enumerate(turns))):
        tokens = count_tokens(turn.usage)
        told = tokens.all if tokens and turn.model == model.key else 0
        if told and turn.sent_turns > 0 and not _is_withheld(turn):
            return range(max(0, number + 1 - turn.sent_turns), number + 1), told
    return range(0), 0


def _count_bytes(turn: Turn) -> int:
    if _is_withheld(turn):
        return 0
    files = BYTES_PER_TOKEN * sum(file.tokens for file in turn.files)
    return len(turn.prompt.encode()) + len(turn.answer.encode()) + files


def _is_withheld(turn: Turn) -> bool:
    return turn.code in _WITHHELD


def to_messages(turns: Sequence[Turn], blocks: Blocks | None = None) -> list[Message]:
    """Turn prompts and answers into messages that Converse accepts.

    Roles alternate, no text is blank, and the user speaks first and last. If the last turn already
    has a part of its answer, the user asks the model to continue: newer models refuse a
    conversation that ends with the assistant. Turns whose answers were withheld are left out.

    blocks: the files of the turns. They come before the text, which Converse demands beside them.
    """
    messages: list[Message] = []
    for turn in turns:
        if not _is_withheld(turn):
            files = blocks.by_turn.get(turn.id, []) if blocks else []
            names = ", ".join(file.name for file in turn.files)
            prompt = names if files and is_blank(turn.prompt) else turn.prompt
            _add(messages, "user", prompt, files)
            _add(messages, "assistant", turn.answer)
    if messages and messages[-1]["role"] == "assistant":
        _add(messages, "user", CONTINUE)
    return messages


def _add(messages: list[Message], role: str, text: str, files: Sequence[Message] = ()) -> None:
    if is_blank(text) or (role == "assistant" and not messages):
        return
    content = [*files, {"text": text}]
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += content
    else:
        messages.append({"role": role, "content": content})
