"""What AWS is told to make: reachable by the intended way only, whole, private, and able to last.

The templates are rendered in every combination of options, and what CloudFormation would make of
each is looked at with every combination of the parameters that change its structure.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any
from unicodedata import category

import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from cloudformation import ACCOUNT, RefusedError, Stack, create, parse, walk
from conftest import TEMPLATE, Bake
from hypothesis import given, settings
from hypothesis import strategies as st
from infrastructure import CERTIFICATE, ENCRYPTED, IMAGE, NETWORKS, Renderer, Rendering

from hooks.options import tag

BY_THE_SCRIPT = {"ImageUri", "CloudFrontPrefixListId"}  # deployment.sh passes these
FARGATE = {  # CPU units: MiB, as AWS documents them
    256: {512, 1024, 2048},
    512: {*range(1024, 4097, 1024)},
    1024: {*range(2048, 8193, 1024)},
    2048: {*range(4096, 16385, 1024)},
    4096: {*range(8192, 30721, 1024)},
}
LOCAL = {  # names within a resource that has none of its own, and names of AWS's
    "AWS::ApplicationAutoScaling::ScalableTarget": {"ScheduledActionName"},
    "AWS::ApplicationAutoScaling::ScalingPolicy": {"PolicyName"},
    "AWS::CloudWatch::Alarm": {"MetricName", "Name"},
    "AWS::ECS::Cluster": {"Name"},
    "AWS::ECS::Service": {"ContainerName"},
    "AWS::ECS::TaskDefinition": {"Name", "OperatingSystemFamily"},
    "AWS::CloudFront::Distribution": {"DomainName"},
    "AWS::IAM::Role": {"PolicyName"},
}
BODY_LIMIT = 51_200  # bytes, of a template that is not first put into S3

Scanner = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Case:
    """A stack, and the rendering that it was made from."""

    rendering: Rendering
    stack: Stack


@pytest.fixture(scope="session")
def cases(structures: list[Rendering]) -> list[Case]:
    """Every structure with every combination of parameters."""
    assert len(structures) == 16
    return [Case(each, stack) for each in structures for stack in each.stacks()]


def test_the_files_are_rendered_here_as_cookiecutter_renders_them(
    bake: Bake, render: Renderer
) -> None:
    other = {"network": NETWORKS[1], "use_cloudfront": False, "use_autoscaling": False}
    for options in ({}, other | {"models": "both", "aws_region": "eu-central-1"}):
        project = bake(**options)
        for name, content in render(**options).files.items():
            assert project.read(name) == content


# Reachable by the intended way, and by no other.


def entering(stack: Stack) -> dict[str, list[dict[str, Any]]]:
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


def tcp(port: int, **source: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def test_with_cloudfront_only_cloudfront_reaches_the_load_balancer(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        if not case.rendering.cloudfront:
            assert not stack.of("CloudFront::Distribution")
            continue
        assert stack["LoadBalancer"]["Scheme"] == "internal"
        assert entering(stack)["LoadBalancerSecurityGroup"] == [
            tcp(80, SourcePrefixListId="pl-3b927c52")
        ]
        [listener] = stack.of("ElasticLoadBalancingV2::Listener").values()
        assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
        assert actions(listener) == ["forward"]


def test_cloudfront_passes_everything_on_by_https_and_keeps_nothing(cases: list[Case]) -> None:
    for case in cases:
        if not case.rendering.cloudfront:
            continue
        stack = case.stack
        distribution = stack["Distribution"]["DistributionConfig"]
        [origin] = distribution["Origins"]
        assert origin["DomainName"] == "${LoadBalancer.DNSName}"
        assert origin["VpcOriginConfig"]["VpcOriginId"] == "${VpcOrigin.Id}"
        endpoint = stack["VpcOrigin"]["VpcOriginEndpointConfig"]
        assert endpoint["Arn"] == "${LoadBalancer}"
        assert (endpoint["OriginProtocolPolicy"], endpoint["HTTPPort"]) == ("http-only", 80)
        assert "CacheBehaviors" not in distribution
        behavior = distribution["DefaultCacheBehavior"]
        assert behavior["TargetOriginId"] == origin["Id"]
        assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        assert {"GET", "HEAD", "POST", "PUT", "DELETE"} <= set(behavior["AllowedMethods"])
        # AWS's own policies CachingDisabled and AllViewer, which passes Host on.
        assert behavior["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert behavior["OriginRequestPolicyId"] == "216adef6-5c7f-47e4-b989-5492eafa07d3"
        named = stack.parameters["DomainName"]
        assert distribution.get("Aliases") == ([named] if named else None)
        certificate = {
            "AcmCertificateArn": CERTIFICATE,
            "MinimumProtocolVersion": "TLSv1.2_2021",
            "SslSupportMethod": "sni-only",
        }
        assert distribution.get("ViewerCertificate") == (certificate if named else None)


def test_without_cloudfront_only_the_networks_named_reach_the_load_balancer(
    cases: list[Case],
) -> None:
    for case in cases:
        stack = case.stack
        if case.rendering.cloudfront:
            continue
        assert stack["LoadBalancer"]["Scheme"] == "internet-facing"
        names = ("AllowedCidr", "AllowedCidr2", "AllowedCidr3")
        networks = [stack.parameters[name] for name in names if stack.parameters[name]]
        ports = [80, 443] if stack.parameters["CertificateArn"] else [80]
        allowed = [tcp(port, CidrIp=network) for network in networks for port in ports]
        assert entering(stack)["LoadBalancerSecurityGroup"] == allowed


def test_with_a_certificate_http_only_redirects_and_https_leads_to_the_tasks(
    cases: list[Case],
) -> None:
    for case in cases:
        if case.rendering.cloudfront:
            continue
        listeners = case.stack.of("ElasticLoadBalancingV2::Listener").values()
        told = {(each["Port"], each["Protocol"]): actions(each) for each in listeners}
        assert len(told) == len(listeners)
        if case.stack.parameters["CertificateArn"]:
            assert told == {(443, "HTTPS"): ["forward"], (80, "HTTP"): ["redirect"]}
            [redirect] = case.stack["RedirectListener"]["DefaultActions"]
            assert redirect["RedirectConfig"]["Protocol"] == "HTTPS"
            assert redirect["RedirectConfig"]["Port"] == "443"
            secure = case.stack["Listener"]
            assert secure["Certificates"] == [{"CertificateArn": CERTIFICATE}]
            assert "TLS13-1-2" in secure["SslPolicy"]
        else:
            assert told == {(80, "HTTP"): ["forward"]}
            assert not {"Certificates", "SslPolicy"} & set(case.stack["Listener"])


def actions(listener: Mapping[str, Any]) -> list[str]:
    for action in listener["DefaultActions"]:
        assert action.get("TargetGroupArn", "${TargetGroup}") == "${TargetGroup}"
    return [action["Type"] for action in listener["DefaultActions"]]


@pytest.mark.parametrize("name", ["AllowedCidr", "AllowedCidr2", "AllowedCidr3"])
def test_the_whole_internet_is_let_in_only_with_a_certificate(
    structures: list[Rendering], name: str
) -> None:
    for each in structures:
        if each.cloudfront:
            assert name not in each.template["Parameters"]
            continue
        with pytest.raises(RefusedError, match=f"certificate, {name} must name a network"):
            each.create(**{name: "0.0.0.0/0"})
        assert each.create(**{name: "0.0.0.0/0"}, **ENCRYPTED)
        # The same by other names, or half of it.
        for spelling in ("203.0.113.5/0", "0.0.0.0/00", "0.0.0.0/1", "128.0.0.0/1", "1.2.3.4/33"):
            for more in ({}, ENCRYPTED):
                with pytest.raises(RefusedError):
                    each.create(**{name: spelling}, **more)


def test_a_domain_name_and_its_certificate_go_together(structures: list[Rendering]) -> None:
    for each in structures:
        with pytest.raises(RefusedError, match="DomainName needs CertificateArn"):
            each.create(DomainName="chat.example.com")
        with pytest.raises(RefusedError, match="CertificateArn needs DomainName"):
            each.create(CertificateArn=CERTIFICATE)
        if each.cloudfront:
            with pytest.raises(RefusedError, match="us-east-1"):
                elsewhere = CERTIFICATE.replace("us-east-1", "eu-central-1")
                each.create(DomainName="chat.example.com", CertificateArn=elsewhere)


def test_tasks_are_reached_by_the_load_balancer_only_and_files_by_the_tasks_only(
    cases: list[Case],
) -> None:
    for case in cases:
        stack = case.stack
        rules = entering(stack)
        assert set(rules) == {
            "LoadBalancerSecurityGroup",  # see above
            "TaskSecurityGroup",
            "FileSecurityGroup",
        }
        assert rules["TaskSecurityGroup"] == [
            tcp(8501, SourceSecurityGroupId="${LoadBalancerSecurityGroup.GroupId}")
        ]
        assert rules["FileSecurityGroup"] == [
            tcp(2049, SourceSecurityGroupId="${TaskSecurityGroup.GroupId}")
        ]
        assert stack["LoadBalancer"]["SecurityGroups"] == ["${LoadBalancerSecurityGroup.GroupId}"]
        assert placement(stack)["SecurityGroups"] == ["${TaskSecurityGroup.GroupId}"]
        for target in stack.of("EFS::MountTarget").values():
            assert target["SecurityGroups"] == ["${FileSecurityGroup.GroupId}"]


def placement(stack: Stack) -> Any:
    """Return where the tasks run."""
    return stack["Service"]["NetworkConfiguration"]["AwsvpcConfiguration"]


def test_only_what_is_needed_may_leave(cases: list[Case]) -> None:
    for case in cases:
        groups = case.stack.of("EC2::SecurityGroup")
        leaving = {
            name: [without_description(rule) for rule in group["SecurityGroupEgress"]]
            for name, group in groups.items()
        }
        tasks, files = "${TaskSecurityGroup.GroupId}", "${FileSecurityGroup.GroupId}"
        assert leaving["LoadBalancerSecurityGroup"] == [tcp(8501, DestinationSecurityGroupId=tasks)]
        assert leaving["TaskSecurityGroup"] == [
            tcp(443, CidrIp="0.0.0.0/0"),
            tcp(2049, DestinationSecurityGroupId=files),
        ]
        [nothing] = leaving["FileSecurityGroup"]
        assert (nothing["IpProtocol"], nothing["CidrIp"]) == ("icmp", "255.255.255.255/32")


# Tasks reach AWS's services and their files, and all is there before they start.


def names_of(references: list[str]) -> list[str]:
    return [each.removeprefix("${").removesuffix("}") for each in references]


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


def test_in_a_new_vpc_tasks_reach_the_internet_and_the_rest_does_not(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        if not case.rendering.new_vpc:
            assert not stack.of("EC2::VPC") and not stack.of("EC2::Subnet")
            continue
        assert stack["InternetGatewayAttachment"] == {
            "VpcId": "${Vpc}",
            "InternetGatewayId": "${InternetGateway}",
        }
        assert stack["Vpc"]["EnableDnsSupport"] and stack["Vpc"]["EnableDnsHostnames"]  # for EFS
        assert placement(stack)["AssignPublicIp"] == "ENABLED"
        balancer = names_of(stack["LoadBalancer"]["Subnets"])
        public = {*names_of(placement(stack)["Subnets"])}
        public |= set() if case.rendering.cloudfront else {*balancer}
        for name, subnet in stack.of("EC2::Subnet").items():
            assert subnet["VpcId"] == "${Vpc}"
            gateway = "${InternetGateway}" if name in public else None
            assert way_out(stack, name) == gateway
        mounted = {each["SubnetId"] for each in stack.of("EFS::MountTarget").values()}
        assert not public & {*names_of(sorted(mounted))}
        assert not stack.of("EC2::NatGateway")


def test_in_an_existing_vpc_the_team_says_how_tasks_reach_the_internet(cases: list[Case]) -> None:
    for case in cases:
        if case.rendering.new_vpc:
            continue
        stack = case.stack
        given = stack.parameters
        assert placement(stack)["AssignPublicIp"] == given["TaskPublicAddress"]
        assert placement(stack)["Subnets"] == ["subnet-c", "subnet-d"]
        assert stack["LoadBalancer"]["Subnets"] == ["subnet-a", "subnet-b"]
        inside = [*stack.of("EC2::SecurityGroup").values(), stack["TargetGroup"]]
        assert {each["VpcId"] for each in inside} == {"vpc-1"}


def test_everything_is_in_two_zones(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        mounted = [each["SubnetId"] for each in stack.of("EFS::MountTarget").values()]
        for subnets in (mounted, stack["LoadBalancer"]["Subnets"], placement(stack)["Subnets"]):
            assert len(set(subnets)) == 2
            if case.rendering.new_vpc:
                zones = {stack[name]["AvailabilityZone"] for name in names_of(subnets)}
                assert len(zones) == 2


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "172.31.4.0/22"])
def test_the_subnets_of_a_new_vpc_fit_and_do_not_overlap(
    structures: list[Rendering], cidr: str
) -> None:
    for each in structures:
        if each.new_vpc:
            subnets = each.create(VpcCidr=cidr).of("EC2::Subnet").values()
            networks = [IPv4Network(subnet["CidrBlock"]) for subnet in subnets]
            assert len(networks) == 4
            assert all(network.subnet_of(IPv4Network(cidr)) for network in networks)
            assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


def test_all_that_tasks_need_is_there_before_they_start(cases: list[Case]) -> None:
    for case in cases:
        needed = {
            "AccessPoint",
            "CookieSecret",
            "ExecutionRole",
            "FilesFromTasks",
            "Listener",
            "LogGroup",
            "MountTargetA",
            "MountTargetB",
            "ServerErrorsAlarm",
            "TaskRole",
            "TasksFromLoadBalancer",
            "UnhealthyTasksAlarm",
        }
        if case.rendering.new_vpc:
            needed |= {"PublicRoute", "PublicSubnetARouteTable", "PublicSubnetBRouteTable"}
            needed |= {"InternetGatewayAttachment"}
        assert needed <= case.stack.before("Service")


def test_the_way_in_is_there_before_it_is_used(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        if case.rendering.new_vpc:
            first = "VpcOrigin" if case.rendering.cloudfront else "LoadBalancer"
            assert "InternetGatewayAttachment" in stack.before(first)
        if case.rendering.cloudfront:
            assert "Listener" in stack.before("VpcOrigin")
        elif stack.parameters["CertificateArn"]:
            assert "Listener" in stack.before("RedirectListener")  # which gives up port 80


# The image, the load balancer, the tasks and the files agree.


@pytest.fixture(scope="session")
def dockerfile() -> str:
    return (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")


def only(pattern: str, text: str) -> str:
    """Return what the pattern's group matches, which is the same wherever it does."""
    [found] = set(re.findall(pattern, text, re.MULTILINE))
    return str(found)


