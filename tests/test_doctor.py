"""deployment.sh doctor, and the checks before a deployment, find what is wrong in an account."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.aws_emulator import emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.deployment_calls import BY_DOCTOR
from support.rendering import Bake

pytestmark = needs_aws

NewSandbox = Callable[..., Sandbox]


@pytest.fixture
def new_sandbox(bake: Bake, programs: Path, tmp_path: Path) -> Iterator[NewSandbox]:
    """Make a committed project with options, and an account with nothing in it."""
    with emulator(tmp_path / "state") as port:
        made: list[Sandbox] = []

        def make(**options: Any) -> Sandbox:
            project = bake(**options).path
            remove_what_is_lacking(project / "infra" / "template.yml")
            made.append(Sandbox(project, programs, port))
            made[-1].git("init", "--quiet")
            made[-1].commit()
            let_models_answer(made[-1])
            return made[-1]

        yield make
        for each in made:
            each.aws.stop()


def let_models_answer(sandbox: Sandbox, **more: tuple[int, str]) -> None:
    """Let the models answer, because the emulator knows neither these nor the account's quotas."""
    text = (sandbox.project / "models.toml").read_text()
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "max_tokens",
        "usage": usage,
        "metrics": {"latencyMs": 1},
    }
    for id_ in re.findall('id = "(.*)"', text):
        model = quote(id_, safe="")
        sandbox.aws.answers[f"POST /model/{model}/converse"] = (200, json.dumps(answer))
        behind = quote(id_.partition(".")[2], safe="")
        details = json.dumps({"modelDetails": {"modelLifecycle": {"status": "ACTIVE"}}})
        sandbox.aws.answers[f"GET /foundation-models/{behind}"] = (200, details)
    sandbox.aws.answers["GetServiceQuota"] = (200, json.dumps({"Quota": {"Value": 5.0}}))


