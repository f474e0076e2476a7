"""Tasks reach AWS's services and their files, and all that they need is there before they start."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest

from support.cloudformation import Stack
from support.stack_parts import names_of, placement
from support.stacks import Infrastructure, RenderedStack


def way_out(stack: Stack, subnet: str) -> str | None:
    """Return where packets for the internet leave a subnet of the new VPC."""
    [table] = [
        each["RouteTableId"]
        for each in stack.of("EC2::SubnetRouteTableAssociation").values()
        if each["SubnetId"] == f"${{{subnet}}}"
    ]
    for route in stack.of("EC2::Route").values():
        if route["RouteTableId"] == table and route["DestinationCidrBlock"] == "0.0.0.0/0":
            return str(route["GatewayId"])
    return None


def test_in_a_new_vpc_tasks_reach_the_internet_and_the_rest_does_not(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if not stack.infrastructure.new_vpc:
            assert not stack.of("EC2::VPC") and not stack.of("EC2::Subnet")
            continue
        assert stack["InternetGatewayAttachment"] == {
            "VpcId": "${Vpc}",
            "InternetGatewayId": "${InternetGateway}",
        }
        assert stack["Vpc"]["EnableDnsSupport"] and stack["Vpc"]["EnableDnsHostnames"]  # for EFS
        if stack.parameters["PrivateTasks"] == "enabled":
            continue  # test_infrastructure_hardening.py
        assert placement(stack)["AssignPublicIp"] == "ENABLED"
        balancer = names_of(stack["LoadBalancer"]["Subnets"])
        public = {*names_of(placement(stack)["Subnets"])}
        public |= set() if stack.infrastructure.cloudfront else {*balancer}
        for name, subnet in stack.of("EC2::Subnet").items():
            assert subnet["VpcId"] == "${Vpc}"
            gateway = "${InternetGateway}" if name in public else None
            assert way_out(stack, name) == gateway
        mounted = {each["SubnetId"] for each in stack.of("EFS::MountTarget").values()}
        assert not public & {*names_of(sorted(mounted))}
        assert not stack.of("EC2::NatGateway")


def test_in_an_existing_vpc_the_team_says_how_tasks_reach_the_internet(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        if stack.infrastructure.new_vpc:
            continue
        given = stack.parameters
        assert placement(stack)["AssignPublicIp"] == given["TaskPublicAddress"]
        assert placement(stack)["Subnets"] == ["subnet-c", "subnet-d"]
        assert stack["LoadBalancer"]["Subnets"] == ["subnet-a", "subnet-b"]
        inside = [*stack.of("EC2::SecurityGroup").values(), stack["TargetGroup"]]
        assert {each["VpcId"] for each in inside} == {"vpc-1"}


def test_everything_is_in_two_zones(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        mounted = [each["SubnetId"] for each in stack.of("EFS::MountTarget").values()]
        for subnets in (mounted, stack["LoadBalancer"]["Subnets"], placement(stack)["Subnets"]):
            assert len(set(subnets)) == 2
            if stack.infrastructure.new_vpc:  # in those that deployment.sh has chosen
                zones = [stack[name]["AvailabilityZone"] for name in names_of(subnets)]
                assert zones == ["us-east-1a", "us-east-1b"]


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "172.31.4.0/22"])
def test_the_subnets_of_a_new_vpc_fit_and_do_not_overlap(
    structures: list[Infrastructure], cidr: str
) -> None:
    for each in structures:
        if each.new_vpc:
            subnets = each.create(VpcCidr=cidr).of("EC2::Subnet").values()
            networks = [IPv4Network(subnet["CidrBlock"]) for subnet in subnets]
            assert len(networks) == 4
            assert all(network.subnet_of(IPv4Network(cidr)) for network in networks)
            assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


def test_all_that_tasks_need_is_there_before_they_start(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        needed = {
            "AccessPoint",
            "CookieSecret",
            "ExecutionRole",
            "FilesFromTasks",
            "LogGroup",
            "MountTargetA",
            "MountTargetB",
            "ServerErrorsAlarm",
            "TaskRole",
            "TasksFromLoadBalancer",
            "UnhealthyTasksAlarm",
        }
        if stack.infrastructure.new_vpc:
            needed |= {"PublicRoute", "PublicSubnetARouteTable", "PublicSubnetBRouteTable"}
            needed |= {"InternetGatewayAttachment"}
        needed |= set(stack.of("ElasticLoadBalancingV2::Listener"))
        assert needed <= stack.before("Service")


def test_the_way_in_is_there_before_it_is_used(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if stack.infrastructure.new_vpc:
            first = "VpcOrigin" if stack.infrastructure.cloudfront else "LoadBalancer"
            assert "InternetGatewayAttachment" in stack.before(first)
        if stack.infrastructure.cloudfront:
            assert "Listener" in stack.before("VpcOrigin")
        elif stack.parameters["CertificateArn"]:
            assert "Listener" in stack.before("RedirectListener")  # which leads there
