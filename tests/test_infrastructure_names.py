"""Two stacks in one account have no name in common, because AWS makes the names."""

import re
from collections.abc import Mapping
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from support.cloudformation import Stack, walk
from support.stacks import Infrastructure

LOCAL = {  # names within a resource that has none of its own, and names of AWS's
    "AWS::ApplicationAutoScaling::ScalableTarget": {"ScheduledActionName"},
    "AWS::ApplicationAutoScaling::ScalingPolicy": {"PolicyName"},
    "AWS::CloudWatch::Alarm": {"MetricName", "Name"},
    "AWS::ECS::Cluster": {"Name"},
    "AWS::ECS::Service": {"ContainerName"},
    "AWS::ECS::TaskDefinition": {"Name", "OperatingSystemFamily"},
    "AWS::CloudFront::Distribution": {"DomainName"},
    "AWS::Cognito::UserPool": {"Name"},
    "AWS::IAM::Role": {"PolicyName"},
    "AWS::Route53::RecordSet": {"Name"},  # the team's own domain name
}


# What is identified by names beside the ID of something else: a service, a zone.
OWN_NAMES = ("AWS::ApplicationAutoScaling::", "AWS::Route53::RecordSet")


def test_two_stacks_in_one_account_have_no_name_in_common(structures: list[Infrastructure]) -> None:
    for each in structures:
        if not each.is_default("cpu_architecture"):
            continue
        sparse, *_, rich = each.stacks()
        for stack in (sparse, rich):
            one = names_in(each.create(name="one", **stack.parameters))
            same = one & names_in(each.create(name="other", **stack.parameters))
            assert not {name for kind, key, name in same if key not in LOCAL.get(kind, set())}
            assert ("AWS::ECS::TaskDefinition", "Family", "one") in one


def names_in(stack: Stack) -> set[tuple[str, str, str]]:
    """Return all names that are not made by AWS, with the type and key that they are for."""
    return {
        (body["Type"], path[-1], str(value))
        for body in stack.resources.values()
        for path, value in walk(body["Properties"])
        if path and re.search(r"(Name|Family|Identifier|Alias)$", path[-1])
        if "${" not in str(value)
    }


def test_what_identifies_a_resource_is_made_by_aws(structures: list[Infrastructure]) -> None:
    """No name is written down, whatever the property is called; the schemas tell which it is."""
    for each in structures:
        for body in each.template["Resources"].values():
            schema = schema_of(body)
            identifiers = {*schema["primaryIdentifier"]}
            identifiers |= {key for keys in schema.get("additionalIdentifiers", []) for key in keys}
            for key in identifiers:
                value = body.get("Properties", {}).get(key.removeprefix("/properties/"))
                named = isinstance(value, str)
                assert not named or body["Type"].startswith(OWN_NAMES), key


def test_nothing_is_set_that_only_aws_sets(structures: list[Infrastructure]) -> None:
    for each in structures:
        for body in each.template["Resources"].values():
            properties = {f"/properties/{name}" for name in body.get("Properties", {})}
            assert not properties & {*schema_of(body).get("readOnlyProperties", [])}


def schema_of(resource: Mapping[str, Any]) -> Any:
    """Return what AWS says of a resource's type."""
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
