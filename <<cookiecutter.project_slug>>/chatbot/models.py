"""The models on offer, and what a backend has to do to answer for one."""

import math
import threading
import tomllib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chatbot.errors import ChatbotError, Facts
from chatbot.file_kinds import NO_FILES, FileLimits, read_limits
from chatbot.settings import ROOT, SettingsError

Message = dict[str, Any]  # as Converse wants it
Events = Generator["Text | Thought | Finish", None, None]


@dataclass(frozen=True)
class Model:
    """A model that staff can choose: one table of models.toml.

    key: the table's name, which conversations remember.
    name: what staff see.
    id: a Bedrock model or inference profile.
    context_window: tokens of a conversation and its answer together.
    inference: Converse's inferenceConfig, without what the model refuses.
    additional: Converse's additionalModelRequestFields.
    input_price, output_price: US dollars for a million tokens, if they are known.
    prompt_cache: whether the model is told to keep what it was sent (Converse's cachePoint), so
        that a long chat pays for its history once.
    fallback: the key of the model that answers if this one has too many requests or is not
        available, or "".
    guardrail: whether the deployment's guardrail, if it has one, watches over this model.
    cache_read_price, cache_write_price: as input_price, of tokens that come from the cache, and of
        those that go into it; 0 if they cost the same as others.
    files: which files it takes; none, unless told.
    """

    key: str
    name: str
    id: str
    context_window: int
    inference: dict[str, Any] = field(default_factory=dict)
    additional: dict[str, Any] = field(default_factory=dict)
    input_price: float = 0
    output_price: float = 0
    prompt_cache: bool = False
    fallback: str = ""
    guardrail: bool = True
    cache_read_price: float = 0
    cache_write_price: float = 0
    files: FileLimits = NO_FILES

    def cost(self, tokens: "Tokens") -> float | None:
        """Return what the tokens cost, in US dollars; None if a price is not known."""
        if not (self.input_price and self.output_price):  # one alone would tell too little
            return None
        price = tokens.fresh * self.input_price + tokens.written * self.output_price
        price += tokens.cached * (self.cache_read_price or self.input_price)
        price += tokens.kept * (self.cache_write_price or self.input_price)
        return price / 1_000_000


@dataclass(frozen=True)
class Tokens:
    """How many tokens a model was sent, cached ones included, and how many it wrote.

    cached, kept: how many of those that it was sent came from the cache, and went into it.
    """

    sent: int = 0
    written: int = 0
    cached: int = 0
    kept: int = 0

    @property
    def fresh(self) -> int:
        """How many the model was sent that the cache had nothing to do with."""
        return self.sent - self.cached - self.kept

    @property
    def all(self) -> int:
        return self.sent + self.written


_CACHED, _KEPT = "cacheReadInputTokens", "cacheWriteInputTokens"
_SENT = ("inputTokens", _CACHED, _KEPT)


def count_tokens(usage: Mapping[str, object]) -> Tokens | None:
    """Return the tokens of an answer, as its model reported them; None if it did not.

    usage: tokens by kind, which may come from a file that somebody else wrote.
    """
    counts = {name: count for name, count in usage.items() if isinstance(count, int) and count > 0}
    if not isinstance(usage.get("outputTokens"), int):
        return None
    sent = sum(counts.get(name, 0) for name in _SENT)
    cached, kept = counts.get(_CACHED, 0), counts.get(_KEPT, 0)
    return Tokens(sent, counts.get("outputTokens", 0), cached, kept)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "id": str,
    "context_window": int,
    "inference": dict,
    "additional": dict,
    "input_price": (int, float),
    "output_price": (int, float),
    "prompt_cache": bool,
    "fallback": str,
    "guardrail": bool,
    "cache_read_price": (int, float),
    "cache_write_price": (int, float),
    "files": dict,
}
_PRICES = [name for name in _TYPES if name.endswith("_price")]


def load_models(path: Path = ROOT / "models.toml") -> dict[str, Model]:
    """Read the models on offer by their keys, the default one first.

    Raises SettingsError, whose code begins with "models_", if the file can't be used.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError("models_unreadable", file=path.name, reason=str(error)) from error
    models = {}
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError("models_no_table", file=path.name, name=key)
        for name, type_ in _TYPES.items():
            if name in table and not isinstance(table[name], type_):
                raise SettingsError("models_wrong_type", file=path.name, name=name, table=key)
        for name in _PRICES:
            if not 0 <= table.get(name, 0) < math.inf:
                raise SettingsError("models_wrong_type", file=path.name, name=name, table=key)
        if "files" in table:
            try:
                table["files"] = read_limits(table["files"])
            except ValueError as error:
                raise SettingsError("models_files", file=path.name, table=key) from error
        try:
            models[key] = Model(key=key, **table)
        except TypeError as error:
            raise SettingsError("models_wrong_fields", file=path.name, table=key) from error
    if not models:
        raise SettingsError("models_none", file=path.name)
    for model in models.values():
        if model.fallback and (model.fallback == model.key or model.fallback not in models):
            raise SettingsError(
                "models_no_fallback", file=path.name, name=model.fallback, table=model.key
            )
    return models


@dataclass(frozen=True)
class Text:
    """A piece of an answer."""

    text: str


@dataclass(frozen=True)
class Thought:
    """A piece of what a model thinks before it answers.

    seconds: for how long it has thought since it was asked, or since the piece before.
    """

    text: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Finish:
    """The end of an answer.

    code: why the model stopped: its own word, such as "end_turn", or "empty" if it wrote nothing.
    facts: what the sentence about it needs.
    usage: tokens by kind.
    sent_turns: how many turns of the conversation the model was sent, the answered one included.
    """

    code: str
    facts: Facts = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    sent_turns: int = 0


class ModelError(ChatbotError):
    """The model could not answer, or not to the end.

    facts: error, the name that the cause has for whoever runs the chatbot; request, the provider's
        id of the request, if there is one.
    """


class TooLongError(ModelError):
    """The conversation does not fit the model's window."""

    def __init__(self, **facts: str | int) -> None:
        super().__init__("too_long", **facts)


class Cancellation:
    """Lets one thread break off what another one waits for: a model may be silent for minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._break_off: Callable[[], object] = lambda: None

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Break off what is waited for, now or as soon as something is."""
        with self._lock:
            self._cancelled = True
            self._break_off()

    def on_cancel(self, break_off: Callable[[], object]) -> None:
        """Set how to break off what is waited for; done at once if this is cancelled already."""
        with self._lock:
            self._break_off = break_off
            if self._cancelled:
                break_off()


class Backend(Protocol):
    """Where answers come from."""

    def stream(
        self, model: Model, messages: list[Message], system: str, cancellation: Cancellation
    ) -> Events:
        """Yield thoughts and text as they arrive, then a Finish, unless it is cancelled.

        Raises ModelError.
        """
        ...
