"""What other services of AWS leave in the stack's network, so that it can't be deleted.

GuardDuty puts an endpoint and a security group into each network it watches, and CloudFront a
security group; neither takes them away. Public reports: hashicorp/terraform-provider-aws#46747.
"""

import time
from typing import Any

from botocore.exceptions import ClientError

from deployment.account import Account, sentence
from deployment.console import say

_GROUPS = ("CloudFront-VPCOrigins-Service-SG", "GuardDutyManagedSecurityGroup-*")


def remove_leftovers(account: Account, vpc: str, poll_seconds: float) -> bool:
    """Remove what is known to be left; return whether there was any."""
    ec2 = account.client("ec2")
    endpoints = _endpoints(account, vpc)
    if endpoints:
        say(f"Removing what GuardDuty left in the network: {', '.join(endpoints)}")
        refused = ec2.delete_vpc_endpoints(VpcEndpointIds=endpoints).get("Unsuccessful", ())
        for each in refused:
            say(f"AWS does not delete {each['ResourceId']}: {each['Error']['Message']}")
        going = set(endpoints).difference(each["ResourceId"] for each in refused)
        while going.intersection(_endpoints(account, vpc)):
            time.sleep(poll_seconds)
    groups = _find(account, "security_groups", vpc, ("group-name", _GROUPS))
    for group in groups:
        say(f"Removing the security group {group['GroupName']}, {group['GroupId']}")
        try:
            ec2.delete_security_group(GroupId=group["GroupId"])
        except ClientError as error:
            say(f"AWS still uses it: {sentence(error)}")
    return bool(endpoints or groups)


def describe_leftovers(account: Account, vpc: str) -> str:
    """Return what is in the network, a line each, for a person to remove."""
    groups = _find(account, "security_groups", vpc)
    lines = [
        *(f"endpoint {each['VpcEndpointId']}" for each in _find(account, "vpc_endpoints", vpc)),
        *(
            f"network interface {each['NetworkInterfaceId']}: {each.get('Description') or '-'}"
            for each in _find(account, "network_interfaces", vpc)
        ),
        *(
            f"security group {each['GroupId']}: {each['GroupName']}"
            for each in groups
            if each["GroupName"] != "default"
        ),
    ]
    return "".join(f"\n  {line}" for line in lines)


def _endpoints(account: Account, vpc: str) -> list[str]:
    managed = ("tag:GuardDutyManaged", ("true",))
    found = _find(account, "vpc_endpoints", vpc, managed)
    return [each["VpcEndpointId"] for each in found if each["State"] != "deleted"]


def _find(
    account: Account, what: str, vpc: str, *more: tuple[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    filters = [{"Name": name, "Values": list(values)} for name, values in more]
    filters.append({"Name": "vpc-id", "Values": [vpc]})
    key = "".join(word.capitalize() for word in what.split("_"))
    return account.find("ec2", f"describe_{what}", key, Filters=filters)