def container(stack: Stack) -> Any:
    [one] = stack["TaskDefinition"]["ContainerDefinitions"]
    return one


def test_image_task_and_access_point_have_the_same_user(cases: list[Case], dockerfile: str) -> None:
    user = only(r"^USER (\d+:\d+)$", dockerfile)
    uid, gid = user.split(":")
    assert "0" not in (uid, gid)
    for case in cases:
        assert container(case.stack)["User"] == user
        point = case.stack["AccessPoint"]
        assert point["PosixUser"] == {"Uid": uid, "Gid": gid}
        owner = point["RootDirectory"]["CreationInfo"]
        assert (owner["OwnerUid"], owner["OwnerGid"]) == (uid, gid)
        assert owner["Permissions"] == "0750"


def test_image_task_and_load_balancer_have_the_same_port(
    cases: list[Case], dockerfile: str
) -> None:
    port = int(only(r"^EXPOSE (\d+)$", dockerfile))
    assert int(only(r"STREAMLIT_SERVER_PORT=(\d+)", dockerfile)) == port
    assert int(only(r"http://localhost:(\d+)/", dockerfile)) == port
    assert "STREAMLIT_SERVER_ADDRESS=0.0.0.0" in dockerfile
    for case in cases:
        stack = case.stack
        assert container(stack)["PortMappings"] == [{"ContainerPort": port}]
        assert f"http://localhost:{port}/" in container(stack)["HealthCheck"]["Command"][-1]
        assert (stack["TargetGroup"]["Port"], stack["TargetGroup"]["TargetType"]) == (port, "ip")
        assert stack["Service"]["LoadBalancers"] == [
            {
                "ContainerName": container(stack)["Name"],
                "ContainerPort": port,
                "TargetGroupArn": "${TargetGroup}",
            }
        ]
        assert entering(stack)["TaskSecurityGroup"][0]["FromPort"] == port


