"""The diagram of what is deployed, drawn from the rendered template for CloudFormation.

`python3 dev.py pictures` writes it. Numbers, ports and what leads where come from the template; it
refuses to be drawn if the template makes something that no box stands for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from support.cloudformation import Stack
from support.stack_parts import (
    container,
    ingress_rules,
    names_of,
    placement,
    statements,
)
from support.stacks import Infrastructure

WIDTH, HEIGHT = 1120, 612
STYLE = """
  text { font: 13.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328 }
  .back { fill: #ffffff }
  .box { fill: #f3f6fb; stroke: #57606a }
  .zone { fill: none; stroke: #0a7d5a; stroke-width: 1.5 }
  .own { fill: #e8f2ff; stroke: #0b62c4; stroke-width: 1.5 }
  .maybe { fill: none; stroke: #57606a; stroke-dasharray: 5 4 }
  .name { font-weight: 600; font-size: 15px }
  .small { fill: #4c5560 }
  .way { fill: none; stroke: #57606a; stroke-width: 1.5; marker-end: url(#end) }
  .tip { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .back { fill: #0d1117 }
    .box { fill: #1b222c; stroke: #8d96a0 }
    .zone { stroke: #3fb68b }
    .own { fill: #10294a; stroke: #58a6ff }
    .maybe { stroke: #8d96a0 }
    .small { fill: #a5aeb8 }
    .way { stroke: #8d96a0 }
    .tip { fill: #8d96a0 }
  }
"""
# The box that stands for each kind of resource; "" for a part of the network that is not shown.
BOXES = {
    "CloudFront::Distribution": "entry",
    "CloudFront::VpcOrigin": "entry",
    "Route53::RecordSet": "DNS record",
    "EC2::VPC": "network",
    "EC2::Subnet": "network",
    "EC2::InternetGateway": "network",
    "EC2::VPCGatewayAttachment": "",
    "EC2::RouteTable": "",
    "EC2::Route": "",
    "EC2::SubnetRouteTableAssociation": "",
    "EC2::SecurityGroup": "",  # the arrows
    "EC2::SecurityGroupIngress": "",
    "ElasticLoadBalancingV2::LoadBalancer": "balancer",
    "ElasticLoadBalancingV2::Listener": "balancer",
    "ElasticLoadBalancingV2::TargetGroup": "balancer",
    "ECS::Cluster": "tasks",
    "ECS::Service": "tasks",
    "ECS::TaskDefinition": "tasks",
    "ApplicationAutoScaling::ScalableTarget": "tasks",
    "ApplicationAutoScaling::ScalingPolicy": "tasks",
    "EFS::FileSystem": "files",
    "EFS::AccessPoint": "files",
    "EFS::MountTarget": "files",
    "IAM::Role": "roles",
    "SecretsManager::Secret": "secrets",
    "Cognito::UserPool": "people",
    "Cognito::UserPoolDomain": "people",
    "Cognito::UserPoolClient": "people",
    "Cognito::ManagedLoginBranding": "people",
    "Logs::LogGroup": "watch",
    "CloudWatch::Alarm": "watch",
    "CloudWatch::Dashboard": "watch",
    "SNS::Topic": "alarm e-mail",
}
# What exists only if a parameter asks for it: the parameter, and the file or condition that has it.
OPTIONAL = {
    "DNS record": ("HostedZoneId", "HasHostedZone"),
    "firewall": ("Firewall", "infra/firewall.yml"),
    "access logs": ("AccessLogs", "infra/access-logs.yml"),
    "private tasks": ("PrivateTasks", "infra/private.yml"),
    "your own key": ("KmsKeyArn", "HasKmsKey"),
    "alarm e-mail": ("AlarmEmail", "HasAlarmEmail"),
    "budget": ("MonthlyBudget", "infra/budget.yml"),
}


@dataclass(frozen=True)
class Box:
    """A box; numbers are pixels. The first of its lines is its name."""

    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...]
    kind: str = "box"

    def draw(self) -> Iterator[str]:
        yield (
            f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}"'
            f' height="{self.height}" rx="8"/>'
        )
        for number, line in enumerate(self.lines):
            yield _text(self.x + 12, self.y + 23 + 19 * number, line, "small" if number else "name")


def draw(infrastructure: Infrastructure) -> str:
    """Return the diagram as SVG. Raises ValueError if it would leave something out."""
    _check(infrastructure)
    stack = infrastructure.create()
    boxes = _boxes(infrastructure, stack)
    parts = [part for box in (*boxes, *_optional(infrastructure)) for part in box.draw()]
    parts += _ways(stack)
    title = "What is deployed to AWS"
    said = "; ".join(": ".join((box.lines[0], ", ".join(box.lines[1:]))) for box in boxes)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' aria-labelledby="title description">',
            f'<title id="title">{title}</title>',
            f'<desc id="description">{escape(said)}</desc>',
            f"<style>{STYLE}</style>",
            '<defs><marker id="end" markerWidth="9" markerHeight="9" refX="8" refY="4.5"'
            ' orient="auto"><path class="tip" d="M0 0L9 4.5L0 9z"/></marker></defs>',
            f'<rect class="back" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _check(infrastructure: Infrastructure) -> None:
    template = infrastructure.template
    for name, resource in template["Resources"].items():
        kind = resource["Type"].removeprefix("AWS::")
        if kind not in BOXES:
            raise ValueError(
                f"No box stands for {name}, {kind}: add it to tests/support/diagram.py"
            )
    for name, (parameter, place) in OPTIONAL.items():
        if place not in (*infrastructure.files, *template["Conditions"]):
            raise ValueError(f"{name}: there is no {place}")
        if place in template["Conditions"] and parameter not in template["Parameters"]:
            raise ValueError(f"{name}: there is no parameter {parameter}")


def _boxes(infrastructure: Infrastructure, stack: Stack) -> list[Box]:
    template, definition = infrastructure.template["Resources"], stack["TaskDefinition"]
    balancer, scaling, files = stack["LoadBalancer"], stack["ScalableTarget"], stack["FileSystem"]
    mounts = [each["SubnetId"] for each in stack.of("EFS::MountTarget").values()]
    zones = {each["AvailabilityZone"] for each in stack.of("EC2::Subnet").values()}
    groups = {each["Key"]: each["Value"] for each in stack["TargetGroup"]["TargetGroupAttributes"]}
    actions = {each for statement in statements(stack) for each in statement["Action"]}
    promised = {
        "only CloudFront has an address": balancer["Scheme"] == "internal",
        "no NAT gateway": not stack.of("EC2::NatGateway"),
        "two zones": len(zones) == 2,
        "sticky": groups["stickiness.enabled"] == "true",
        "not root": not container(stack)["User"].startswith(("0", "root")),
        "read-only": container(stack)["ReadonlyRootFilesystem"],
        "public addresses": placement(stack)["AssignPublicIp"] == "ENABLED",
        "encrypted": files["Encrypted"],
        "backups": files["BackupPolicy"]["Status"] == "ENABLED",
        "the conversations stay": template["FileSystem"]["DeletionPolicy"].startswith("Retain"),
        "the people stay": template["UserPool"]["DeletionPolicy"].startswith("Retain"),
        "models": "bedrock:InvokeModelWithResponseStream" in actions,
        "images": "AWS::ECR::Repository" in infrastructure.files["infra/registry.yml"],
    }
    if broken := [name for name, is_kept in promised.items() if not is_kept]:
        raise ValueError(f"The diagram would not be true: {', '.join(broken)}")
    vpc = f"VPC {stack['Vpc']['CidrBlock']}: two zones, no NAT gateway"
    entry = ("Load balancer", f"{balancer['Scheme']}, sticky", _subnets(balancer["Subnets"]))
    tasks = (
        f"{scaling['MinCapacity']} to {scaling['MaxCapacity']} tasks on Fargate",
        f"each {int(definition['Cpu']) / 1024:g} vCPU, {definition['Memory']} MiB",
        f"{definition['RuntimePlatform']['CpuArchitecture']}, not root, read-only",
        f"{_subnets(placement(stack)['Subnets'])} and addresses",
    )
    conversations = ("EFS: conversations", "encrypted, daily backup", _subnets(mounts))
    alarms = f"{len(stack.of('CloudWatch::Alarm'))} alarms, a dashboard,"
    logs = f"logs of {stack['LogGroup']['RetentionInDays']} days"
    secret = f"{len(stack.of('SecretsManager::Secret'))} secrets, read by ECS"
    roles = f"IAM: {len(stack.of('IAM::Role'))} roles"
    return [
        Box(446, 24, 654, 176, (vpc,), "zone"),
        Box(20, 70, 156, 90, ("Browser", "HTTPS, and a", "WebSocket per page")),
        Box(238, 70, 150, 90, ("CloudFront", "the only entry;", "keeps /static only"), "own"),
        Box(464, 64, 140, 104, entry, "own"),
        Box(652, 64, 214, 104, tasks, "own"),
        Box(912, 64, 180, 104, (*conversations, "outlives the stack"), "own"),
        Box(20, 284, 190, 82, ("Cognito", "the people you invite;", "outlives the stack"), "own"),
        Box(240, 284, 190, 82, ("ECR", "images, by commit;", "in a stack of its own"), "own"),
        Box(460, 284, 190, 82, ("Bedrock", "only the models in", "models.toml")),
        Box(680, 284, 190, 82, ("CloudWatch", alarms, logs), "own"),
        Box(900, 284, 200, 82, ("Secrets Manager", secret, roles), "own"),
    ]  # fmt: skip


def _subnets(references: list[str]) -> str:
    [kind] = {name.removesuffix("A").removesuffix("B") for name in names_of(references)}
    return kind.replace("Subnet", " subnets").lower()


def _optional(infrastructure: Infrastructure) -> Iterator[Box]:
    yield Box(20, 424, 1080, 168, ("Only if a parameter asks for it",), "maybe")
    for number, (name, (parameter, place)) in enumerate(OPTIONAL.items()):
        where = " (a stack of its own)" if place in infrastructure.files else ""
        x, y = 36 + 264 * (number % 4), 460 + 64 * (number // 4)
        yield Box(x, y, 252, 54, (name[0].upper() + name[1:], f"{parameter}{where}"))


def _ways(stack: Stack) -> Iterator[str]:
    """Yield the arrows, from the security groups where these decide."""
    ports = _ports(ingress_rules(stack))
    yield _way("M176 115H236", "443", 205, 108)
    yield _way("M388 115H462", ports["LoadBalancerSecurityGroup"], 417, 108)
    yield _way("M604 115H650", ports["TaskSecurityGroup"], 626, 108)
    yield _way("M866 115H910", ports["FileSecurityGroup"], 888, 108)
    yield _way("M60 160V282", "to sign in", 100, 226)
    out = {each["FromPort"] for each in stack["TaskSecurityGroup"]["SecurityGroupEgress"]}
    [to_services] = out - {int(ports["FileSecurityGroup"])}
    yield from (_way(f"M759 168V240H{x}V282") for x in (150, 335, 555, 759, 1000))
    yield _text(768, 226, str(to_services), "small")
    told = "Blue: made by the deployment. Arrows: who may connect to what, and at which port."
    yield _text(20, 398, told, "small")


def _ports(rules: Mapping[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Return the port of each group; each lets in one other, the one to the left of it."""
    sources = {
        "LoadBalancerSecurityGroup": "SourcePrefixListId",
        "TaskSecurityGroup": "SourceSecurityGroupId",
        "FileSecurityGroup": "SourceSecurityGroupId",
    }
    if set(rules) != set(sources) or any(
        len(rules[name]) != 1 or source not in rules[name][0] for name, source in sources.items()
    ):
        raise ValueError(f"The arrows no longer show what may enter: {rules}")
    return {name: str(rule["FromPort"]) for name, [rule] in rules.items()}


def _way(path: str, label: str = "", x: int = 0, y: int = 0) -> str:
    text = f'\n<text class="small" x="{x}" y="{y}" text-anchor="middle">{label}</text>'
    return f'<path class="way" d="{path}"/>{text if label else ""}'


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'
