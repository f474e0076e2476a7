"""The stack's parameters and tags: those in infra/, and those that only a deployment knows."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from deployment import models
from deployment.account import Account, AwsError, sentence
from deployment.models import ModelsError
from deployment.project import MODELS, TAGS, parameters_of, shown
from deployment.stacks import Stack
from deployment.vpc_origins import REGIONS, UNREACHABLE_ZONES

FOUND = (  # by the deployment
    "CloudFrontPrefixListId",
    "EarlierImages",
    "ImageUri",
    "ModelsBehind",
    "ModelsNamed",
    "ZoneA",
    "ZoneB",
)
NEEDED = (  # from the team, as they have no default
    "AllowedCidr",
    "LoadBalancerSubnetA",
    "LoadBalancerSubnetB",
    "OidcClientId",
    "OidcClientSecretArn",
    "OidcMetadataUrl",
    "TaskSubnetA",
    "TaskSubnetB",
    "VpcId",
)
_GO_BACK = 10  # how many images
_LARGEST = 51_200  # bytes of a template


class ListError(Exception):
    """What is wrong with a list in infra/."""


def read_parameters(environment: str) -> dict[str, str]:
    """Read infra/parameters.json, and what differs in the environment. Raises ListError."""
    return read_own_parameters("") | read_own_parameters(environment)


def read_own_parameters(environment: str) -> dict[str, str]:
    """Read what differs in the environment; for "", what all have. Raises ListError."""
    return _read(parameters_of(environment), "ParameterKey", "ParameterValue")


def file_of(name: str, environment: str) -> str:
    """Return the file in which an environment has a parameter, or else may have it.

    Raises ListError.
    """
    is_shared = name in read_own_parameters("") and name not in read_own_parameters(environment)
    return shown(parameters_of("" if is_shared else environment))


def read_tags() -> dict[str, str]:
    """Read infra/tags.json. Raises ListError."""
    return _read(TAGS, "Key", "Value")


def as_parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return parameters as CloudFormation takes them."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def as_tags(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as CloudFormation takes them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def _read(file: Path, key: str, value: str) -> dict[str, str]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ListError(f"{shown(file)} is not a list that AWS can read: {error}") from error
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict) or {key, value} != set(entry):
            raise ListError(
                f'{shown(file)} is not a list that AWS can read: it needs entries like {{ "{key}":'
                f' "…", "{value}": "…" }}, and has {json.dumps(entry, ensure_ascii=False)}'
            )
        if not isinstance(entry[key], str) or not isinstance(entry[value], str):
            raise ListError(
                f"{shown(file)} is not a list that AWS can read: the values must be in quotation"
                f" marks, unlike {json.dumps(entry, ensure_ascii=False)}"
            )
        if entry[key] in found:
            raise ListError(f"{shown(file)} has {entry[key]} twice")
        found[entry[key]] = entry[value]
    if not isinstance(entries, list):
        raise ListError(f"{shown(file)} is not a list that AWS can read: it must begin with [")
    return found


def check_size(file: Path) -> list[str]:
    """Return what is wrong with the size of a template, which CloudFormation gets as it is."""
    size = file.stat().st_size
    if size <= _LARGEST:
        return []
    return [
        f"{shown(file)} has {size} bytes, and CloudFormation takes {_LARGEST}: shorten comments and"
        " descriptions, or move resources to a stack of their own"
    ]


def earlier_images(stack: Stack, tag: str) -> str:
    """Return the tags of the images that ran in the stack before this one, the newest first.

    The result is for the parameter EarlierImages, in which commas separate them. CloudFormation
    takes it back together with the image when a change fails, so the list has only what has run.

    tag: of the image that the stack gets, or of the one that it has.
    """
    earlier = list(filter(None, stack.parameters.get("EarlierImages", "").split(",")))
    running = stack.parameters.get("ImageUri", "").rpartition(":")[2]
    if tag in earlier:
        earlier = earlier[earlier.index(tag) + 1 :]
    elif running not in ("", tag):
        earlier.insert(0, running)
    return ",".join(earlier[:_GO_BACK])


def find_values(
    account: Account,
    taken: Collection[str],
    stack: Stack,
    boundary_arn: str,
    lacks: list[str],
) -> dict[str, str]:
    """Find the values of the parameters that the template takes and no person can know.

    taken: the names of the template's parameters.
    boundary_arn: the permissions boundary for the roles, or "" for the one that they have.
    What can't be found is added to `lacks`.
    """
    found: dict[str, str] = {}
    if "CloudFrontPrefixListId" in taken:
        name = "com.amazonaws.global.cloudfront.origin-facing"
        filters = [{"Name": "prefix-list-name", "Values": [name]}]
        lists = account.client("ec2").describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
        if lists:
            found["CloudFrontPrefixListId"] = lists[0]["PrefixListId"]
        else:
            lacks.append(f"CloudFront publishes no list of its addresses in {account.region}")
        if account.region not in REGIONS and not stack.was_completed:
            lacks.append(
                f"CloudFront reaches no private load balancer in {account.region}: make the project"
                " again in another region, or without CloudFront. If AWS offers VPC origins there"
                " by now, add the region to deployment/vpc_origins.py"
            )
    if "ModelsNamed" in taken:
        found |= _find_models(account, lacks)
    if "ZoneA" in taken:
        found |= _choose_zones(account, stack, lacks)
    if "PermissionsBoundary" in taken:
        # Whoever deploys next, the roles keep it.
        kept = stack.parameters.get("PermissionsBoundary", "")
        found["PermissionsBoundary"] = boundary_arn or kept
    return found


def _find_models(account: Account, lacks: list[str]) -> dict[str, str]:
    def ask_profile(arn: str) -> list[str]:
        details = account.client("bedrock").get_inference_profile(inferenceProfileIdentifier=arn)
        return [each["modelArn"] for each in details["models"]]

    try:
        ids = [each.id for each in models.read_models(MODELS)]
        found = models.permit(ids, account.region, account.id, ask_profile)
    except ModelsError as error:
        lacks.append(str(error))
        return {}
    except AwsError as error:
        lacks.append(f"{shown(MODELS)} has a profile that AWS does not know: {sentence(error)}")
        return {}
    return {"ModelsNamed": ",".join(found.named), "ModelsBehind": ",".join(found.behind)}


def _choose_zones(account: Account, stack: Stack, lacks: list[str]) -> dict[str, str]:
    """Keep the zones of the stack's subnets, which others would replace; else choose two."""
    names = ("ZoneA", "ZoneB")
    if all(name in stack.parameters for name in names):
        return {name: stack.parameters[name] for name in names}
    filters = [
        {"Name": "zone-type", "Values": ["availability-zone"]},
        {"Name": "state", "Values": ["available"]},
    ]
    answer: dict[str, Any] = account.client("ec2").describe_availability_zones(Filters=filters)
    zones = sorted(
        zone["ZoneName"]
        for zone in answer["AvailabilityZones"]
        if zone["ZoneId"] not in UNREACHABLE_ZONES
    )
    if len(zones) < 2:
        lacks.append(
            f"{account.region} has fewer than two Availability Zones that the chatbot can use"
        )
    return dict(zip(names, zones, strict=False))
