"""What CloudFormation makes of a template and parameters: which resources, with which properties.

It refuses parameters as CloudFormation does, decides conditions, and leaves what only AWS knows as
it is written in `Fn::Sub`: a reference to a resource becomes "${Name}" or "${Name.Attribute}".
(cloud-radar 0.17 downloads a list of regions for `Fn::GetAZs`, leaves an empty text in a list for
`AWS::NoValue` and knows no Rules.)
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

ACCOUNT = "111122223333"
NO_VALUE = object()
VARIABLE = re.compile(r"\$\{([\w:.]+)\}")


class RefusedError(Exception):
    """CloudFormation would not begin, and says why."""


def listed(value: Any) -> list[Any]:
    """Return a list; where a template allows one value instead of a list, it becomes a list."""
    return value if isinstance(value, list) else [value]


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield everything within a value, with the keys that lead to it."""
    yield path, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from walk(each, (*path, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from walk(each, (*path, "*"))


@dataclass
class Stack:
    """The stack that CloudFormation would make."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    region: str
    name: str
    conditions: dict[str, bool] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    waits_for: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._referred: set[str] = set()
        for name, condition in self.template.get("Conditions", {}).items():
            self.conditions[name] = self.resolve(condition)
        made = {
            name: body
            for name, body in self.template["Resources"].items()
            if "Condition" not in body or self.conditions[body["Condition"]]
        }
        self._made = set(made)
        for name, body in made.items():
            self._referred = set(listed(body.get("DependsOn", [])))
            self.resolve(body.get("Metadata", {}))  # CloudFormation waits for what is in it, too
            self.resources[name] = body | {"Properties": self.resolve(body.get("Properties", {}))}
            self.waits_for[name] = self._referred & self._made
        for name, body in self.template.get("Outputs", {}).items():
            self.outputs[name] = self.resolve(body["Value"])

    def __repr__(self) -> str:
        return f"<stack with {dict(self.parameters)}>"

    @property
    def id(self) -> str:
        """An ARN with a UUID, which is another one for each name."""
        stack = f"{self.name}/{uuid5(NAMESPACE_DNS, self.name)}"
        return f"arn:aws:cloudformation:{self.region}:{ACCOUNT}:stack/{stack}"

    def __getitem__(self, name: str) -> Any:
        """Return the properties of a resource."""
        return self.resources[name]["Properties"]

    def of(self, kind: str) -> dict[str, Any]:
        """Return the properties of all resources of a type, such as "EC2::Subnet", by name."""
        return {
            name: body["Properties"]
            for name, body in self.resources.items()
            if body["Type"] == f"AWS::{kind}"
        }

    def before(self, name: str) -> set[str]:
        """Return all that is there before a resource is made."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            new = self.waits_for[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            items = (self.resolve(each) for each in value)
            return [each for each in items if each is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self.call(name.removeprefix("Fn::"), argument)
        pairs = ((key, self.resolve(each)) for key, each in value.items())
        return {key: each for key, each in pairs if each is not NO_VALUE}

    def call(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return self.variable(argument)
        if name == "GetAtt":
            return self.variable(".".join(argument))
        if name == "Sub":
            text, given = argument if isinstance(argument, list) else (argument, {})
            own = self.resolve(given)
            return VARIABLE.sub(
                lambda found: str(own[found[1]] if found[1] in own else self.variable(found[1])),
                text,
            )
        if name == "If":
            condition, yes, no = argument
            return self.resolve(yes if self.conditions[condition] else no)
        values = self.resolve(argument)
        if name == "Equals":
            return str(values[0]) == str(values[1])
        if name == "Not":
            return not values[0]
        if name == "Split":
            return values[1].split(values[0])
        if name == "Select":
            return values[1][int(values[0])]
        if name == "Cidr":
            network, count, bits = values
            parts = ipaddress.ip_network(network).subnets(new_prefix=32 - int(bits))
            return [str(part) for part, _ in zip(parts, range(int(count)), strict=False)]
        raise NotImplementedError(name)

    def variable(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackId": self.id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            value = self.parameters[name]
            declared = self.template.get("Parameters", {}).get(name, {})
            return value.split(",") if declared.get("Type") == "CommaDelimitedList" else value
        resource = name.split(".")[0]
        assert resource in self._made, f"{name} is referred to, and not made: {self.parameters}"
        self._referred.add(resource)
        return f"${{{name}}}"


def create(
    template: Mapping[str, Any],
    given: Mapping[str, str],
    region: str = "us-east-1",
    name: str = "team-chatbot",
) -> Stack:
    """Make the stack, or raise RefusedError."""
    return Stack(template, check_parameters(template, given, region, name), region, name)


def check_parameters(
    template: Mapping[str, Any], given: Mapping[str, str], region: str, name: str
) -> dict[str, str]:
    """Return the values of all parameters, or raise RefusedError."""
    declared = template["Parameters"]
    if unknown := set(given) - set(declared):
        raise RefusedError(f"Parameters that do not exist: {sorted(unknown)}")
    values = {}
    for parameter, rules in declared.items():
        if parameter not in given and "Default" not in rules:
            raise RefusedError(f"{parameter} has no value")
        values[parameter] = str(given.get(parameter, rules.get("Default")))
        if not fits(values[parameter], rules):
            raise RefusedError(f"{parameter} {rules.get('ConstraintDescription', rules)}")
    stack = Stack({"Resources": {}}, values, region, name)  # enough to decide the rules
    for rule in template.get("Rules", {}).values():
        if stack.resolve(rule.get("RuleCondition", {"Fn::Equals": ["", ""]})):
            for assertion in rule["Assertions"]:
                if not stack.resolve(assertion["Assert"]):
                    raise RefusedError(assertion["AssertDescription"])
    return values


def fits(value: str, rules: Mapping[str, Any]) -> bool:
    """Tell whether a value keeps the rules of its parameter."""
    if "AllowedValues" in rules and value not in map(str, rules["AllowedValues"]):
        return False
    if "AllowedPattern" in rules and not re.fullmatch(rules["AllowedPattern"], value):
        return False
    if rules["Type"] == "Number":
        number = float(value)
        return (
            float(rules.get("MinValue", number)) <= number <= float(rules.get("MaxValue", number))
        )
    # An id that AWS looks up.
    return bool(value) or not rules["Type"].startswith("AWS::")
