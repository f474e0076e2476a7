"""The template's options: their defaults, their values, and combinations of these."""

import json
from collections.abc import Iterator
from itertools import cycle, product
from typing import Any

from support.paths import ROOT

CONTEXT = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
PROMPTS = {name: value for name, value in CONTEXT.items() if not name.startswith("_")}
DEFAULTS = {
    name: value[0] if isinstance(value, list) else value for name, value in PROMPTS.items()
} | {"project_slug": "team-chatbot"}  # which cookiecutter makes from the name

MODELS: tuple[str, ...] = tuple(PROMPTS["models"])
NETWORKS: tuple[str, ...] = tuple(PROMPTS["network"])
SIGN_INS: tuple[str, ...] = tuple(PROMPTS["sign_in"])
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1")  # one of each geography
VALUES: dict[str, tuple[Any, ...]] = {
    "license": tuple(PROMPTS["license"]),
    "aws_region": REGIONS,
    "models": MODELS,
    "network": NETWORKS,
    "use_cloudfront": (True, False),
    "sign_in": SIGN_INS,
    "use_autoscaling": (True, False),
    "cpu_architecture": tuple(PROMPTS["cpu_architecture"]),
    "ci": tuple(PROMPTS["ci"]),
}
# What decides which resources there are, and with which properties.
STRUCTURE = ("network", "use_cloudfront", "use_autoscaling", "cpu_architecture", "sign_in")
NOTHING_BY_DEFAULT = {  # of what changes the files for AWS
    "network": "existing VPC",
    "use_cloudfront": False,
    "sign_in": "none",
    "use_autoscaling": False,
    "cpu_architecture": "x86-64",
    "models": "both",
    "aws_region": "eu-central-1",
}


def combine(*names: str) -> Iterator[dict[str, Any]]:
    """Yield every combination of the values of these options."""
    for values in product(*(VALUES[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def combine_all() -> Iterator[dict[str, Any]]:
    """Yield every combination of the options that change what is rendered.

    The license, the CI and how people sign in are combined with each other, and take turns beside
    the others: within each structure, every way to sign in meets every CI, model and region.
    """
    structure = [name for name in STRUCTURE if name != "sign_in"]
    turns = cycle(combine("license", "ci", "sign_in"))
    for options in combine(*structure, "models", "aws_region"):
        yield options | next(turns)
