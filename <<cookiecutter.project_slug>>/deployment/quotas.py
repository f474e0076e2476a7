"""The account's quotas, as far as they stop a first deployment."""

import math
import re
from collections.abc import Mapping

from botocore.exceptions import ClientError

from deployment.account import Account

VPCS = ("vpc", "L-F678F1CE")
FARGATE_VCPUS = ("fargate", "L-3032A538")


def check_quotas(account: Account, given: Mapping[str, str], *, makes_vpc: bool) -> list[str]:
    """Return which quotas a stack that does not exist yet would exceed.

    given: the team's parameters.
    """
    lacks = []
    if makes_vpc:
        allowed = _quota(account, *VPCS)
        used = len(account.find("ec2", "describe_vpcs", "Vpcs"))
        if used + 1 > allowed:
            lacks.append(
                f"{account.region} has {used} VPCs, and the account may have {allowed:.0f}: delete"
                " one, ask for more under Service Quotas, or deploy into an existing VPC"
            )
    allowed = _quota(account, *FARGATE_VCPUS)
    tasks = _first_number(given.get("MaxTasks") or given.get("Tasks"), 2)
    units = _first_number(given.get("TaskSize"), 256)  # of CPU; 1024 are a vCPU
    needed = 2 * tasks * units / 1024  # a rollout runs twice as many for a while
    if needed > allowed:
        lacks.append(
            f"The tasks need up to {needed:g} vCPUs, and the account may use {allowed:g} on Fargate"
            " in this region: ask for more under Service Quotas (Fargate On-Demand vCPU)"
        )
    return lacks


def _first_number(text: str | None, otherwise: int) -> int:
    """Return the number with which a parameter begins; what else it is, CloudFormation refuses."""
    found = re.match("[0-9]+", text or "")
    return int(found[0]) if found else otherwise


def _quota(account: Account, service: str, code: str) -> float:
    """Return the account's quota; without limit if AWS does not say."""
    client = account.client("service-quotas")
    try:
        found = client.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError:
        return math.inf
    return float(found["Quota"]["Value"])