def test_everybody_asks_the_path_that_knows_whether_streamlit_is_well(
    cases: list[Case], dockerfile: str
) -> None:
    asked = r"http://localhost:\d+(/[^\"']*)"
    assert only(asked, dockerfile) == "/_stcore/health"
    for case in cases:
        assert case.stack["TargetGroup"]["HealthCheckPath"] == "/_stcore/health"
        assert case.stack["TargetGroup"]["Matcher"] == {"HttpCode": "200"}
        command = container(case.stack)["HealthCheck"]["Command"]
        assert only(asked, command[-1]) == "/_stcore/health"
        compile(command[-1], "health check", "exec")


def test_conversations_go_to_the_mounted_folder(cases: list[Case], dockerfile: str) -> None:
    folder = only(r"CHATBOT_SESSIONS_DIR=(\S+)", dockerfile)
    for case in cases:
        [volume] = case.stack["TaskDefinition"]["Volumes"]
        assert container(case.stack)["MountPoints"] == [
            {"SourceVolume": volume["Name"], "ContainerPath": folder, "ReadOnly": False}
        ]
        assert variables(case.stack)["CHATBOT_SESSIONS_DIR"] == folder


def variables(stack: Stack) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in container(stack)["Environment"]}


def test_tasks_get_the_settings_that_the_application_reads(cases: list[Case]) -> None:
    code = (TEMPLATE / "chatbot" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'variable\("(\w+)"', code))
    for case in cases:
        given = variables(case.stack)
        assert set(given) == read - {"CHATBOT_HOSTNAME"}  # there, each task is a host
        assert given["CHATBOT_BACKEND"] == "bedrock"
        assert given["CHATBOT_TITLE"] == "Team Chatbot"
        assert given["CHATBOT_RETENTION_DAYS"] == "90"
        assert given["AWS_REGION"] == "us-east-1"


