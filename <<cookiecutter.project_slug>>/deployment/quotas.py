"""The account's quotas, as far as they stop a first deployment."""

import math

from botocore.exceptions import ClientError

from deployment.account import Account

VPCS = ("vpc", "L-F678F1CE")
FARGATE_VCPUS = ("fargate", "L-3032A538")


def check_quotas(account: Account, task_size: str, tasks: int, *, makes_vpc: bool) -> list[str]:
    """Return which quotas a stack that does not exist yet would exceed.

    task_size: CPU units and memory, such as "256/512".
    tasks: how many run at most; a rollout runs twice as many for a while.
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
    needed = 2 * tasks * int(task_size.partition("/")[0]) / 1024
    if needed > allowed:
        lacks.append(
            f"The tasks need up to {needed:g} vCPUs, and the account may use {allowed:g} on Fargate"
            " in this region: ask for more under Service Quotas (Fargate On-Demand vCPU)"
        )
    return lacks


def _quota(account: Account, service: str, code: str) -> float:
    """Return the account's quota; without limit if AWS does not say."""
    client = account.client("service-quotas")
    try:
        found = client.get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError:
        return math.inf
    return float(found["Quota"]["Value"])