def test_a_healthy_account_is_told_so_and_nothing_is_made(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    done = sandbox.run("doctor")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Nothing is wrong that can be seen before a deployment.\n"
    assert [each for each in sandbox.aws.changes() if "converse" not in each] == []
    assert sandbox.builds() == []
    assert sandbox.aws.calls >= BY_DOCTOR
    [asked, *_] = [body for body in sandbox.aws.bodies if "maxTokens" in body]
    assert json.loads(asked)["inferenceConfig"] == {"maxTokens": 1}


def test_the_models_are_asked_as_the_chatbot_asks_them(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(models="Amazon Nova")
    enter(sandbox, GuardrailId="a1b2c3", GuardrailVersion="4")
    models = sandbox.project / "models.toml"
    models.write_text(
        models.read_text().replace("prompt_cache = true", "guardrail = false", 1), encoding="utf-8"
    )
    done = sandbox.run("doctor")
    assert done.returncode == 0, done.stderr
    first, second, *_ = [json.loads(body) for body in sandbox.aws.bodies if "maxTokens" in body]
    assert first["messages"][0]["content"] == [{"text": "Hello"}]
    assert "guardrailConfig" not in first
    assert second["messages"][0]["content"][1:] == [{"cachePoint": {"type": "default"}}]
    guardrail = {"guardrailIdentifier": "a1b2c3", "guardrailVersion": "4"}
    assert second["guardrailConfig"] == guardrail


def test_parameters_that_are_no_numbers_are_left_to_cloudformation(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    enter(sandbox, MaxTasks="many", TaskSize="small")
    done = sandbox.run("doctor")
    assert done.returncode == 0, done.stderr


def test_a_project_without_its_settings_is_told(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    (sandbox.project / "pyproject.toml").write_text("[tool]")
    done = sandbox.run("status")
    assert done.returncode == 2
    assert done.stderr.startswith("deployment.sh: pyproject.toml needs a table [tool.deployment]")


def test_everything_that_is_wrong_is_told_at_once(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(models="both")
    ids = re.findall('id = "(.*)"', (sandbox.project / "models.toml").read_text())
    refused = {
        "form": "Model use case details have not been submitted for this account.",
        "market": "not authorized to perform the required aws-marketplace:Subscribe",
        "policy": "with an explicit deny in a service control policy",
    }
    for id_, message in zip(ids, refused.values(), strict=False):
        sandbox.aws.answers[f"POST /model/{quote(id_, safe='')}/converse"] = (
            403,
            json.dumps({"message": message, "__type": "AccessDeniedException"}),
        )
    legacy = {"status": "LEGACY", "endOfLifeTime": "2026-12-31T00:00:00Z"}
    behind = quote(ids[3].partition(".")[2], safe="")
    sandbox.aws.answers[f"GET /foundation-models/{behind}"] = (
        200,
        json.dumps({"modelDetails": {"modelLifecycle": legacy}}),
    )
    sandbox.aws.answers["GetServiceQuota"] = (200, json.dumps({"Quota": {"Value": 1.0}}))
    done = sandbox.run("doctor", DOCKER_FAILS="version")
    assert done.returncode == 1
    assert done.stdout == ""
    for part in (
        "docker's daemon does not answer",
        "VPCs, and the account may have 1",
        "The tasks need up to 2 vCPUs, and the account may use 1",
        f"The model {ids[0]} does not answer: ",
        "Submit Anthropic's form once",
        "Nobody has subscribed the account",
        "A policy of your organization denies this",
        f"The model {ids[3]} is an old one, and AWS ends it on 2026-12-31",
    ):
        assert part in done.stderr
    assert done.stderr.count("\n  - ") == 7


# The team's own network


class Network:
    """A VPC in the emulator, with subnets that a chatbot could use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.vpc = self.ask("create-vpc", "--cidr-block=10.1.0.0/16")["Vpc"]["VpcId"]
        self.gateway = self.ask("create-internet-gateway")["InternetGateway"]["InternetGatewayId"]
        words = (f"--internet-gateway-id={self.gateway}", f"--vpc-id={self.vpc}")
        self.ask("attach-internet-gateway", *words)
        for name in ("support", "hostnames"):
            self.ask("modify-vpc-attribute", f"--vpc-id={self.vpc}", f"--enable-dns-{name}")
        self.private = self.add_route_table()
        self.public = self.add_route_table(f"--gateway-id={self.gateway}")

    def ask(self, *words: str) -> Any:
        return self.sandbox.ask("ec2", *words)

    def add_route_table(self, *way: str) -> str:
        made = self.ask("create-route-table", f"--vpc-id={self.vpc}")["RouteTable"]
        id_ = str(made["RouteTableId"])
        if way:
            words = (f"--route-table-id={id_}", "--destination-cidr-block=0.0.0.0/0", *way)
            self.ask("create-route", *words)
        return id_

    def add_subnet(self, number: int, zone: str, table: str) -> str:
        words = (f"--cidr-block=10.1.{number}.0/24", f"--availability-zone={zone}")
        made = self.ask("create-subnet", f"--vpc-id={self.vpc}", *words)["Subnet"]
        id_ = str(made["SubnetId"])
        words = (f"--subnet-id={id_}", f"--route-table-id={table}")
        self.ask("associate-route-table", *words)
        return id_


def enter(sandbox: Sandbox, **given: str) -> None:
    file = sandbox.project / "infra" / "parameters.json"
    values = {each["ParameterKey"]: each["ParameterValue"] for each in json.loads(file.read_text())}
    pairs = (values | given).items()
    entries = [{"ParameterKey": name, "ParameterValue": value} for name, value in pairs]
    file.write_text(json.dumps(entries))


def wrong(sandbox: Sandbox) -> list[str]:
    """Return what the checks before a deployment find."""
    done = sandbox.run("deploy", "--dry-run", "--allow-dirty")
    if done.returncode == 0:
        return []
    [_, *found] = done.stderr.strip().split("\n  - ")
    return found


def test_a_network_of_ones_own_is_checked_before_the_build(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(network="existing VPC")
    network = Network(sandbox)
    a, b = "us-east-1a", "us-east-1b"
    subnets = {
        "LoadBalancerSubnetA": network.add_subnet(0, a, network.private),
        "LoadBalancerSubnetB": network.add_subnet(1, b, network.private),
        "TaskSubnetA": network.add_subnet(2, a, network.private),
        "TaskSubnetB": network.add_subnet(3, b, network.private),
    }
    enter(sandbox, VpcId=network.vpc, **subnets)
    assert wrong(sandbox) == []
    public = network.add_subnet(4, a, network.public)
    enter(sandbox, TaskSubnetA=public)
    assert wrong(sandbox) == [
        f"TaskSubnetA, {public}, reaches the internet through an internet gateway, for which tasks"
        " need public addresses: set TaskPublicAddress to ENABLED"
    ]
    enter(sandbox, TaskPublicAddress="ENABLED", TaskSubnetB=subnets["TaskSubnetA"])
    [both, without] = wrong(sandbox)
    assert both.startswith(f"TaskSubnetA and TaskSubnetB are both in {a}")
    assert without.startswith(f"TaskSubnetB, {subnets['TaskSubnetA']}, has no route to an internet")
    enter(sandbox, TaskPublicAddress="DISABLED", **subnets)
    network.ask("modify-vpc-attribute", f"--vpc-id={network.vpc}", "--no-enable-dns-hostnames")
    words = (f"--internet-gateway-id={network.gateway}", f"--vpc-id={network.vpc}")
    network.ask("detach-internet-gateway", *words)
    a_zone = re.search("use1-az.", json.dumps(network.ask("describe-subnets")))
    assert a_zone  # of one subnet of each kind
    sandbox.aws.edits["DescribeSubnets"] = lambda text: text.replace(a_zone[0], "use1-az3")
    found = wrong(sandbox)
    assert len(found) == 4
    assert "use1-az3, which CloudFront does not reach" in found[0]
    assert "use1-az3, which has no Fargate" in found[1]
    assert "has enableDnsHostnames off" in found[2]
    assert "has no internet gateway, which CloudFront requires" in found[3]
    other = Network(sandbox)
    enter(sandbox, VpcId=other.vpc)
    assert [each.partition(",")[0] for each in wrong(sandbox)] == list(subnets)
    enter(sandbox, TaskSubnetA="subnet-0123456789abcdef0")
    [gone] = wrong(sandbox)
    assert "is not there" in gone and "subnet-0123456789abcdef0" in gone
    assert "ExecuteChangeSet" not in sandbox.aws.asked


def test_subnets_in_zones_that_have_the_files_already_are_refused(new_sandbox: NewSandbox) -> None:
    """EFS allows one mount target in each zone, and AWS makes the new one first."""
    sandbox = new_sandbox(network="existing VPC", sign_in="none")
    network = Network(sandbox)
    a, b, c = "us-east-1a", "us-east-1b", "us-east-1d"
    one, two = (network.add_subnet(n, zone, network.private) for n, zone in enumerate((a, b)))
    balancer = {"LoadBalancerSubnetA": one, "LoadBalancerSubnetB": two}
    enter(sandbox, VpcId=network.vpc, TaskSubnetA=one, TaskSubnetB=two, **balancer)
    sandbox.commit()
    sandbox.deploy()
    assert wrong(sandbox) == []
    enter(sandbox, TaskSubnetA=two, TaskSubnetB=one)
    first, second = wrong(sandbox)
    assert first == (
        f"TaskSubnetA, {two}, is in {b}, where the stack team-chatbot has its files in another"
        f" subnet, which AWS can't change: put back {one}, or choose a subnet in a third zone"
    )
    assert second.startswith(f"TaskSubnetB, {one}, is in {a}, where the stack")
    enter(sandbox, TaskSubnetA=network.add_subnet(2, a, network.private), TaskSubnetB=two)
    [told] = wrong(sandbox)
    assert told.startswith("TaskSubnetA, ")
    enter(sandbox, TaskSubnetA=network.add_subnet(3, c, network.private))
    assert wrong(sandbox) == []


# The certificate


@pytest.mark.parametrize(
    ("status", "names", "told"),
    [
        ("ISSUED", ["chat.example.com"], ""),
        ("ISSUED", ["*.example.com"], ""),
        ("ISSUED", ["www.example.com", "example.com"], "is not for chat.example.com, but for www"),
        ("PENDING_VALIDATION", ["chat.example.com"], "it waits until the DNS record exists"),
        ("EXPIRED", ["chat.example.com"], "it has expired"),
        ("SOMETHING_NEW", ["chat.example.com"], "it is SOMETHING_NEW"),
    ],
)
def test_a_certificate_that_can_not_be_used_is_told(
    new_sandbox: NewSandbox, status: str, names: list[str], told: str
) -> None:
    sandbox = new_sandbox(sign_in="none")
    arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
    enter(sandbox, CertificateArn=arn, DomainName="chat.example.com")
    details = {"Status": status, "DomainName": names[0], "SubjectAlternativeNames": names}
    sandbox.aws.answers["DescribeCertificate"] = (200, json.dumps({"Certificate": details}))
    found = wrong(sandbox)
    assert len(found) == bool(told)
    assert not told or told in found[0]


def test_a_certificate_that_is_not_there_is_told(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox(sign_in="none")
    arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
    enter(sandbox, CertificateArn=arn, DomainName="chat.example.com")
    [told] = wrong(sandbox)
    assert f"AWS does not show the certificate {arn}: " in told


# What the team owns


def test_a_hosted_zone_must_be_that_of_the_name_and_have_no_record_of_it(
    new_sandbox: NewSandbox,
) -> None:
    sandbox = new_sandbox(sign_in="none")

    def make(name: str, *words: str) -> str:
        zone = ("--name", name, f"--caller-reference={name}{len(words)}", *words)
        made = sandbox.ask("route53", "create-hosted-zone", *zone)
        return str(made["HostedZone"]["Id"]).rpartition("/")[2]

    arn = "arn:aws:acm:us-east-1:111122223333:certificate/1"
    details = {"Status": "ISSUED", "DomainName": "*.example.com"}
    sandbox.aws.answers["DescribeCertificate"] = (200, json.dumps({"Certificate": details}))
    zone = make("example.com")
    enter(sandbox, CertificateArn=arn, DomainName="chat.example.com", HostedZoneId=zone)
    assert wrong(sandbox) == []
    record = {"Name": "chat.example.com", "Type": "CNAME", "TTL": 60}
    record["ResourceRecords"] = [{"Value": "elsewhere.example.com"}]
    batch = json.dumps({"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]})
    words = (f"--hosted-zone-id={zone}", f"--change-batch={batch}")
    sandbox.ask("route53", "change-resource-record-sets", *words)
    assert wrong(sandbox) == [
        f"The hosted zone {zone} has a record of chat.example.com already (CNAME): delete it, or"
        " leave HostedZoneId empty"
    ]
    other = make("le.com")  # with which the name ends, too
    enter(sandbox, HostedZoneId=other)
    assert wrong(sandbox) == [
        f"The hosted zone {other} is for le.com, and chat.example.com is not in it: enter the ID of"
        " the zone that DomainName belongs to as HostedZoneId"
    ]
    private = make("chat.example.com", "--vpc=VPCRegion=us-east-1,VPCId=vpc-1")
    enter(sandbox, HostedZoneId=private)
    [told] = wrong(sandbox)
    assert told.startswith(f"The hosted zone {private} is private")
    enter(sandbox, HostedZoneId="Z0GONE")
    [told] = wrong(sandbox)
    assert told.startswith("AWS does not show the hosted zone Z0GONE: ")
    enter(sandbox, DomainName="", CertificateArn="")
    assert wrong(sandbox) == [
        "HostedZoneId needs DomainName, the name of the DNS record: enter both"
    ]


def test_a_key_must_be_there_enabled_symmetric_and_in_the_region(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()

    def make(*words: str) -> str:
        return str(sandbox.ask("kms", "create-key", *words)["KeyMetadata"]["Arn"])

    key = make()
    enter(sandbox, KmsKeyArn=key)
    assert wrong(sandbox) == []
    sandbox.ask("kms", "disable-key", f"--key-id={key}")
    assert wrong(sandbox) == [
        f"The key {key} can't be used: it is disabled: enable it in the console of KMS"
    ]
    asymmetric = make("--key-spec=RSA_2048", "--key-usage=SIGN_VERIFY")
    enter(sandbox, KmsKeyArn=asymmetric)
    [told] = wrong(sandbox)
    assert told.startswith(f"The key {asymmetric} is RSA_2048: enter a symmetric key")
    elsewhere = key.replace("us-east-1", "eu-west-1")
    enter(sandbox, KmsKeyArn=elsewhere)
    [told] = wrong(sandbox)
    assert told.startswith(f"The key {elsewhere} is in eu-west-1, and the chatbot in us-east-1: ")
    gone = f"{key[:-4]}0000"
    enter(sandbox, KmsKeyArn=gone)
    [told] = wrong(sandbox)
    assert told.startswith(f"AWS does not show the key {gone}: ")


def test_a_web_acl_and_a_bucket_must_be_there(new_sandbox: NewSandbox) -> None:
    sandbox = new_sandbox()
    visible = "SampledRequestsEnabled=false,CloudWatchMetricsEnabled=false,MetricName=x"
    words = ("--name=ours", "--scope=CLOUDFRONT", '--default-action={"Allow":{}}')
    made = sandbox.ask("wafv2", "create-web-acl", *words, f"--visibility-config={visible}")
    acl = str(made["Summary"]["ARN"])
    sandbox.ask("s3api", "create-bucket", "--bucket=logs-of-the-team")
    enter(sandbox, WebAclArn=acl, AccessLogBucket="logs-of-the-team")
    assert wrong(sandbox) == []
    gone = f"{acl[:-4]}0000"
    enter(sandbox, WebAclArn=gone, AccessLogBucket="logs-that-are-gone")
    no_acl, no_bucket = wrong(sandbox)
    assert no_acl.startswith(f"AWS does not show the web ACL {gone}: ")
    assert no_bucket.startswith("AWS does not show the bucket logs-that-are-gone: ")
    enter(sandbox, WebAclArn=acl, AccessLogBucket="logs-of-the-team")
    location = "<LocationConstraint>eu-west-1</LocationConstraint>"
    sandbox.aws.answers["GET /logs-of-the-team?location"] = (200, location)
    [told] = wrong(sandbox)
    assert told.startswith("The bucket logs-of-the-team is in eu-west-1, and a load balancer")
    denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    sandbox.aws.answers["GET /logs-of-the-team?location"] = (403, denied)
    assert wrong(sandbox) == []  # another account's may be seen by nobody but load balancers


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MonthlyBudget": "250"}, "MonthlyBudget needs AlarmEmail, the address that is told"),
        ({"MonthlyBudget": "lots"}, "has MonthlyBudget lots: enter whole US dollars, or 0"),
        ({"Firewall": "yes"}, "has Firewall yes: enter enabled or disabled"),
        (
            {"AccessLogs": "enabled", "AccessLogBucket": "logs-of-the-team"},
            "AccessLogs, which makes one, and infra/parameters.json has AccessLogBucket: remove",
        ),
        ({"MonthlyBudget": "0", "Firewall": "disabled", "RequestsPerAddress": "5000"}, ""),
    ],
)
def test_what_the_stacks_beside_need_is_told_before_the_build(
    new_sandbox: NewSandbox, given: dict[str, str], told: str
) -> None:
    sandbox = new_sandbox()
    sandbox.ask("s3api", "create-bucket", "--bucket=logs-of-the-team")
    enter(sandbox, **given)
    found = wrong(sandbox)
    assert told in found[0] if told else found == []  # the emulator knows no budgets
