"""Which models the tasks may call: those in models.toml, and what is behind their profiles."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# The regions to which a profile of a geography sends requests, by how its ID begins.
# AWS: "Supported Regions and models for inference profiles", November 2026.
_REGIONS = {
    "apac": "ap-*",
    "au": "ap-southeast-*",
    "ca": "ca-*",
    "eu": "eu-*",
    "global": "",
    "jp": "ap-northeast-*",
    "us": "us-*",
}


class ModelsError(Exception):
    """What is wrong with models.toml."""


@dataclass(frozen=True)
class Permitted:
    """What the tasks may call, by ARN.

    named: what they name in their requests: inference profiles and models.
    behind: the models that the profiles choose from, which they may call only through these.
    """

    named: list[str]
    behind: list[str]


@dataclass(frozen=True)
class Offer:
    """A model that staff can choose, and how the chatbot asks it.

    prompt_cache: whether it is told to keep what it was sent.
    guardrail: whether the deployment's guardrail, if there is one, watches over it.
    """

    id: str
    prompt_cache: bool
    guardrail: bool


def read_models(file: Path) -> list[Offer]:
    """Return the models that staff can choose from. Raises ModelsError."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelsError(f"{file.name} can't be read: {error}") from error
    found = []
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("id"), str):
            raise ModelsError(f"{file.name} must have a table with an id in place of {name}")
        offer = Offer(
            table["id"], table.get("prompt_cache") is True, table.get("guardrail") is not False
        )
        found.append(offer)
    if not found:
        raise ModelsError(f"{file.name} offers no model; it needs at least one table")
    return list(dict.fromkeys(found))


def model_of(id_: str) -> str:
    """Return the ID of the model behind an ID in models.toml; "" if only AWS knows it."""
    geography, _, model = id_.partition(".")
    return "" if id_.startswith("arn:") else model if geography in _REGIONS else id_


def permit(
    ids: list[str], region: str, account: str, ask_profile: Callable[[str], list[str]]
) -> Permitted:
    """Return what tasks in a region of an account may call, so that these models can answer.

    ask_profile: returns the ARNs of the models behind a profile that is named by its ARN.
    """
    named: list[str] = []
    behind: list[str] = []
    for each in ids:
        geography, _, model = each.partition(".")
        if each.startswith("arn:"):
            named.append(each)
            if "inference-profile/" in each:
                behind += ask_profile(each)
        elif geography in _REGIONS:
            named.append(f"arn:aws:bedrock:{region}:{account}:inference-profile/{each}")
            places = dict.fromkeys([region, _REGIONS[geography]])
            behind += [f"arn:aws:bedrock:{place}::foundation-model/{model}" for place in places]
        else:
            named.append(f"arn:aws:bedrock:{region}::foundation-model/{each}")
    # IAM takes no statement without a resource.
    return Permitted(named, list(dict.fromkeys(behind)) or named)
