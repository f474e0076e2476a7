"""The stacks beside the chatbot's come and go with the parameters that ask for them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.aws_emulator import emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.cloudformation import ACCOUNT
from support.rendering import Bake
from support.yaml_reading import read_yaml

pytestmark = needs_aws

WEB_ACL = f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/made/1"
# What stands in for what the emulator can't make; it has the stack's first parameter.
TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": ""}}}


@pytest.fixture
def sandbox(bake: Bake, programs: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """A committed project, far from us-east-1, and an account with nothing in it."""
    with emulator(tmp_path / "state") as port:
        project = bake(aws_region="eu-central-1").path
        remove_what_is_lacking(project / "infra" / "template.yml")
        # The emulator makes neither budgets nor NAT gateways nor all of a firewall in a stack.
        made = {"budget": {}, "firewall": {"WebAclArn": {"Value": WEB_ACL}}, "private": {}}
        for name, outputs in made.items():
            file = project / "infra" / f"{name}.yml"
            parameters = read_yaml(file.read_text())["Parameters"]
            first = json.dumps(TOPIC).replace('""', f'"{next(iter(parameters))}"')
            resources = {"Resources": {"Topic": json.loads(first)}}
            file.write_text(json.dumps({"Parameters": parameters, "Outputs": outputs} | resources))
        sandbox = Sandbox(project, programs, port)
        sandbox.environment["AWS_DEFAULT_REGION"] = "eu-central-1"  # for what pushes the image
        sandbox.git("init", "--quiet")
        sandbox.commit()
        yield sandbox
        sandbox.aws.stop()


def enter(sandbox: Sandbox, **given: str) -> None:
    file = sandbox.project / "infra" / "parameters.json"
    values = {each["ParameterKey"]: each["ParameterValue"] for each in json.loads(file.read_text())}
    pairs = (values | given).items()
    entries = [{"ParameterKey": name, "ParameterValue": value} for name, value in pairs]
    file.write_text(json.dumps(entries))


def stacks(sandbox: Sandbox, region: str) -> dict[str, dict[str, str]]:
    """Return the parameters of each stack in a region."""
    found = sandbox.ask("cloudformation", "describe-stacks", f"--region={region}")["Stacks"]
    return {
        each["StackName"]: {
            one["ParameterKey"]: one["ParameterValue"] for one in each.get("Parameters", ())
        }
        for each in found
    }


def buckets(sandbox: Sandbox) -> list[str]:
    return [each["Name"] for each in sandbox.ask("s3api", "list-buckets")["Buckets"]]


def test_stacks_beside_the_chatbots_come_and_go_with_their_parameters(sandbox: Sandbox) -> None:
    here, there = "eu-central-1", "us-east-1"
    asked = {"MonthlyBudget": "250", "AlarmEmail": "team@example.com"}
    asked |= {"AccessLogs": "enabled", "LogDays": "7", "Firewall": "enabled"}
    enter(sandbox, **asked)
    told = sandbox.deploy("--allow-dirty", "--dry-run").stderr
    for name in ("budget", "access-logs", "firewall"):
        assert f"Would create the stack team-chatbot-{name}, or change it if it differs" in told
    assert (stacks(sandbox, here), stacks(sandbox, there)) == ({}, {})
    sandbox.deploy("--allow-dirty")
    assert set(stacks(sandbox, here)) == {
        "team-chatbot",
        "team-chatbot-access-logs",
        "team-chatbot-registry",
    }
    assert stacks(sandbox, here)["team-chatbot-access-logs"] == {"LogDays": "7"}
    [bucket] = buckets(sandbox)
    assert bucket.startswith("chatbot-logs-")
    used = stacks(sandbox, here)["team-chatbot"]
    assert (used["AccessLogBucket"], used["WebAclArn"]) == (bucket, WEB_ACL)
    assert not {"AccessLogs", "Firewall", "MonthlyBudget"} & set(used)
    assert stacks(sandbox, there) == {
        "team-chatbot-budget": {"MonthlyBudget": "250", "AlarmEmail": "team@example.com"},
        "team-chatbot-firewall": {"RequestsPerAddress": "30000"},
    }
    # Nothing is changed again.
    sandbox.aws.asked.clear()
    sandbox.deploy("--allow-dirty")
    # What is no longer asked for goes, once the chatbot's stack does without it.
    enter(sandbox, AccessLogs="disabled", Firewall="disabled", MonthlyBudget="300")
    told = sandbox.deploy("--allow-dirty", "--dry-run").stderr
    assert "Would delete the stack team-chatbot-access-logs, as AccessLogs no longer asks" in told
    done = sandbox.deploy("--allow-dirty")
    told = done.stderr
    assert told.index("Changing the stack team-chatbot\n") < told.index(
        "Deleting the stack team-chatbot-access-logs"
    )
    assert f"The access logs stay in the bucket {bucket}, where they expire." in told
    assert buckets(sandbox) == [bucket]
    used = stacks(sandbox, here)["team-chatbot"]
    assert (used["AccessLogBucket"], used["WebAclArn"]) == ("", "")
    assert set(stacks(sandbox, here)) == {"team-chatbot", "team-chatbot-registry"}
    assert stacks(sandbox, there) == {
        "team-chatbot-budget": {"MonthlyBudget": "300", "AlarmEmail": "team@example.com"}
    }
    # Nothing is left of them.
    done = sandbox.run("destroy", "--yes")
    assert done.returncode == 0, done.stderr
    assert "It deletes the stack team-chatbot-budget in us-east-1, too." in done.stderr
    assert (stacks(sandbox, here), stacks(sandbox, there)) == ({}, {})


def test_private_tasks_get_what_they_need_before_they_move(sandbox: Sandbox) -> None:
    here = "eu-central-1"
    # As where an organization denies all that is in another region.
    sandbox.aws.answers["us-east-1 DescribeStacks"] = (
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        "<Message>with an explicit deny</Message></Error></ErrorResponse>",
    )
    enter(sandbox, PrivateTasks="enabled")
    told = sandbox.deploy("--allow-dirty").stderr
    assert_in_order(
        told,
        "Making the network first, in which the tasks still have public addresses",
        "CREATE_COMPLETE              team-chatbot\n",
        "CREATE_COMPLETE              team-chatbot-private\n",
        "UPDATE_COMPLETE              team-chatbot\n",
        "Passing over the stack team-chatbot-budget, which AWS does not show: ",
    )
    found = sandbox.ask(
        *("cloudformation", "list-stack-resources", "--stack-name=team-chatbot"),
        f"--region={here}",
    )["StackResourceSummaries"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    given = stacks(sandbox, here)["team-chatbot-private"]
    assert given.pop("ExecEnabled") == "false"
    assert given == {name: ids[name] for name in given}
    assert set(given) == {
        "PrivateRouteTable",
        "PrivateSubnetA",
        "PrivateSubnetB",
        "PublicSubnetA",
        "TaskSecurityGroup",
        "Vpc",
    }
    assert placed(sandbox) == ("DISABLED", {ids["PrivateSubnetA"], ids["PrivateSubnetB"]})
    # They move back before that goes.
    enter(sandbox, PrivateTasks="disabled")
    told = sandbox.deploy("--allow-dirty").stderr
    assert_in_order(
        told,
        "UPDATE_COMPLETE              team-chatbot\n",
        "Deleting the stack team-chatbot-private",
    )
    assert placed(sandbox) == ("ENABLED", {ids["PublicSubnetA"], ids["PublicSubnetB"]})
    # And it goes before the network does.
    enter(sandbox, PrivateTasks="enabled")
    assert "Making the network first" not in sandbox.deploy("--allow-dirty").stderr
    before = set(stacks(sandbox, here))
    words = ("cloudformation", "update-termination-protection", "--stack-name=team-chatbot")
    sandbox.ask(*words, "--enable-termination-protection", f"--region={here}")
    done = sandbox.run("destroy", "--yes")
    assert done.returncode == 1
    assert "because termination protection is on for team-chatbot. To turn it off" in done.stderr
    assert set(stacks(sandbox, here)) == before
    sandbox.ask(*words, "--no-enable-termination-protection", f"--region={here}")
    done = sandbox.run("destroy", "--yes")
    assert done.returncode == 0, done.stderr
    assert_in_order(
        done.stderr,
        "DELETE_COMPLETE              team-chatbot-private\n",
        "DELETE_COMPLETE              team-chatbot\n",
    )
    assert stacks(sandbox, here) == {}


def placed(sandbox: Sandbox) -> tuple[str, set[str]]:
    """Return whether tasks have public addresses, and their subnets."""
    region = "--region=eu-central-1"
    [cluster] = sandbox.ask("ecs", "list-clusters", region)["clusterArns"]
    [service] = sandbox.ask("ecs", "list-services", f"--cluster={cluster}", region)["serviceArns"]
    words = (f"--cluster={cluster}", f"--services={service}", region)
    [found] = sandbox.ask("ecs", "describe-services", *words)["services"]
    network = found["networkConfiguration"]["awsvpcConfiguration"]
    return network["assignPublicIp"], set(network["subnets"])


def assert_in_order(text: str, *parts: str) -> None:
    position = 0
    for part in parts:
        position = text.find(part, position) + len(part)
        assert position >= len(part), f"{part!r} is not, or not there, in:\n{text}"


@pytest.mark.parametrize("name", ["access-logs", "budget", "firewall", "private", "registry"])
def test_no_environment_has_the_name_of_such_a_stack(sandbox: Sandbox, name: str) -> None:
    (sandbox.project / "infra" / f"parameters.{name}.json").write_text("[]")
    done = sandbox.run("status", f"--environment={name}")
    assert done.returncode == 2
    assert (
        f'An environment can\'t be named "{name}", as another stack has that name.' in done.stderr
    )
    assert sandbox.aws.asked == []
