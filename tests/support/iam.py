"""What IAM decides: whether policies allow an action on a resource, in a context of condition keys.

IAM asks once for each resource of a call, and a call needs a yes for all of them.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from support.cloudformation import listed

Context = Mapping[str, str | list[str]]

NOTHING: Context = {}


def allows(
    statements: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Context = NOTHING,
) -> bool:
    """Tell whether the statements allow it, and none of them denies it."""
    effects = {
        each["Effect"]
        for each in statements
        if any(matches(one, action) for one in listed(each["Action"]))
        and any(matches(one, resource) for one in listed(each["Resource"]))
        and _meets(each.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def matches(pattern: str, value: str) -> bool:
    """Tell whether a value fits a pattern, in which only * and ? mean something."""
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _meets(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _holds(operator, listed(expected), listed(context.get(key, [])))
        for operator, keys in condition.items()
        for key, expected in keys.items()
    )


def _holds(operator: str, expected: list[str], found: list[str]) -> bool:
    if operator == "Null":
        return (not found) is (expected == ["true"])
    if operator.endswith("IfExists") and not found:
        return True
    compare = {
        "StringEquals": str.__eq__,
        "StringLike": matches,
        "ArnLike": matches,
    }[operator.removesuffix("IfExists").removeprefix("ForAnyValue:")]
    return any(compare(pattern, value) for pattern in expected for value in found)
