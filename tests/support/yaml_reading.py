"""Reading YAML; CloudFormation's short forms, such as `!Ref`, are read as the long ones."""

from typing import Any

import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader of PyYAML, with the short forms."""


def long_form(loader: Any, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Loader.add_multi_constructor("!", long_form)


def read_yaml(text: str) -> Any:
    return yaml.load(text, Loader)  # noqa: S506  # a safe one


def kinds_of_tokens(text: str) -> set[type]:
    """Return the kinds of tokens that a text of YAML consists of."""
    return {type(token) for token in yaml.scan(text, Loader)}
