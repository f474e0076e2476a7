"""The team's own network, where the stack makes none: whether the chatbot can live in it."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from deployment.account import Account, sentence
from deployment.stacks import Stack
from deployment.vpc_origins import UNREACHABLE_ZONES

SUBNETS = ("LoadBalancerSubnetA", "LoadBalancerSubnetB", "TaskSubnetA", "TaskSubnetB")


def check_network(
    account: Account, given: Mapping[str, str], file: str, stack: Stack, *, with_cloudfront: bool
) -> list[str]:
    """Return what is wrong with the VPC and the subnets in the parameters.

    given: the parameters; all of the network's have a value.
    file: where they are.
    stack: the chatbot's, which may have its files in some of the subnets.
    """
    ec2 = account.client("ec2")
    try:
        subnets = ec2.describe_subnets(SubnetIds=sorted({given[name] for name in SUBNETS}))
        vpc = {
            name: ec2.describe_vpc_attribute(VpcId=given["VpcId"], Attribute=name)
            for name in ("enableDnsSupport", "enableDnsHostnames")
        }
    except ClientError as error:
        return [f"The network in {file} is not there: {sentence(error)}"]
    found = {each["SubnetId"]: each for each in subnets["Subnets"]}
    by_name = {name: found[given[name]] for name in SUBNETS}
    lacks = [
        f"{name}, {subnet['SubnetId']}, is not in the VPC {given['VpcId']}"
        for name, subnet in by_name.items()
        if subnet["VpcId"] != given["VpcId"]
    ]
    if lacks:
        return lacks
    lacks += _check_zones(by_name, stack, with_cloudfront)
    if stack.was_completed:
        lacks += _check_files(account, by_name, stack)
    for name, value in vpc.items():
        if not value[f"{name[0].upper()}{name[1:]}"]["Value"]:
            lacks.append(
                f"The VPC {given['VpcId']} has {name} off, so tasks would not find the files: turn"
                " it on"
            )
    if with_cloudfront and not account.find(
        "ec2",
        "describe_internet_gateways",
        "InternetGateways",
        Filters=[{"Name": "attachment.vpc-id", "Values": [given["VpcId"]]}],
    ):
        lacks.append(
            f"The VPC {given['VpcId']} has no internet gateway, which CloudFront requires: attach"
            " one; nothing needs a route to it"
        )
    return lacks + _check_routes(account, given, by_name, with_cloudfront)


def _check_zones(
    by_name: Mapping[str, Mapping[str, Any]], stack: Stack, with_cloudfront: bool
) -> list[str]:
    lacks = []
    for kind in ("LoadBalancerSubnet", "TaskSubnet"):
        one, other = by_name[f"{kind}A"], by_name[f"{kind}B"]
        if one["AvailabilityZoneId"] == other["AvailabilityZoneId"]:
            lacks.append(
                f"{kind}A and {kind}B are both in {one['AvailabilityZone']}: choose subnets in two"
                " Availability Zones"
            )
    for name in SUBNETS if with_cloudfront else SUBNETS[2:]:
        zone = by_name[name]["AvailabilityZoneId"]
        is_used = stack.was_completed and by_name[name]["SubnetId"] == stack.parameters.get(name)
        if zone in UNREACHABLE_ZONES and not is_used:
            for_tasks = name.startswith("Task")
            reason = "which has no Fargate" if for_tasks else "which CloudFront does not reach"
            lacks.append(
                f"{name} is in the Availability Zone {zone}, {reason}: choose a subnet in another"
                " one"
            )
    return lacks


def _check_files(
    account: Account, by_name: Mapping[str, Mapping[str, Any]], stack: Stack
) -> list[str]:
    """Refuse other subnets for the files in the zones where the stack has its files already.

    CloudFormation would make the new way to the files before it deletes the old one, and EFS allows
    one in each zone.
    """
    names = SUBNETS[2:]
    before = [stack.parameters[name] for name in names if name in stack.parameters]
    moved = [name for name in names if by_name[name]["SubnetId"] != stack.parameters.get(name)]
    if not before or not moved:
        return []
    subnets = account.find("ec2", "describe_subnets", "Subnets", SubnetIds=sorted(set(before)))
    taken = {each["AvailabilityZoneId"] for each in subnets}
    return [
        f"{name}, {by_name[name]['SubnetId']}, is in {by_name[name]['AvailabilityZone']}, where the"
        f" stack {stack.name} has its files in another subnet, which AWS can't change: put back"
        f" {stack.parameters.get(name, 'the one before')}, or choose a subnet in a third zone"
        for name in moved
        if by_name[name]["AvailabilityZoneId"] in taken
    ]


def _check_routes(
    account: Account,
    given: Mapping[str, str],
    by_name: Mapping[str, Mapping[str, Any]],
    with_cloudfront: bool,
) -> list[str]:
    """Check how the subnets reach the internet, without which tasks can't start."""
    filters = [{"Name": "vpc-id", "Values": [given["VpcId"]]}]
    tables = account.find("ec2", "describe_route_tables", "RouteTables", Filters=filters)
    public = given.get("TaskPublicAddress", "DISABLED") == "ENABLED"
    lacks = []
    for name, subnet in by_name.items():
        ways = _ways_out(tables, subnet["SubnetId"])
        through_gateway = any(way.startswith("igw-") for way in ways)
        if name.startswith("LoadBalancer"):
            if not with_cloudfront and not through_gateway:
                lacks.append(
                    f"{name}, {subnet['SubnetId']}, has no route to an internet gateway, so staff"
                    " would not reach the load balancer: choose a public subnet"
                )
        elif public and not through_gateway:
            lacks.append(
                f"{name}, {subnet['SubnetId']}, has no route to an internet gateway, which"
                " TaskPublicAddress ENABLED needs"
            )
        elif not public and through_gateway:
            lacks.append(
                f"{name}, {subnet['SubnetId']}, reaches the internet through an internet gateway,"
                " for which tasks need public addresses: set TaskPublicAddress to ENABLED"
            )
    return lacks


def _ways_out(tables: list[dict[str, Any]], subnet: str) -> list[str]:
    """Return the IDs of what the subnet's default routes lead to."""
    own = [
        table
        for table in tables
        if any(each.get("SubnetId") == subnet for each in table["Associations"])
    ]
    main = [table for table in tables if any(each.get("Main") for each in table["Associations"])]
    return [
        str(route.get("GatewayId", ""))
        for table in own or main
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole"
    ]
