"""Metrics: one line in the log for each answer, from which CloudWatch makes its metrics.

The lines have CloudWatch's embedded metric format. They name no person and hold no text.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from chatbot.models import Model, count_tokens

NAMESPACE = "Chatbot"


@dataclass(frozen=True)
class Outcome:
    """How an answer went.

    state, code: how it ended, and why, as in records.End.
    seconds: from the question to the end.
    first_word: seconds until the model's first word; None if there was none.
    usage: tokens by kind, as the model reported them; it does not when it was stopped.
    """

    model: Model
    state: str
    code: str
    seconds: float
    first_word: float | None = None
    usage: dict[str, int] = field(default_factory=dict)


def to_line(outcome: Outcome, stack: str) -> str:
    """Return the line for the log.

    stack: tells this chatbot's metrics from those of others in the same account.

    The metrics are InputTokens, CachedTokens (how many of these came from the model's cache),
    OutputTokens, Cost (US dollars, if models.toml has the model's prices), FirstWord, Duration
    (both in seconds), and Failures (0 or 1). What is unknown is left out.
    """
    model = outcome.model
    values: dict[str, tuple[float | None, str]] = {
        "FirstWord": (outcome.first_word, "Seconds"),
        "Duration": (outcome.seconds, "Seconds"),
        "Failures": (int(outcome.state == "failed"), "Count"),
    }
    if tokens := count_tokens(outcome.usage):
        values["InputTokens"] = (tokens.sent, "Count")
        values["CachedTokens"] = (tokens.cached if model.prompt_cache else None, "Count")
        values["OutputTokens"] = (tokens.written, "Count")
        values["Cost"] = (model.cost(tokens), "None")
    known = {name: (value, unit) for name, (value, unit) in values.items() if value is not None}
    metrics = [{"Name": name, "Unit": unit} for name, (_value, unit) in known.items()]
    described = {"Namespace": NAMESPACE, "Dimensions": [["Stack", "Model"]], "Metrics": metrics}
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]},
        "Stack": stack,
        "Model": model.key,
        "State": outcome.state,
        "Code": outcome.code,
        **{name: round(value, 6) for name, (value, _unit) in known.items()},
    }
    return json.dumps(line)


def reporter(stack: str) -> Callable[[Outcome], None]:
    """Return what writes the lines to the log; without a stack, it writes nothing."""

    def report(outcome: Outcome) -> None:
        if stack:
            with suppress(OSError):  # a log that takes no more must not stop the answers
                print(f"{to_line(outcome, stack)}\n", end="", flush=True)

    return report
