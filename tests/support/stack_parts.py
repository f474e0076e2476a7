"""Parts of a stack that several tests look at."""

from collections.abc import Iterator, Mapping
from typing import Any

from support.cloudformation import Stack, listed


def ingress_rules(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """Return what may enter, by the security group that lets it in."""
    found = {
        name: [without_description(rule) for rule in group.get("SecurityGroupIngress", [])]
        for name, group in stack.of("EC2::SecurityGroup").items()
    }
    for each in stack.of("EC2::SecurityGroupIngress").values():
        rule = without_description(each)
        found[rule.pop("GroupId").removeprefix("${").removesuffix(".GroupId}")].append(rule)
    return found


def without_description(rule: Mapping[str, Any]) -> dict[str, Any]:
    assert rule["Description"]
    return {key: value for key, value in rule.items() if key != "Description"}


def placement(stack: Stack) -> Any:
    """Return where the tasks run."""
    return stack["Service"]["NetworkConfiguration"]["AwsvpcConfiguration"]


def names_of(references: list[str]) -> list[str]:
    """Return what references such as "${Name}" refer to."""
    return [each.removeprefix("${").removesuffix("}") for each in references]


def container(stack: Stack) -> Any:
    """Return the definition of the only container of a task."""
    [one] = stack["TaskDefinition"]["ContainerDefinitions"]
    return one


def variables(stack: Stack) -> dict[str, str]:
    """Return the environment in which the application runs."""
    return {each["Name"]: each["Value"] for each in container(stack)["Environment"]}


def secrets(stack: Stack) -> list[dict[str, str]]:
    """Return the variables whose values ECS reads from Secrets Manager."""
    found: list[dict[str, str]] = container(stack)["Secrets"]
    return found


def statements(stack: Stack) -> Iterator[dict[str, Any]]:
    """Yield everything that is allowed to a role, with lists of actions and resources."""
    for role in stack.of("IAM::Role").values():
        assert "ManagedPolicyArns" not in role
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                assert not {"NotAction", "NotResource"} & set(statement)
                lists = {key: listed(statement[key]) for key in ("Action", "Resource")}
                yield statement | lists
    assert not stack.of("IAM::Policy") and not stack.of("IAM::ManagedPolicy")