def test_the_processor_is_the_one_that_was_chosen(cases: list[Case]) -> None:
    for case in cases:
        platform = case.stack["TaskDefinition"]["RuntimePlatform"]
        chosen = {"arm64": "ARM64", "x86-64": "X86_64"}[case.rendering.options["cpu_architecture"]]
        assert platform == {"OperatingSystemFamily": "LINUX", "CpuArchitecture": chosen}


def test_every_size_of_a_task_is_one_that_fargate_has(structures: list[Rendering]) -> None:
    for each in structures:
        for size in each.template["Parameters"]["TaskSize"]["AllowedValues"]:
            task = each.create(TaskSize=size)["TaskDefinition"]
            assert int(task["Memory"]) in FARGATE[int(task["Cpu"])]
        task = each.create()["TaskDefinition"]
        assert (task["Cpu"], task["Memory"]) == ("256", "512")
        assert (task["RequiresCompatibilities"], task["NetworkMode"]) == (["FARGATE"], "awsvpc")


# As many tasks as are needed.


def test_the_number_of_tasks_is_left_to_autoscaling_where_there_is_any(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        scaled = stack.of("ApplicationAutoScaling::ScalableTarget")
        if case.rendering.options["use_autoscaling"]:
            assert "DesiredCount" not in stack["Service"]
            [target] = scaled.values()
            assert target["ResourceId"] == "service/${Cluster}/${Service.Name}"
            assert target["ScalableDimension"] == "ecs:service:DesiredCount"
            assert (target["MinCapacity"], target["MaxCapacity"]) == ("1", "4")
        else:
            assert stack["Service"]["DesiredCount"] == "1"
            assert not scaled


def test_tasks_follow_cpu_and_memory_up_soon_and_down_late(cases: list[Case]) -> None:
    for case in cases:
        followed = {}
        for policy in case.stack.of("ApplicationAutoScaling::ScalingPolicy").values():
            assert policy["ScalingTargetId"] == "${ScalableTarget}"
            rule = policy["TargetTrackingScalingPolicyConfiguration"]
            metric = rule["PredefinedMetricSpecification"]["PredefinedMetricType"]
            followed[metric] = rule["TargetValue"]
            assert rule["ScaleOutCooldown"] < rule["ScaleInCooldown"]
        metrics = {"ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"}
        assert set(followed) == (metrics if case.rendering.options["use_autoscaling"] else set())
        assert all(50 <= target <= 80 for target in followed.values())


def test_office_hours_are_kept_only_where_a_time_zone_is_named(cases: list[Case]) -> None:
    for case in cases:
        for target in case.stack.of("ApplicationAutoScaling::ScalableTarget").values():
            if not case.stack.parameters["TimeZone"]:
                assert "ScheduledActions" not in target
                continue
            told = {}
            for action in target["ScheduledActions"]:
                assert action["Timezone"] == "Europe/Berlin"
                told[action["Schedule"]] = tuple(action["ScalableTargetAction"].values())
            assert told == {
                "cron(0 6 ? * MON-FRI *)": ("1", "4"),
                "cron(0 21 ? * MON-FRI *)": ("0", "0"),
            }


# What they may do: no more than they need.


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


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_the_models_offered_may_be_called_and_nothing_else_of_bedrock(
    renderings: list[Rendering],
) -> None:
    for each in renderings:
        region = each.options["aws_region"]
        profiles, behind = set(), set()
        for table in tomllib.loads(each.files["models.toml"]).values():
            profiles.add(f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{table['id']}")
            geography, model = table["id"].split(".", 1)
            places = [region, ""] if geography == "global" else [f"{region[:2]}-*"]
            behind |= {f"arn:aws:bedrock:{place}::foundation-model/{model}" for place in places}
        stack = each.create()
        found = [one for one in statements(stack) if "bedrock" in str(one)]
        assert all(one["Action"] == ["bedrock:InvokeModelWithResponseStream"] for one in found)
        [through, models] = found
        assert set(through["Resource"]) == profiles
        assert "Condition" not in through
        assert set(models["Resource"]) == behind
        [(key, allowed)] = models["Condition"]["StringEquals"].items()
        assert (key, set(allowed)) == ("bedrock:InferenceProfileArn", profiles)
        assert set(models["Condition"]) == {"StringEquals"}


def test_models_and_region_change_nothing_but_what_may_be_called(
    renderings: list[Rendering],
) -> None:
    """So that looking at one choice of models is enough in the tests of everything else."""
    kinds = ("network", "use_cloudfront", "use_autoscaling", "cpu_architecture")
    rest: dict[tuple[Any, ...], set[str]] = {}
    for each in renderings:
        resources = dict(each.template["Resources"])
        policies = resources["TaskRole"]["Properties"]["Policies"]
        others = [one for one in policies if one.get("PolicyName") != "models"]
        assert len(others) == len(policies) - 1
        shown = json.dumps([each.template | {"Resources": resources | {"TaskRole": others}}])
        rest.setdefault(tuple(each.options[kind] for kind in kinds), set()).add(shown)
    assert [len(different) for different in rest.values()] == [1] * 16


def test_tasks_and_ecs_may_do_what_they_need_and_no_more(cases: list[Case]) -> None:
    own = f"us-east-1:{ACCOUNT}"
    for case in cases:
        stack = case.stack
        allowed = [
            (action, one["Resource"])
            for one in statements(stack)
            for action in one["Action"]
            if not action.startswith("bedrock:")
        ]
        files = stack.parameters["FileSystemId"] or "${FileSystem}"
        files = f"arn:aws:elasticfilesystem:{own}:file-system/{files}"
        repository = f"arn:aws:ecr:{own}:repository/team-chatbot"
        expected = {
            "elasticfilesystem:ClientMount": [files],
            "elasticfilesystem:ClientWrite": [files],
            "ecr:GetAuthorizationToken": ["*"],
            "ecr:BatchGetImage": [repository],
            "ecr:GetDownloadUrlForLayer": [repository],
            "secretsmanager:GetSecretValue": ["${CookieSecret}"],
            "logs:CreateLogStream": ["${LogGroup.Arn}"],
            "logs:PutLogEvents": ["${LogGroup.Arn}"],
        }
        if stack.parameters["ExecEnabled"] == "true":
            for verb in ("CreateControl", "CreateData", "OpenControl", "OpenData"):
                expected[f"ssmmessages:{verb}Channel"] = ["*"]
        assert sorted(allowed) == sorted(expected.items())


def test_each_role_does_its_own_part(cases: list[Case]) -> None:
    for case in cases:
        task = case.stack["TaskDefinition"]
        assert task["TaskRoleArn"] == "${TaskRole.Arn}"
        assert task["ExecutionRoleArn"] == "${ExecutionRole.Arn}"
        parts = {"bedrock": "TaskRole", "elasticfilesystem": "TaskRole", "ssmmessages": "TaskRole"}
        parts |= {"ecr": "ExecutionRole", "secretsmanager": "ExecutionRole"}
        parts |= {"logs": "ExecutionRole"}
        for name, role in case.stack.of("IAM::Role").items():
            for path, value in walk(role["Policies"]):
                if path[-1:] == ("Action",):
                    for action in listed(value):
                        assert parts[action.split(":")[0]] == name
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            assert trust["Action"] == "sts:AssumeRole"
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_every_wildcard_in_what_is_allowed_tells_its_reason(renderings: list[Rendering]) -> None:
    for each in renderings:
        lines = each.text.splitlines()
        roles = each.text.index("  TaskRole:"), each.text.index("  CookieSecret:")
        assert each.text.count("IAM::Role", *roles) == each.text.count("IAM::Role")
        first, last = (each.text.count("\n", 0, place) for place in roles)
        for number in range(first, last):
            code = lines[number].split(" #")[0]
            if "*" not in code:
                continue
            assert not re.search(r"Action:.*\*", code)
            # Beside it, or where its statement begins.
            start = max(n for n in range(number + 1) if re.match(r" *- (Sid|Effect):", lines[n]))
            assert " # " in lines[number] or " # " in lines[start], lines[number]


def test_a_shell_in_a_task_is_possible_only_where_the_team_says_so(cases: list[Case]) -> None:
    for case in cases:
        open_ = case.stack.parameters["ExecEnabled"] == "true"
        assert case.stack["Service"]["EnableExecuteCommand"] is open_
        assert container(case.stack)["ReadonlyRootFilesystem"] is not open_


def test_tasks_have_no_privileges(cases: list[Case]) -> None:
    for case in cases:
        one = container(case.stack)
        assert not {"Privileged", "DockerSecurityOptions"} & set(one)
        assert one["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert one["LinuxParameters"]["InitProcessEnabled"] is True


# Two stacks in one account have no name in common, and nothing holds a secret.


def test_two_stacks_in_one_account_have_no_name_in_common(structures: list[Rendering]) -> None:
    for each in structures:
        sparse, *_, rich = each.stacks()
        for stack in (sparse, rich):
            one = names_in(create(each.template, stack.parameters, name="one"))
            same = one & names_in(create(each.template, stack.parameters, name="other"))
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


def test_what_identifies_a_resource_is_made_by_aws(structures: list[Rendering]) -> None:
    """No name is written down, whatever the property is called; the schemas tell which it is."""
    for each in structures:
        for body in each.template["Resources"].values():
            schema = schema_of(body)
            identifiers = {*schema["primaryIdentifier"]}
            identifiers |= {key for keys in schema.get("additionalIdentifiers", []) for key in keys}
            for key in identifiers:
                value = body.get("Properties", {}).get(key.removeprefix("/properties/"))
                named = isinstance(value, str)
                assert not named or body["Type"].startswith("AWS::ApplicationAutoScaling::"), key


def test_nothing_is_set_that_only_aws_sets(structures: list[Rendering]) -> None:
    for each in structures:
        for body in each.template["Resources"].values():
            properties = {f"/properties/{name}" for name in body.get("Properties", {})}
            assert not properties & {*schema_of(body).get("readOnlyProperties", [])}


def schema_of(resource: Mapping[str, Any]) -> Any:
    """Return what AWS says of a resource's type."""
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema


def test_nothing_holds_a_secret(cases: list[Case], renderings: list[Rendering]) -> None:
    looks_secret = re.compile(r"secret|password|token|api_?key|credential", re.IGNORECASE)
    for case in cases:
        stack = case.stack
        assert not [name for name in variables(stack) if looks_secret.search(name)]
        assert container(stack)["Secrets"] == [
            {"Name": "STREAMLIT_SERVER_COOKIE_SECRET", "ValueFrom": "${CookieSecret}"}
        ]
        assert stack["CookieSecret"]["GenerateSecretString"]["PasswordLength"] >= 32
        assert "SecretString" not in stack["CookieSecret"]
        assert not [name for name in stack.parameters if looks_secret.search(name)]
        assert "CookieSecret" not in json.dumps(stack.outputs)
    for each in renderings:
        for content in each.files.values():
            assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|\b\d{12}\b", content)


def test_the_image_is_the_one_that_was_deployed_never_the_latest(cases: list[Case]) -> None:
    for case in cases:
        assert container(case.stack)["Image"] == IMAGE
        assert "latest" not in "".join(case.rendering.files.values())
    for wrong in (IMAGE.split(":")[0], "nginx:1.29", f"{IMAGE}:x", ""):
        with pytest.raises(RefusedError, match="must be an image in ECR with a tag"):
            cases[0].rendering.create(ImageUri=wrong)


def test_images_are_kept_under_tags_that_never_change_meaning(render: Renderer) -> None:
    [repository] = parse(render().files["infra/registry.yml"])["Resources"].values()
    properties = repository["Properties"]
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert properties["EmptyOnDelete"] is True
    assert "RepositoryName" not in properties
    [rule] = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["action"] == {"type": "expire"}
    assert rule["selection"]["countNumber"] >= 10


# The conversations last, and are private.


def test_conversations_outlive_the_stack_and_are_encrypted(cases: list[Case]) -> None:
    for case in cases:
        if case.stack.parameters["FileSystemId"]:
            continue
        kept = case.stack.resources["FileSystem"]
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"  # which then holds nothing
        assert kept["UpdateReplacePolicy"] == "Retain"
        files = kept["Properties"]
        assert files["Encrypted"] is True
        assert files["BackupPolicy"] == {"Status": "ENABLED"}
        assert files["ThroughputMode"] == "elastic"
        assert {"TransitionToIA": "AFTER_30_DAYS"} in files["LifecyclePolicies"]


def test_files_are_mounted_only_encrypted_and_through_the_access_point(cases: list[Case]) -> None:
    everybody = {"AWS": "*"}
    for case in cases:
        stack = case.stack
        [volume] = stack["TaskDefinition"]["Volumes"]
        mounted = volume["EFSVolumeConfiguration"]
        assert mounted["TransitEncryption"] == "ENABLED"
        assert mounted["AuthorizationConfig"] == {
            "AccessPointId": "${AccessPoint}",
            "IAM": "ENABLED",
        }
        assert not {"RootDirectory"} & set(mounted)
        [tasks] = [one for one in statements(stack) if "elasticfilesystem" in str(one["Action"])]
        point = f"arn:aws:elasticfilesystem:us-east-1:{ACCOUNT}:access-point/${{AccessPoint}}"
        assert tasks["Condition"] == {"StringEquals": {"elasticfilesystem:AccessPointArn": point}}
        for files in stack.of("EFS::FileSystem").values():
            plain, direct = files["FileSystemPolicy"]["Statement"]
            assert (plain["Effect"], plain["Principal"]) == ("Deny", everybody)
            assert plain["Action"] == "*"
            assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            assert (direct["Effect"], direct["Principal"]) == ("Deny", everybody)
            verbs = ("ClientMount", "ClientWrite", "ClientRootAccess")
            assert direct["Action"] == [f"elasticfilesystem:{verb}" for verb in verbs]
            assert direct["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}


def test_a_file_system_of_an_earlier_stack_is_used_everywhere(cases: list[Case]) -> None:
    for case in cases:
        stack = case.stack
        adopted = stack.parameters["FileSystemId"]
        assert bool(stack.of("EFS::FileSystem")) is not bool(adopted)
        used = adopted or "${FileSystem}"
        [volume] = stack["TaskDefinition"]["Volumes"]
        targets = stack.of("EFS::MountTarget").values()
        ids = {each["FileSystemId"] for each in (stack["AccessPoint"], *targets)}
        ids.add(volume["EFSVolumeConfiguration"]["FilesystemId"])
        ids.add(stack["FileSystemAlarm"]["Dimensions"][0]["Value"])
        ids.add(stack.outputs["FileSystem"])
        assert ids == {used}
        assert used in stack["Dashboard"]["DashboardBody"]
        if adopted:
            assert "${FileSystem}" not in json.dumps(stack.resources)


# What happens is seen, and what fails is taken back.


def test_a_deployment_that_fails_is_taken_back_while_the_old_tasks_go_on(cases: list[Case]) -> None:
    for case in cases:
        service = case.stack["Service"]
        deployment = service["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        alarms = deployment["Alarms"]
        assert (alarms["Enable"], alarms["Rollback"]) == (True, True)
        assert {*names_of(alarms["AlarmNames"])} == {"UnhealthyTasksAlarm", "ServerErrorsAlarm"}
        assert deployment["MinimumHealthyPercent"] == 100
        assert deployment["MaximumPercent"] == 200
        assert service["HealthCheckGracePeriodSeconds"] >= 30


def attributes(resource: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in resource[f"{kind}Attributes"]}


def test_a_visitor_stays_with_a_task_and_long_answers_are_not_cut_off(cases: list[Case]) -> None:
    for case in cases:
        group = attributes(case.stack["TargetGroup"], "TargetGroup")
        assert group["stickiness.enabled"] == "true"
        assert group["stickiness.type"] == "lb_cookie"
        balancer = attributes(case.stack["LoadBalancer"], "LoadBalancer")
        assert int(balancer["idle_timeout.timeout_seconds"]) == 3600
        drain = int(group["deregistration_delay.timeout_seconds"])
        assert drain > container(case.stack)["StopTimeout"] >= 10


def test_logs_are_kept_as_long_as_the_team_says(structures: list[Rendering]) -> None:
    for each in structures:
        for days in each.template["Parameters"]["LogDays"]["AllowedValues"]:
            stack = each.create(LogDays=str(days))
            [group] = stack.of("Logs::LogGroup").values()
            assert group["RetentionInDays"] == str(days)
        logs = container(stack)["LogConfiguration"]
        assert logs["LogDriver"] == "awslogs"
        assert logs["Options"]["awslogs-group"] == "${LogGroup}"
        assert logs["Options"]["mode"] == "non-blocking"
        assert stack["Cluster"]["ClusterSettings"] == [
            {"Name": "containerInsights", "Value": "enabled"}
        ]


def test_every_alarm_reaches_the_address_that_was_given(cases: list[Case]) -> None:
    metrics = {
        ("AWS/ApplicationELB", "UnHealthyHostCount"),
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"),
        ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"),
        ("AWS/ECS", "CPUUtilization"),
        ("AWS/ECS", "MemoryUtilization"),
        ("AWS/EFS", "PercentIOLimit"),
    }
    for case in cases:
        stack = case.stack
        alarms = stack.of("CloudWatch::Alarm").values()
        assert {(each["Namespace"], each["MetricName"]) for each in alarms} == metrics
        assert {each["TreatMissingData"] for each in alarms} == {"notBreaching"}
        assert all(each["AlarmDescription"] for each in alarms)
        told = {str(each.get(key)) for each in alarms for key in ("AlarmActions", "OKActions")}
        topics = list(stack.of("SNS::Topic").values())
        if address := stack.parameters["AlarmEmail"]:
            assert topics == [{"Subscription": [{"Protocol": "email", "Endpoint": address}]}]
            assert told == {"['${AlarmTopic}']"}
        else:
            assert (topics, told) == ([], {"None"})


def test_the_dashboard_shows_this_stack(cases: list[Case]) -> None:
    for case in cases:
        widgets = json.loads(case.stack["Dashboard"]["DashboardBody"])["widgets"]
        assert len(widgets) == 6
        places = {(widget["x"], widget["y"]) for widget in widgets}
        assert len(places) == len(widgets)
        assert {widget["properties"]["region"] for widget in widgets} == {"us-east-1"}
        namespaces = {metric[0] for widget in widgets for metric in widget["properties"]["metrics"]}
        assert {"AWS/ApplicationELB", "AWS/ECS", "ECS/ContainerInsights", "AWS/EFS"} <= namespaces


# The text itself: whole, short, described, and nothing in it that is not needed.


def references(value: Any) -> set[str]:
    """Return the names of parameters, resources and conditions that are used in a value."""
    found: set[str] = set()
    for path, each in walk(value):
        if path[-1:] in (("Ref",), ("Condition",)) and isinstance(each, str):
            found.add(each)
        elif path[-1:] in (("Fn::GetAtt",), ("Fn::If",)):
            found.add(each[0])
        elif path[-1:] == ("DependsOn",):
            found |= set(listed(each))
        elif isinstance(each, str) and "Fn::Sub" in path:
            found |= set(re.findall(r"\$\{(\w+)", each))
    return found


def test_no_parameter_and_no_condition_is_unused(structures: list[Rendering]) -> None:
    for each in structures:
        template = each.template
        used = references([template["Resources"], template["Outputs"]])
        declared = set(template["Conditions"])
        assert declared <= used
        used |= references([template["Conditions"], template["Rules"]])
        assert set(template["Parameters"]) <= used
        assert set(template) == {
            "AWSTemplateFormatVersion",
            "Description",
            "Metadata",
            "Parameters",
            "Rules",
            "Conditions",
            "Resources",
            "Outputs",
        }


def test_every_condition_can_be_met_and_not_and_every_resource_can_be_made(
    cases: list[Case],
) -> None:
    met: dict[int, set[tuple[str, bool]]] = {}
    made: dict[int, set[str]] = {}
    templates = {id(case.rendering): case.rendering.template for case in cases}
    for case in cases:
        met.setdefault(id(case.rendering), set()).update(case.stack.conditions.items())
        made.setdefault(id(case.rendering), set()).update(case.stack.resources)
    for key, template in templates.items():
        expected = {(name, value) for name in template["Conditions"] for value in (True, False)}
        assert met[key] == expected
        assert made[key] == set(template["Resources"])


def test_the_text_is_what_cloudformation_reads_without_transforms(
    renderings: list[Rendering],
) -> None:
    for each in renderings:
        for name in ("infra/template.yml", "infra/registry.yml", "infra/github.yml"):
            text = each.files[name]
            assert len(text.encode()) < BODY_LIMIT, each
            assert "Fn::ForEach" not in text and "Transform" not in text
            tokens = {type(token) for token in yaml.scan(text, Scanner)}
            assert not {yaml.AnchorToken, yaml.AliasToken} & tokens


def test_every_parameter_is_described_in_a_group_and_says_what_it_accepts(
    structures: list[Rendering],
) -> None:
    for each in structures:
        template = each.template
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        assert sorted(grouped) == sorted(template["Parameters"])
        assert all(group["Label"]["default"] for group in groups)
        for name, rules in template["Parameters"].items():
            assert len(rules["Description"]) > 20 and rules["Description"].endswith("."), name
            if "AllowedPattern" in rules:
                assert rules["ConstraintDescription"].startswith("must be ")
                assert "Default" not in rules or re.fullmatch(
                    rules["AllowedPattern"], rules["Default"]
                )


@pytest.mark.parametrize(
    ("name", "good", "wrong"),
    [
        ("AllowedCidr", "10.1.2.0/24", "10.1.2.0"),
        ("AlarmEmail", "ä.b+c@example.com", "team"),
        ("CloudFrontPrefixListId", "pl-0a", "com.amazonaws.global.cloudfront.origin-facing"),
        ("DomainName", "", "https://chat.example.com"),
        ("FileSystemId", "fs-0a", "fs-"),
        ("LogDays", "7", "8"),
        ("MaxTasks", "100", "101"),
        ("MinTasks", "1", "0"),
        ("RetentionDays", "0", "-1"),
        ("TaskSize", "4096/16384", "256/4096"),
        ("TimeZone", "America/Argentina/Buenos_Aires", "Berlin time"),
        ("TimeZone", "UTC", "+02:00"),
        ("VpcCidr", "10.0.0.0/22", "10.0.0.0/23"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(
    structures: list[Rendering], name: str, good: str, wrong: str
) -> None:
    having = [each for each in structures if name in each.template["Parameters"]]
    assert having
    for each in having:
        assert each.create(**{name: good})
        with pytest.raises(RefusedError):
            each.create(**{name: wrong})


def test_the_parameters_file_names_parameters_and_needs_only_what_is_the_teams(
    structures: list[Rendering],
) -> None:
    for each in structures:
        pairs = json.loads(each.files["infra/parameters.json"])
        assert all(set(pair) == {"ParameterKey", "ParameterValue"} for pair in pairs)
        given = {pair["ParameterKey"]: pair["ParameterValue"] for pair in pairs}
        assert len(given) == len(pairs)
        declared = each.template["Parameters"]
        assert set(given) <= set(declared) - BY_THE_SCRIPT
        needed = {name for name, rules in declared.items() if "Default" not in rules}
        assert needed - BY_THE_SCRIPT == {
            name for name in given if given[name] == "" and "Default" not in declared[name]
        }
        filled = {name: value for name, value in given.items() if name not in needed}
        assert each.create(**filled)
        if needed - BY_THE_SCRIPT:
            with pytest.raises(RefusedError):
                each.create(**given)


def test_every_output_is_described_and_the_address_comes_first(cases: list[Case]) -> None:
    for case in cases:
        declared = case.stack.template["Outputs"]
        assert next(iter(declared)) == "Address"
        assert all(output["Description"].endswith(".") for output in declared.values())
        assert not any("Export" in output for output in declared.values())
        secure = bool(case.stack.parameters["CertificateArn"])
        entry = "Distribution.DomainName" if case.rendering.cloudfront else "LoadBalancer.DNSName"
        assert case.stack.outputs["EntryName"] == f"${{{entry}}}"
        if secure:  # the certificate is for this name only
            address = "https://chat.example.com"
        else:
            address = f"http{'s' if case.rendering.cloudfront else ''}://${{{entry}}}"
        assert case.stack.outputs["Address"] == address


def accepted_in_a_tag(value: str) -> bool:
    """Tell whether AWS takes the text: at most 256 letters, digits, spaces and some signs."""
    return len(value) <= 256 and all(
        category(each)[0] in "LZN" or each in "_.:/=+-@" for each in value
    )


@pytest.mark.parametrize("owner", ["Our Team", "Bob & Co's #1 <x> 👋", 'a "b" \\ {c}', "日本語 Ö"])
def test_the_tags_say_whose_it_is_in_signs_that_aws_accepts(render: Renderer, owner: str) -> None:
    tags = json.loads(render(owner=owner).files["infra/tags.json"])
    values = {each["Key"]: each["Value"] for each in tags}
    assert values["Project"] == "team-chatbot"
    assert accepted_in_a_tag(values["Owner"])
    letters = re.sub(r"\W", "", owner)
    assert re.sub(r"\W", "", values["Owner"]) == letters
    assert set(values) == {"Project", "Owner"}


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=80))
def test_every_owner_becomes_a_tag(owner: str) -> None:
    assert accepted_in_a_tag(tag(owner.replace("\n", "")))


@pytest.mark.parametrize(
    "name", ["yes", "Bot: #1", 'It\'s "so" \\n', "{{x}} 👩‍💻", "!Ref X", "1e3"]
)
def test_a_strange_name_reaches_the_page(render: Renderer, name: str) -> None:
    assert variables(render(project_name=name).create())["CHATBOT_TITLE"] == name
