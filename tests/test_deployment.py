"""deployment.sh takes a project to AWS and looks after it: the real program, the real boto3.

AWS is an emulator on this machine, and docker only pushes names. Where the emulator can't do as AWS
does, the test says so and answers the one call in its place.
"""

import base64
import gzip
import json
import os
import pty
import re
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import quote

import pytest

from support.aws_emulator import emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.cloudformation import ACCOUNT
from support.deployment_calls import BY_PEOPLE, FOR_PROFILES, calls_with
from support.options import DEFAULTS
from support.rendering import Bake
from support.waiting import wait_until

pytestmark = needs_aws

ADDRESS = re.compile(r"https://\w+\.cloudfront\.net\n")
WAITING = ("Handle", "Signal")  # what is in a template that waits for a signal


@dataclass(frozen=True)
class History:
    """A project that was deployed twice, and what was said."""

    project: Path
    state: Path  # of the emulator
    first: CompletedProcess[str]
    second: CompletedProcess[str]
    tags: tuple[str, str]
    builds: list[str]
    calls: set[str]


@pytest.fixture(scope="module")
def rendered(bake_to_keep: Bake) -> Path:
    """A project with the defaults, for the emulator."""
    project = bake_to_keep().path
    remove_what_is_lacking(project / "infra" / "template.yml")
    return project


@pytest.fixture(scope="module")
def history(
    rendered: Path, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("history")
    shutil.copytree(rendered, folder / "project", symlinks=True)
    with emulator(folder / "state", is_kept=True) as port:
        sandbox = Sandbox(folder / "project", programs, port)
        sandbox.git("init", "--quiet")
        tags = [sandbox.commit()]
        first = sandbox.deploy()
        # The emulator dates images by the second: two that were pushed in one are in no order.
        pushed = int(time.time())
        wait_until(lambda: int(time.time()) > pushed, "the next second")
        (sandbox.project / "streamlit_app.py").write_text("# another page\n")
        tags.append(sandbox.commit())
        second = sandbox.deploy()
        sandbox.aws.stop()
    yield History(
        sandbox.project,
        folder / "state",
        first,
        second,
        (tags[0], tags[1]),
        sandbox.builds(),
        sandbox.aws.calls,
    )


@pytest.fixture(scope="module")
def unused_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with emulator(tmp_path_factory.mktemp("unused")) as port:
        yield port


@pytest.fixture
def unused(history: History, programs: Path, unused_port: int, tmp_path: Path) -> Iterator[Sandbox]:
    """A committed project, and an account in which nothing may be made."""
    shutil.copytree(history.project, tmp_path / "project", symlinks=True)
    sandbox = Sandbox(tmp_path / "project", programs, unused_port)
    yield sandbox
    sandbox.aws.stop()
    assert sandbox.aws.changes() == []


@pytest.fixture
def empty(history: History, programs: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """A committed project, and an account with nothing in it."""
    shutil.copytree(history.project, tmp_path / "project", symlinks=True)
    with emulator(tmp_path / "state") as port:
        sandbox = Sandbox(tmp_path / "project", programs, port)
        yield sandbox
        sandbox.aws.stop()


@pytest.fixture
def deployed(history: History, programs: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """A project that was deployed twice, in an account of its own."""
    shutil.copytree(history.project, tmp_path / "project", symlinks=True)
    shutil.copytree(history.state, tmp_path / "state")
    with emulator(tmp_path / "state") as port:
        sandbox = Sandbox(tmp_path / "project", programs, port)
        yield sandbox
        sandbox.aws.stop()


def waits_for_a_signal(resources: dict[str, Any], seconds: int) -> None:
    """Let the stack wait for a signal, and fail after a time without."""
    handle, signal = WAITING
    resources[handle] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    resources[signal] = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": handle}, "Timeout": str(seconds)},
    }


def fails(resources: dict[str, Any]) -> None:
    waits_for_a_signal(resources, 1)


def assert_in_order(text: str, *parts: str) -> None:
    position = 0
    for part in parts:
        position = text.find(part, position) + len(part)
        assert position >= len(part), f"{part!r} is not, or not there, in:\n{text}"


# Deploy


def test_the_first_deploy_goes_from_nothing_to_the_address(history: History) -> None:
    assert ADDRESS.fullmatch(history.first.stdout)
    assert_in_order(
        history.first.stderr,
        f"This is about the stack team-chatbot in us-east-1, in account {ACCOUNT}",
        "Add      Repository                    AWS::ECR::Repository",
        "CREATE_COMPLETE              team-chatbot-registry",
        f"Building the image {history.tags[0]} for linux/arm64",
        "Add      Service                       AWS::ECS::Service",
        "CREATE_COMPLETE              Service",
        "CREATE_COMPLETE              team-chatbot",
        "Waiting until all tasks run team-chatbot:1",
        "team-chatbot:1  COMPLETED, 1 of 1 tasks",
        "before you invite them: ./deployment.sh invite you@example.com\n",
    )


def test_the_next_commit_is_built_once_and_replaces_what_runs(
    history: History, deployed: Sandbox
) -> None:
    assert history.second.stdout == history.first.stdout
    assert "invite" not in history.second.stderr
    assert_in_order(
        history.second.stderr,
        "Nothing to change in the stack team-chatbot-registry",
        "Modify   TaskDefinition",
        "Waiting until all tasks run team-chatbot:2",
        "team-chatbot:2  COMPLETED, 1 of 1 tasks",
    )
    first, second = history.tags
    repository = deployed.parameter("ImageUri").rpartition(":")[0]
    assert history.builds == [
        "buildx build --platform linux/arm64 --provenance=false"
        f" --build-arg REVISION={tag} --tag {repository}:{tag} --push ."
        for tag in (first, second)
    ]
    assert deployed.parameter("ImageUri") == f"{repository}:{second}"
    assert deployed.parameter("TaskSize") == "256/512"
    tags = {each["Key"]: each["Value"] for each in deployed.stack()["Tags"]}
    assert tags == {"Project": "team-chatbot", "Owner": "Our Team"}


def test_a_deploy_without_changes_succeeds_and_builds_nothing(
    history: History, deployed: Sandbox
) -> None:
    done = deployed.deploy("--role-arn", "arn:aws:iam::111122223333:role/deployer")
    assert done.stdout == history.first.stdout
    assert f"The image {history.tags[1]} is in ECR already" in done.stderr
    assert "Nothing to change in the stack team-chatbot\n" in done.stderr
    assert deployed.builds() == []
    assert deployed.aws.changes() == ["CreateChangeSet", "DeleteChangeSet"] * 2
    sent = [body for body in deployed.aws.bodies if "Action=CreateChangeSet" in body]
    assert all("RoleARN=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fdeployer" in it for it in sent)
    (deployed.project / "infra" / "parameters.json").write_text("[ ]\n")
    done = deployed.deploy("--allow-dirty")
    assert "Modify   TaskDefinition" in done.stderr
    assert deployed.parameter("ImageUri").endswith(deployed.builds()[0].split()[-3][-30:])


def test_a_deploy_that_fails_is_taken_back_and_says_why(
    history: History, deployed: Sandbox
) -> None:
    deployed.edit_template(fails)
    done = deployed.run()
    assert done.returncode == 1
    assert done.stdout == ""
    assert_in_order(
        done.stderr,
        "UPDATE_FAILED                Signal",
        "UPDATE_ROLLBACK_COMPLETE     team-chatbot",
        "deployment.sh: The change to the stack team-chatbot failed and was rolled back; "
        "the previous version keeps running. What failed:\n  Signal: ",
    )
    assert deployed.parameter("ImageUri").endswith(history.tags[1])
    assert re.search(r"Last failure +20\S+ Signal \w", deployed.run("status").stdout)
    # A rollback goes to what ran here: not to that image, nor to one of another environment.
    tag = deployed.edit_template(lambda resources: [resources.pop(each) for each in WAITING])
    deployed.deploy()
    push(deployed, "0-elsewhere", "another")
    done = deployed.run("rollback", "--dry-run")
    assert f"From the image {tag} to {history.tags[1]}\n" in done.stderr


def test_a_service_that_fails_tells_its_events_and_why_its_tasks_stopped(deployed: Sandbox) -> None:
    show_a_failure_as_the_services(deployed)
    deployed.edit_template(fails)
    done = deployed.run()
    assert done.returncode == 1
    assert_in_order(
        done.stderr,
        "UPDATE_FAILED                Service",
        "The last events of the service",
        "has begun draining connections",
        "Why its tasks stopped:",
        "1 Deployment completed",
        "chatbot exit code 0",
        "What failed:\n  Service: ",
    )
    show_a_failure_as_the_services(deployed, "")  # as if there never was one
    done = deployed.run()
    assert done.returncode == 1
    assert_in_order(done.stderr, "deployment.sh: The change", "What failed:\n  Service: ")


def show_a_failure_as_the_services(deployed: Sandbox, service: str | None = None) -> None:
    """Show another failure as the service's, because the emulator's services never fail.

    service: its ARN; by default that of the service.
    """
    name = f"{deployed.output('Cluster')}/{deployed.output('Service')}"
    if service is None:
        service = f"arn:aws:ecs:us-east-1:111122223333:service/{name}"

    def of_the_service(answer: str) -> str:
        events = answer.split("<member>")
        for number, event in enumerate(events):
            if "<ResourceType>AWS::CloudFormation::WaitCondition<" in event:
                event = re.sub(r"(<LogicalResourceId>).*?<", r"\1Service<", event)
                event = re.sub(r"(<PhysicalResourceId>).*?<", rf"\1{service}<", event)
                events[number] = re.sub(r"(<ResourceType>).*?<", r"\1AWS::ECS::Service<", event)
        return "<member>".join(events)

    deployed.aws.edits["DescribeStackEvents"] = of_the_service


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("Your account must be verified before you can add CloudFront resources", "AWS Support"),
        ("not authorized to perform: x with an explicit deny in a service control policy", "AWS O"),
        ("User: x is not authorized to perform: efs:CreateFileSystem", "allow the action named"),
        ("User: x is not authorized to perform: iam:CreateRole", "PERMISSIONS_BOUNDARY_ARN"),
        ("The maximum number of VPCs has been reached.", "Service Quotas"),
        ("Access Denied for bucket: logs. Please check S3bucket permission", "logdelivery."),
        ("key does not exist or is not allowed to be used with Arn x", "docs/harden.md"),
        ("Something that nobody has seen before", ""),
    ],
)
def test_what_to_do_about_a_known_failure_is_told(
    deployed: Sandbox, reason: str, advice: str
) -> None:
    def with_reason(answer: str) -> str:
        events = answer.split("<member>")
        pattern = r"(<ResourceStatusReason>).*?<"
        return "<member>".join(
            re.sub(pattern, rf"\1{reason}<", each) if "UPDATE_FAILED" in each else each
            for each in events
        )

    deployed.aws.edits["DescribeStackEvents"] = with_reason
    deployed.edit_template(fails)
    done = deployed.run()
    assert done.returncode == 1
    told = done.stderr.partition("What failed:\n  Signal: ")[2]
    assert told.startswith(f"{reason}\n")
    assert advice in told
    assert bool(told.removeprefix(f"{reason}\n")) == bool(advice)


def test_a_rollout_that_fails_after_the_stack_is_told(deployed: Sandbox) -> None:
    # The emulator's tasks always run, so this answers as ECS does when its circuit breaker opens.
    def goes_back(answer: str) -> str:
        described = json.loads(answer)
        for deployment in described["services"][0]["deployments"]:
            deployment["taskDefinition"] = deployment["taskDefinition"].replace(":2", ":1")
            deployment["rolloutStateReason"] = "ECS deployment circuit breaker: rolling back"
        described["services"][0]["events"] = [{"message": "(service chatbot) is unhealthy"}]
        return json.dumps(described)

    deployed.aws.edits["DescribeServices"] = goes_back
    done = deployed.run()
    assert done.returncode == 1
    assert done.stdout == ""
    assert_in_order(
        done.stderr,
        "is unhealthy",
        "team-chatbot:2 could not be rolled out, and the service runs team-chatbot:1: "
        "ECS deployment circuit breaker: rolling back",
    )


def test_it_waits_until_all_tasks_of_the_new_kind_run(deployed: Sandbox) -> None:
    # The emulator's rollouts take no time; this shows them as ECS does on the way.
    stages = iter([("IN_PROGRESS", 0), ("IN_PROGRESS", 1), ("COMPLETED", 0)])

    def on_the_way(answer: str) -> str:
        described = json.loads(answer)
        deployment = described["services"][0]["deployments"][0]
        state, count = next(stages, ("COMPLETED", 1))
        deployment.update(rolloutState=state, runningCount=count)
        return json.dumps(described)

    deployed.aws.edits["DescribeServices"] = on_the_way
    done = deployed.deploy()
    assert_in_order(
        done.stderr,
        "IN_PROGRESS, 0 of 1 tasks",
        "IN_PROGRESS, 1 of 1 tasks",
        "COMPLETED, 0 of 1 tasks",
        "COMPLETED, 1 of 1 tasks",
    )


def test_the_file_system_is_not_replaced_unless_told(deployed: Sandbox) -> None:
    def replaces(resources: dict[str, Any]) -> None:
        resources["FileSystem"]["Properties"]["Encrypted"] = False

    before = deployed.output("FileSystem")
    deployed.edit_template(replaces)
    done = deployed.run()
    assert done.returncode == 1
    assert_in_order(done.stderr, "FileSystem", "True", "deployment.sh: This would replace the file")
    assert "ExecuteChangeSet" not in deployed.aws.asked
    assert deployed.output("FileSystem") == before
    deployed.deploy("--yes")
    assert deployed.output("FileSystem") != before
    other = deployed.output("FileSystem")
    # The emulator does not list what a condition takes away, as AWS does; so it is taken out.
    file = deployed.project / "infra" / "template.yml"
    template = json.loads(file.read_text())
    del template["Resources"]["FileSystem"]
    file.write_text(json.dumps(template).replace('{"Ref": "FileSystem"}', f'"{before}"'))
    done = deployed.run("--allow-dirty")
    assert done.returncode == 1
    assert_in_order(done.stderr, "Remove   FileSystem", "deployment.sh: This would replace the")
    assert deployed.output("FileSystem") == other


def test_another_key_does_not_replace_the_file_system_unless_told(deployed: Sandbox) -> None:
    key = deployed.ask("kms", "create-key")["KeyMetadata"]["Arn"]
    before = deployed.output("FileSystem")
    write_parameter(deployed, "KmsKeyArn", key)
    done = deployed.run("--allow-dirty")
    assert done.returncode == 1
    assert_in_order(done.stderr, "FileSystem", "True", "deployment.sh: This would replace the file")
    assert deployed.output("FileSystem") == before


def test_the_user_pool_is_not_replaced_unless_told(deployed: Sandbox) -> None:
    pool = deployed.output("UserPoolId")
    file = deployed.project / "infra" / "template.yml"
    template = json.loads(file.read_text())
    del template["Resources"]["UserPool"]  # as above
    file.write_text(json.dumps(template).replace('{"Ref": "UserPool"}', f'"{pool}"'))
    done = deployed.run("--allow-dirty")
    assert done.returncode == 1
    assert_in_order(
        done.stderr, "Remove   UserPool", "deployment.sh: This would replace the user pool with the"
    )
    assert "ExecuteChangeSet" not in deployed.aws.asked


def write_parameter(sandbox: Sandbox, name: str, value: str) -> None:
    file = sandbox.project / "infra" / "parameters.json"
    parameters = [each for each in json.loads(file.read_text()) if each["ParameterKey"] != name]
    parameters.append({"ParameterKey": name, "ParameterValue": value})
    file.write_text(json.dumps(parameters, indent=1))


# Checks


def test_everything_that_is_missing_is_named_at_once(unused: Sandbox, tmp_path: Path) -> None:
    bare = only(tmp_path / "bare", "bash", "dirname", "python3")
    (unused.project / "infra" / "tags.json").unlink()
    done = unused.run(PATH=str(bare))
    assert done.returncode == 1
    for name in ("docker", "git"):
        assert f"  - {name} is not installed: https://" in done.stderr
    assert "  - The file infra/tags.json is missing" in done.stderr


def only(folder: Path, *names: str) -> Path:
    """A folder for PATH with nothing but these programs.

    Python is the one that runs the tests: another may be a script that needs more of PATH.
    """
    folder.mkdir()
    for name in names:
        program = sys.executable if name == "python3" else str(shutil.which(name))
        (folder / name).symlink_to(Path(program).resolve())
    return folder


def test_a_docker_that_does_not_work_is_told(unused: Sandbox) -> None:
    done = unused.run(DOCKER_FAILS="version")
    assert done.returncode == 1
    assert "docker's daemon does not answer (docker: as the test wants it): start" in done.stderr
    done = unused.run(DOCKER_FAILS="buildx version")
    assert "docker has no buildx" in done.stderr


def test_expired_and_missing_credentials_are_told(unused: Sandbox, tmp_path: Path) -> None:
    # The emulator takes all credentials; this is how AWS refuses them.
    unused.aws.answers["GetCallerIdentity"] = (
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security "
        "token included in the request is expired</Message></Error></ErrorResponse>",
    )
    for verb in ("deploy", "status", "logs", "rollback", "destroy"):
        done = unused.run(verb)
        assert done.returncode == 1
        assert "AWS does not accept the credentials: " in done.stderr
        assert "(ExpiredToken)" in done.stderr and "aws sso login" in done.stderr
    done = unused.run("status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "AWS does not accept the credentials: Unable to locate credentials" in done.stderr
    unused.aws.answers.clear()
    config = tmp_path / "config"
    config.write_text(
        "[profile gone]\ncredential_process = /nowhere/tool\n"
        "[profile text]\ncredential_process = echo hello\n"
        "[profile code]\nrole_arn = arn:aws:iam::111122223333:role/a\nsource_profile = key\n"
        "mfa_serial = arn:aws:iam::111122223333:mfa/ann\n"
        "[profile key]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    for profile, told in (
        ("gone", "The credentials can't be read: [Errno 2] No such file or directory: '/nowhere/"),
        ("text", "The credentials can't be read: Expecting value"),
        ("code", "The profile needs the code of an MFA device, and there is no terminal"),
    ):
        done = unused.run("status", "--profile", profile, AWS_CONFIG_FILE=str(config))
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert told in done.stderr


def test_a_network_without_aws_is_told(unused: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time\n\ntime.sleep = lambda _: None\n")
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "PYTHONPATH": str(tmp_path)}
    done = unused.run("status", **nowhere)
    assert done.returncode == 1
    assert "AWS can't be reached: " in done.stderr and "set HTTPS_PROXY" in done.stderr
    assert "sso login" not in done.stderr


def test_what_is_not_committed_is_refused_with_a_way_out(unused: Sandbox) -> None:
    (unused.project / "new.txt").touch()
    for setting in ("normal", "no"):
        unused.git("config", "status.showUntrackedFiles", setting)
        done = unused.run()
        assert done.returncode == 1
        assert "Some changes are not committed" in done.stderr and "--allow-dirty" in done.stderr
    (unused.project / "new.txt").unlink()
    (unused.project / ".git" / "index").write_text("damaged")
    done = unused.run("--dry-run")
    assert done.returncode == 1
    assert "git does not tell whether all changes are committed (fatal: " in done.stderr
    shutil.rmtree(unused.project / ".git")
    done = unused.run()
    assert done.returncode == 1
    assert "There is no git commit here" in done.stderr and "--allow-dirty" in done.stderr


def test_a_trial_of_what_is_not_committed_has_a_tag_that_says_so(
    history: History, unused: Sandbox
) -> None:
    assert f"Would build the image {history.tags[1]} for" in unused.run("--dry-run").stderr
    (unused.project / "new.txt").touch()
    told = unused.run("--dry-run", "--allow-dirty").stderr
    assert re.search(rf"the image {history.tags[1]}-dirty-20\d{{12}} for linux", told)
    shutil.rmtree(unused.project / ".git")
    told = unused.run("--dry-run", "--allow-dirty").stderr
    assert re.search(r"the image local-20\d{12} for linux", told)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        '[{"ParameterKey": "Tasks"},]',
        '{"Tasks": "1"}',
        '[{"Key": "Tasks"}]',
        "7",
        '["Tasks"]',
        '{"ParameterKey": "Tasks", "ParameterValue": "2"}',
        '[{"ParameterKey": "Tasks", "ParameterValue": 2}]',
    ],
)
def test_parameters_that_cannot_be_read_are_told_before_the_build(
    unused: Sandbox, text: str
) -> None:
    (unused.project / "infra" / "parameters.json").write_text(text)
    done = unused.run("--allow-dirty")
    assert done.returncode == 1
    assert "infra/parameters.json is not a list that AWS can read" in done.stderr
    assert unused.builds() == []


def test_parameters_that_aws_would_refuse_are_told_before_the_build(
    bake: Bake, programs: Path, unused_port: int
) -> None:
    project = bake(network="existing VPC", sign_in="none")
    remove_what_is_lacking(project.path / "infra" / "template.yml")
    sandbox = Sandbox(project.path, programs, unused_port)
    for name in ("TaskSiez", "ImageUri"):
        write_parameter(sandbox, name, "512/1024")
    write_parameter(sandbox, "TaskSubnetA", "subnet-0a")
    done = sandbox.run("--allow-dirty")
    assert done.returncode == 1
    for name in ("VpcId", "LoadBalancerSubnetA", "LoadBalancerSubnetB", "TaskSubnetB"):
        assert f"\n  - infra/parameters.json must have a value for {name}\n" in done.stderr
    assert "infra/parameters.json has TaskSiez, which infra/template.yml does not" in done.stderr
    assert "has ImageUri, which the deployment finds by itself" in done.stderr
    assert done.stderr.count("\n  - ") == 6
    assert sandbox.aws.changes() == sandbox.builds() == []
    sandbox.aws.stop()


@pytest.mark.parametrize(("least", "most"), [("5", None), ("11", "9")])
def test_a_least_number_of_tasks_above_the_greatest_is_told_before_the_build(
    unused: Sandbox, least: str, most: str | None
) -> None:
    file = unused.project / "infra" / "parameters.json"
    given = {"MinTasks": least} | ({"MaxTasks": most} if most else {})
    entries = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    file.write_text(json.dumps(entries))
    done = unused.run("--allow-dirty")
    assert done.returncode == 1
    told = f"MinTasks is {least}, and MaxTasks only {most or 4}: change one of them in infra/param"
    assert told in done.stderr
    assert unused.builds() == []


def test_another_user_pool_is_refused_before_the_build(deployed: Sandbox) -> None:
    """AWS would make the new pool's domain while the old one still has its name."""
    pool = deployed.output("UserPoolId")
    builds = len(deployed.builds())
    write_parameter(deployed, "UserPoolId", "us-east-1_Another1")
    done = deployed.run("--allow-dirty")
    assert done.returncode == 1
    assert f"the stack team-chatbot has {pool}, which only a new stack can change" in done.stderr
    assert len(deployed.builds()) == builds
    write_parameter(deployed, "UserPoolId", pool)
    assert deployed.run("deploy", "--dry-run", "--allow-dirty").returncode == 0


def test_a_parameter_that_is_given_twice_is_told(unused: Sandbox) -> None:
    entry = '{"ParameterKey": "MinTasks", "ParameterValue": "2"}'
    (unused.project / "infra" / "parameters.json").write_text(f"[{entry}, {entry}]")
    assert "infra/parameters.json has MinTasks twice" in unused.run("--allow-dirty").stderr


def test_tags_that_can_not_change_are_told_before_the_build(deployed: Sandbox) -> None:
    """AWS changes nothing of CloudFront's VPC origin while it is in use, not even its tags."""
    file = deployed.project / "infra" / "tags.json"
    tags = json.loads(file.read_text())
    file.write_text(json.dumps([*tags, {"Key": "Team", "Value": "Legal"}]))
    done = deployed.run("--allow-dirty")
    assert done.returncode == 1
    assert "infra/tags.json differs from the tags of the stack team-chatbot" in done.stderr
    assert '{"Key": "Owner", "Value": "Our Team"}' in done.stderr
    assert deployed.aws.changes() == deployed.builds() == []
    file.write_text(json.dumps(tags[::-1]))  # the same, in another order
    deployed.deploy("--allow-dirty")


def test_a_template_that_aws_refuses_is_told_before_the_build(unused: Sandbox) -> None:
    (unused.project / "infra" / "template.yml").write_text("Resources: {A: {Type: AWS::No::Such}}")
    done = unused.run("--allow-dirty")
    assert done.returncode == 1
    assert re.search(r"AWS rejects infra/template.yml: .*AWS::No::Such", done.stderr)
    (unused.project / "infra" / "template.yml").write_text("#" * 51_201)
    done = unused.run("--allow-dirty")
    assert done.returncode == 1
    assert "infra/template.yml has 51201 bytes, and CloudFormation takes 51200: " in done.stderr
    assert unused.builds() == []


# Models


def test_the_tasks_may_call_the_models_of_models_toml(deployed: Sandbox) -> None:
    file = deployed.project / "models.toml"
    offered = [table["id"] for table in tomllib.loads(file.read_text()).values()]
    own = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:"
    assert named_models(deployed) == [f"{own}inference-profile/{each}" for each in offered]
    profile = f"{own}application-inference-profile/a1b2"
    behind = "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-x"
    # The emulator has no Bedrock.
    asked = f"GET /inference-profiles/{quote(profile, safe='')}"
    deployed.aws.answers[asked] = (200, json.dumps({"models": [{"modelArn": behind}]}))
    file.write_text(f'[x]\nname = "X"\nid = "{profile}"\ncontext_window = 1000\n')
    deployed.commit()
    deployed.deploy()
    assert named_models(deployed) == [profile]
    assert deployed.parameter("ModelsBehind") == behind
    assert {each for each in deployed.aws.calls if "bedrock" in each} == FOR_PROFILES
    deployed.aws.answers[asked] = (404, json.dumps({"message": "no such profile"}))
    done = deployed.run()
    assert done.returncode == 1
    assert "models.toml has a profile that AWS does not know: " in done.stderr


def named_models(sandbox: Sandbox) -> list[str]:
    return sandbox.parameter("ModelsNamed").split(",")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[x", "can't be read: "),
        ("", "offers no model"),
        ("id = 1", "must have a table with an id in place of id"),
        ("[x]\nname = 'X'", "must have a table with an id in place of x"),
    ],
)
def test_models_that_cannot_be_read_are_told_before_the_build(
    unused: Sandbox, text: str, told: str
) -> None:
    (unused.project / "models.toml").write_text(text)
    done = unused.run("--allow-dirty")
    assert done.returncode == 1
    assert f"  - models.toml {told}" in done.stderr
    assert unused.builds() == []


# Dry runs


def test_a_dry_run_says_each_step_and_changes_nothing(unused: Sandbox) -> None:
    done = unused.run("--dry-run")
    assert done.returncode == 0
    assert done.stdout == ""
    assert_in_order(
        done.stderr,
        "Would create the stack team-chatbot-registry",
        "Would build the image",
        "the stack team-chatbot, which is not there",
        "Nothing was changed",
    )
    assert unused.builds() == []  # and the fixture sees that AWS was only read


def test_a_dry_run_beside_a_running_stack_changes_nothing(
    history: History, deployed: Sandbox
) -> None:
    done = deployed.run("deploy", "--dry-run")
    assert "the stack team-chatbot, which is UPDATE_COMPLETE" in done.stderr
    done = deployed.run("rollback", "--dry-run")
    assert f"From the image {history.tags[1]} to {history.tags[0]}" in done.stderr
    done = deployed.run("destroy", "--dry-run", "--delete-data")
    assert f"{deployed.output('FileSystem')}, are deleted" in done.stderr
    assert f"{deployed.output('UserPoolId')}, are deleted" in done.stderr
    assert deployed.aws.changes() == []
    assert deployed.builds() == []


def test_another_architecture_and_no_cloudfront_are_rendered(
    bake: Bake, programs: Path, unused_port: int
) -> None:
    project = bake(cpu_architecture="x86-64", use_cloudfront="no")
    remove_what_is_lacking(project.path / "infra" / "template.yml")
    sandbox = Sandbox(project.path, programs, unused_port)
    done = sandbox.run("--dry-run")
    assert done.returncode == 1
    for reason in (
        "To sign in, browsers need HTTPS: enter DomainName and",
        "no git commit here",
        "infra/parameters.json must have a value for AllowedCidr",
    ):
        assert f"\n  - {reason}" in done.stderr.replace("There is ", "")
    assert sandbox.aws.changes() == []
    write_parameter(sandbox, "DomainName", "chat.example.com")
    write_parameter(sandbox, "CertificateArn", "arn:aws:acm:us-east-1:111122223333:certificate/1")
    write_parameter(sandbox, "AllowedCidr", "203.0.113.0/24")
    certificate = {"Status": "ISSUED", "DomainName": "chat.example.com"}
    sandbox.aws.answers["DescribeCertificate"] = (200, json.dumps({"Certificate": certificate}))
    done = sandbox.run("--dry-run", "--allow-dirty")
    assert done.returncode == 0, done.stderr
    assert "for linux/amd64" in done.stderr
    assert "DescribeManagedPrefixLists" not in sandbox.aws.asked
    sandbox.aws.stop()


# Zones


def zone_ids(*ids: str) -> Any:
    """Return how to change AWS's answer, so that the first zones have these IDs."""

    def edit(answer: str) -> str:
        head, *zones = answer.split("<zoneId>")
        for number, id_ in enumerate(ids[: len(zones)]):
            zones[number] = id_ + zones[number][zones[number].index("<") :]
        return "<zoneId>".join([head, *zones])

    return edit


def test_a_new_network_is_in_zones_that_cloudfront_reaches(empty: Sandbox) -> None:
    """By name, the first zone of an account may be one that VPC origins do not support."""
    empty.aws.edits["DescribeAvailabilityZones"] = zone_ids("use1-az3", "use1-az4", "use1-az1")
    empty.deploy()
    assert (empty.parameter("ZoneA"), empty.parameter("ZoneB")) == ("us-east-1b", "us-east-1c")


def test_a_new_network_without_cloudfront_is_in_zones_that_have_fargate(
    bake: Bake, programs: Path, unused_port: int
) -> None:
    project = bake(use_cloudfront=False, sign_in="none")
    remove_what_is_lacking(project.path / "infra" / "template.yml")
    sandbox = Sandbox(project.path, programs, unused_port)
    write_parameter(sandbox, "AllowedCidr", "203.0.113.0/24")
    sandbox.aws.edits["DescribeAvailabilityZones"] = zone_ids(*["use1-az3"] * 5)
    done = sandbox.run("deploy", "--allow-dirty")
    assert done.returncode == 1
    assert "us-east-1 has fewer than two Availability Zones" in done.stderr
    sandbox.aws.stop()


def test_a_network_stays_in_its_zones(deployed: Sandbox) -> None:
    """Other zones would replace its subnets, which are in use."""
    before = deployed.parameter("ZoneA"), deployed.parameter("ZoneB")
    deployed.aws.edits["DescribeAvailabilityZones"] = zone_ids("use1-az3")
    deployed.commit()
    deployed.deploy()
    assert before == (deployed.parameter("ZoneA"), deployed.parameter("ZoneB"))
    assert "us-east-1a" in before


def test_a_region_without_two_zones_is_refused_before_anything_is_made(unused: Sandbox) -> None:
    unused.aws.edits["DescribeAvailabilityZones"] = zone_ids(*["use1-az3"] * 5)
    done = unused.run("deploy")
    assert done.returncode == 1
    assert "us-east-1 has fewer than two Availability Zones" in done.stderr


@pytest.mark.parametrize("verb", ["deploy", "doctor"])
def test_a_region_without_vpc_origins_is_refused_before_anything_is_made(
    unused: Sandbox, verb: str
) -> None:
    done = unused.run(verb, "--region=ap-southeast-6")
    assert done.returncode == 1
    assert "CloudFront reaches no private load balancer in ap-southeast-6" in done.stderr
    assert unused.builds() == []
    file = unused.project / "deployment" / "vpc_origins.py"
    file.write_text(file.read_text().replace('"af-south-1",', '"ap-southeast-6",'))
    done = unused.run(verb, "--region=ap-southeast-6", "--dry-run")
    assert "CloudFront reaches no private load balancer" not in done.stderr
    unused.aws.asked.clear()  # what `doctor` asks the models is no change


# The permissions boundary


BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/github-Boundary-1"


def test_the_roles_keep_the_boundary_that_they_were_given(deployed: Sandbox) -> None:
    assert deployed.parameter("PermissionsBoundary") == ""
    deployed.deploy(PERMISSIONS_BOUNDARY_ARN=BOUNDARY)
    assert deployed.parameter("PermissionsBoundary") == BOUNDARY
    deployed.commit()
    deployed.deploy()
    assert deployed.parameter("PermissionsBoundary") == BOUNDARY
    write_parameter(deployed, "PermissionsBoundary", f"{BOUNDARY}-of-the-company")
    deployed.deploy("--allow-dirty", PERMISSIONS_BOUNDARY_ARN=BOUNDARY)
    assert deployed.parameter("PermissionsBoundary") == f"{BOUNDARY}-of-the-company"


def test_only_a_person_gives_a_running_stack_its_boundary(deployed: Sandbox) -> None:
    """GitHub's roles could not take it away again if the deployment failed."""
    role = f"arn:aws:iam::{ACCOUNT}:role/github"
    done = deployed.run(PERMISSIONS_BOUNDARY_ARN=BOUNDARY, CLOUDFORMATION_ROLE_ARN=role)
    assert done.returncode == 1
    assert f"PERMISSIONS_BOUNDARY_ARN={BOUNDARY} ./deployment.sh deploy" in done.stderr
    assert deployed.aws.changes() == []
    deployed.deploy(PERMISSIONS_BOUNDARY_ARN=BOUNDARY)
    deployed.deploy(PERMISSIONS_BOUNDARY_ARN=BOUNDARY, CLOUDFORMATION_ROLE_ARN=role)


def test_github_gives_a_new_stack_its_boundary(empty: Sandbox) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/github"
    empty.deploy(PERMISSIONS_BOUNDARY_ARN=BOUNDARY, CLOUDFORMATION_ROLE_ARN=role)
    assert empty.parameter("PermissionsBoundary") == BOUNDARY


# Bad usage


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("deploy-to-mars", 'There is no verb "deploy-to-mars"'),
        ("--fast", "There is no option --fast"),
        ("deploy status", "One verb at a time"),
        ("deploy now", 'deploy does not know what to do with "now"'),
        ("deploy --delete-data", "deploy has no option --delete-data"),
        ("deploy --follow", "deploy has no option --follow"),
        ("status me", 'status does not know what to do with "me"'),
        ("status --dry-run", "status has no option --dry-run"),
        ("logs yesterday", 'logs does not know what to do with "yesterday"'),
        ("logs --yes", "logs has no option --yes"),
        ("rollback one two", 'rollback does not know what to do with "two"'),
        ("rollback --allow-dirty", "rollback has no option --allow-dirty"),
        ("invite", "invite needs an e-mail address"),
        ("invite ann", "invite needs an e-mail address"),
        ("invite ann@example.com bob@example.com", 'invite does not know what to do with "bob@'),
        (
            "invite ann@example.com --group two words",
            'invite does not know what to do with "words"',
        ),
        ("invite ann@example.com --yes", "invite has no option --yes"),
        ("invite ann@example.com --subject=1", "invite has no option --subject"),
        ("remove", "remove needs an e-mail address"),
        ("remove ann@example.com --group=staff", "remove has no option --group"),
        ("people", "people needs one of list, find, export and erase"),
        ("people show", "people needs one of list, find, export and erase"),
        ("people list ann@example.com", "people list shows everyone"),
        ("people find", "people find needs an e-mail address, or --subject"),
        ("people find ann", '"ann" is not an e-mail address'),
        ("people find ann@example.com --subject=1", "Either an e-mail address or --subject"),
        ('people find --subject=a"b', "must have no spaces, quotes or backslashes"),
        ("people find ann@example.com --yes", "people find has no option --yes"),
        ("people erase ann@example.com --group=staff", "people has no option --group"),
        ("export ann", '"ann" is not an e-mail address'),
        ("export ann@example.com --subject=1", "Either an e-mail address or --subject"),
        ("export --issuer=https://login.example.com", "--issuer needs --subject"),
        ("export --yes", "export has no option --yes"),
        ("feedback all", 'feedback does not know what to do with "all"'),
        ("feedback --subject=1", "feedback has no option --subject"),
        ("restore one two", 'restore does not know what to do with "two"'),
        ("restore --with-deleted", "--with-deleted needs an archive, or a recovery point"),
        ("export --with-deleted", "export has no option --with-deleted"),
        ("destroy everything", 'destroy does not know what to do with "everything"'),
        ("destroy --allow-dirty", "destroy has no option --allow-dirty"),
        ("destroy --keep-data --delete-data", "Either --keep-data or --delete-data"),
        ("status --region", "--region needs a value"),
        ("status --region --profile=x", "--region needs a value"),
        ("status --region=Frankfurt", '"Frankfurt" is not an AWS region'),
        ("status --stack-name=", "--stack-name needs a value"),
        ("status --stack-name a_b", "A stack can't be named"),
        ("status --yes=please", "There is no option --yes=please"),
    ],
)
def test_bad_usage_is_told_in_one_sentence(unused: Sandbox, words: str, part: str) -> None:
    done = unused.run(*words.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert part in done.stderr
    assert done.stderr.startswith("deployment.sh: ") and done.stderr.count("\n") == 1
    assert unused.aws.asked == []


@pytest.mark.parametrize("words", ["--help", "-h", "help", "destroy --help"])
def test_help_lists_verbs_options_and_defaults(unused: Sandbox, words: str) -> None:
    done = unused.run(*words.split())
    assert done.returncode == 0
    for word in ("deploy", "status", "logs", "rollback [TAG]", "destroy", "--dry-run", "us-east-1"):
        assert word in done.stdout
    assert unused.aws.asked == []


def test_stack_region_and_profile_come_from_options_or_the_environment(unused: Sandbox) -> None:
    def told(*words: str, **environment: str) -> str:
        return unused.run("status", *words, **environment).stderr

    assert "no stack team-chatbot in us-east-1." in told()
    assert "no stack one in eu-west-1." in told(STACK_NAME="one", AWS_DEFAULT_REGION="eu-west-1")
    assert "no stack two in eu-west-3." in told(
        "--stack-name=two",
        "--region",
        "eu-west-3",
        STACK_NAME="one",
        AWS_REGION="eu-west-2",
        AWS_DEFAULT_REGION="eu-west-1",
    )
    assert unused.aws.regions == {"us-east-1", "eu-west-1", "eu-west-3"}
    assert re.search(r"profile \(?there-is-none", told("--profile", "there-is-none"))


# What runs, and going back


def test_status_tells_what_runs_and_what_is_wrong(history: History, deployed: Sandbox) -> None:
    alarm = deployed.ask("cloudwatch", "describe-alarms")["MetricAlarms"][0]["AlarmName"]
    quiet = deployed.run("status")
    assert quiet.stderr == ""
    assert quiet.stdout.splitlines() == [
        "Stack         team-chatbot in us-east-1, UPDATE_COMPLETE",
        f"Address       {history.first.stdout.strip()}",
        f"Image         {history.tags[1]}",
        "Tasks         1 of 1 run team-chatbot:2, COMPLETED",
        "In alarm      nothing",
        "Last failure  none",
    ]
    state = ("--state-value=ALARM", "--state-reason=The test")
    deployed.ask("cloudwatch", "set-alarm-state", f"--alarm-name={alarm}", *state)
    assert re.search(rf"In alarm +{alarm}: ", deployed.run("status").stdout)
    assert [each for each in deployed.aws.changes() if each != "SetAlarmState"] == []


def test_a_service_that_somebody_deleted_is_told(deployed: Sandbox) -> None:
    deployed.aws.answers["DescribeServices"] = (200, json.dumps({"services": [], "failures": []}))
    for words in (("status",), ("deploy",), ("people", "find", "--subject=1")):
        done = deployed.run(*words)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert "The service of the stack team-chatbot is gone" in done.stderr
        assert "Traceback" not in done.stderr


def test_logs_are_those_of_the_last_hour_and_can_be_followed(deployed: Sandbox) -> None:
    group = deployed.output("LogGroup")
    name = (f"--log-group-name={group}", "--log-stream-name=a-task")
    deployed.ask("logs", "create-log-stream", *name)
    now = int(time.time() * 1000)
    events = [
        {"timestamp": now - 2 * 3600 * 1000, "message": "long ago"},
        {"timestamp": now - 30 * 60 * 1000, "message": "half an hour ago"},
    ]
    deployed.ask("logs", "put-log-events", *name, f"--log-events={json.dumps(events)}")
    done = deployed.run("logs")
    assert done.returncode == 0
    assert "half an hour ago" in done.stdout and "long ago" not in done.stdout
    follower = deployed.start("logs", "-f")
    assert "half an hour ago" in follower.stdout.readline()
    assert follower.poll() is None
    os.killpg(follower.pid, signal.SIGINT)
    follower.communicate(timeout=20)


def test_rollback_changes_nothing_but_the_image(history: History, deployed: Sandbox) -> None:
    first, second = history.tags
    write_parameter(deployed, "TaskSize", "512/1024")  # of the next deploy, not of a rollback
    deployed.edit_template(fails)
    done = deployed.run("rollback")
    assert done.returncode == 0, done.stderr
    assert done.stdout == history.first.stdout
    assert f"From the image {second} to {first}" in done.stderr
    assert "Waiting until all tasks run team-chatbot:3" in done.stderr
    assert deployed.parameter("ImageUri").endswith(f":{first}")
    assert deployed.parameter("TaskSize") == "256/512"
    assert deployed.stack()["Tags"] == [
        {"Key": "Project", "Value": "team-chatbot"},
        {"Key": "Owner", "Value": "Our Team"},
    ]
    running = deployed.ask("ecs", "describe-task-definition", "--task-definition=team-chatbot")
    images = [each["image"] for each in running["taskDefinition"]["containerDefinitions"]]
    assert images == [deployed.parameter("ImageUri")]
    assert deployed.builds() == []
    done = deployed.run("rollback")
    assert done.returncode == 1
    assert f"is known to have run in team-chatbot before {first}, which is running" in done.stderr
    assert "./deployment.sh rollback TAG\n" in done.stderr
    assert f"\n  {second}\n" in done.stderr
    done = deployed.run("rollback", second)
    assert done.returncode == 0
    assert deployed.parameter("ImageUri").endswith(f":{second}")


def test_a_stack_that_has_settled_is_not_waited_for(history: History, deployed: Sandbox) -> None:
    """AWS may call a stack busy a moment longer than its last event does."""
    busy = iter(["busy"] * 3)

    def late(answer: str) -> str:
        if next(busy, None) is None:
            return answer
        return answer.replace(">UPDATE_COMPLETE<", ">UPDATE_IN_PROGRESS<")

    deployed.aws.edits["DescribeStacks"] = late
    done = deployed.run("rollback", history.tags[1])
    assert done.returncode == 0, done.stderr
    assert_in_order(done.stderr, "UPDATE_IN_PROGRESS: waiting", "Nothing to change in the stack")


def test_rollback_to_an_unknown_tag_lists_those_that_there_are(
    history: History, deployed: Sandbox
) -> None:
    first, second = history.tags
    for tag in ("0123456789ab", first[:11], "." * 12):
        done = deployed.run("rollback", tag)
        assert done.returncode == 1
        assert_in_order(done.stderr, f"There is no image {tag} in ECR", second, first)
    assert deployed.aws.changes() == []


def test_an_image_with_two_tags_is_found_by_both(history: History, deployed: Sandbox) -> None:
    # ECR keeps one image when a commit changed nothing in it.
    push(deployed, "0-same", deployed.parameter("ImageUri"))
    first, second = history.tags
    assert f"to {first}\n" in deployed.run("rollback", "--dry-run").stderr
    for tag in ("0-same", second):
        assert f"to {tag}\n" in deployed.run("rollback", tag, "--dry-run").stderr


def push(sandbox: Sandbox, tag: str, image: str) -> None:
    """Push an image, as docker's stand-in does."""
    name = sandbox.parameter("ImageUri").partition("/")[2].partition(":")[0]
    words = (f"--image-tag={tag}", f"--image-manifest={json.dumps({'image': image})}")
    sandbox.ask("ecr", "put-image", f"--repository-name={name}", *words)


def test_without_a_stack_each_verb_says_so(unused: Sandbox) -> None:
    for verb in ("status", "logs", "rollback"):
        done = unused.run(verb)
        assert done.returncode == 1
        assert "There is no stack team-chatbot in us-east-1. To create it: " in done.stderr


# What the role of GitHub's jobs may do


def test_it_calls_what_is_known_of_it_and_nothing_else(history: History, deployed: Sandbox) -> None:
    show_a_failure_as_the_services(deployed)
    deployed.edit_template(fails)
    for verb in ("deploy", "status", "logs", "rollback"):
        deployed.run(verb)
    made = history.calls | deployed.aws.calls
    # One that was never completed; below, another, after a look at all.
    deletes = {"cloudformation:DeleteStack", "cloudformation:ListStacks"}
    assert made | deletes == calls_with(DEFAULTS)
    deployed.run("invite", ANN, "--group=staff")
    content = gzip.compress(b"chats")
    plays(deployed, *export_lines(content))
    deployed.run("people", "export", ANN)
    deployed.run("remove", ANN)
    assert deployed.run("destroy", "--yes", "--delete-data").returncode == 0
    assert deletes <= deployed.aws.calls
    assert deployed.aws.calls - calls_with(DEFAULTS) == BY_PEOPLE


def test_a_change_set_is_named_together_with_its_stack(deployed: Sandbox) -> None:
    """IAM may know one that is named by its ARN alone as a resource that belongs to no stack."""
    deployed.edit_template(fails)
    deployed.run()
    asked = [body for body in deployed.aws.bodies if "ChangeSet&" in body]
    assert len(asked) >= 4
    assert [body for body in asked if "StackName=" not in body] == []


# People

ANN = "ann@example.com"


def account(sandbox: Sandbox, email: str = ANN) -> dict[str, Any]:
    words = (f"--user-pool-id={sandbox.output('UserPoolId')}", f"--username={email}")
    found: dict[str, Any] = sandbox.ask("cognito-idp", "admin-get-user", *words)
    return found | {each["Name"]: each["Value"] for each in found["UserAttributes"]}


def test_invited_people_get_an_e_mail_until_they_have_signed_in(deployed: Sandbox) -> None:
    done = deployed.run("invite", ANN)
    assert done.returncode == 0, done.stderr
    assert f"{ANN} gets an e-mail with a password" in done.stderr
    assert deployed.output("Address") in done.stderr
    invited = account(deployed)
    assert invited["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert (invited["email"], invited["email_verified"]) == (ANN, "true")
    [sent] = [body for body in deployed.aws.bodies if "DesiredDeliveryMediums" in body]
    assert json.loads(sent)["DesiredDeliveryMediums"] == ["EMAIL"]
    assert deployed.run("invite", ANN).returncode == 0
    *_, sent = [body for body in deployed.aws.bodies if "DesiredDeliveryMediums" in body]
    assert json.loads(sent)["MessageAction"] == "RESEND"
    assert account(deployed)["sub"] == invited["sub"]
    signs_in(deployed)
    deployed.aws.asked.clear()
    done = deployed.run("invite", ANN)
    assert done.returncode == 0
    assert f"{ANN} has signed in before" in done.stderr
    assert deployed.aws.changes() == []


def signs_in(sandbox: Sandbox) -> None:
    """Choose a password for Ann, as she does when she signs in first."""
    words = (f"--user-pool-id={sandbox.output('UserPoolId')}", f"--username={ANN}")
    password = ("--password=Correct-Horse-9", "--permanent")
    sandbox.ask("cognito-idp", "admin-set-user-password", *words, *password)


def test_people_join_groups_that_are_made_for_them(deployed: Sandbox) -> None:
    pool = deployed.output("UserPoolId")
    for person in (ANN, "bob@example.com"):
        done = deployed.run("invite", person, "--group", "legal-team")
        assert done.returncode == 0, done.stderr
        assert f"{person} is in the group legal-team" in done.stderr
    signs_in(deployed)
    assert deployed.run("invite", ANN, "--group=admins").returncode == 0
    groups = deployed.ask("cognito-idp", "list-groups", f"--user-pool-id={pool}")["Groups"]
    members = {
        each["GroupName"]: {
            next(one["Value"] for one in user["Attributes"] if one["Name"] == "email")
            for user in deployed.ask(
                "cognito-idp",
                "list-users-in-group",
                f"--user-pool-id={pool}",
                f"--group-name={each['GroupName']}",
            )["Users"]
        }
        for each in groups
    }
    assert members == {"legal-team": {ANN, "bob@example.com"}, "admins": {ANN}}


def test_who_is_removed_is_gone_and_what_is_kept_can_still_be_found(deployed: Sandbox) -> None:
    deployed.run("invite", ANN)
    subject = account(deployed)["sub"]
    deployed.aws.asked.clear()
    done = deployed.run("remove", ANN, "--dry-run")
    assert (done.returncode, deployed.aws.changes()) == (0, [])
    done = deployed.run("remove", ANN)
    assert done.returncode == 0, done.stderr
    assert f"./deployment.sh people erase --subject {subject}\n" in done.stderr
    words = (f"--user-pool-id={deployed.output('UserPoolId')}",)
    assert deployed.ask("cognito-idp", "list-users", *words)["Users"] == []
    for verb in (("remove",), ("people", "find")):
        done = deployed.run(*verb, ANN)
        assert done.returncode == 1
        assert f"There is no {ANN} in the user pool" in done.stderr
    assert deployed.run("people", "find", "--subject", subject, "--dry-run").returncode == 0


def plays(sandbox: Sandbox, *lines: str, code: int | None = 0) -> None:
    """Let the next task say these lines and end, because the emulator has no containers."""

    def started(answer: str) -> str:
        task = json.loads(answer)["tasks"][0]["taskArn"].rpartition("/")[2]
        group = f"--log-group-name={sandbox.output('LogGroup')}"
        stream = f"--log-stream-name=chatbot/chatbot/{task}"
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines]
        sandbox.ask("logs", "create-log-stream", group, stream)
        if events:
            events_word = f"--log-events={json.dumps(events)}"
            sandbox.ask("logs", "put-log-events", group, stream, events_word)
        return answer

    def ended(answer: str) -> str:
        described = json.loads(answer)
        for task in described["tasks"]:
            task.update(lastStatus="STOPPED", stoppedReason="Essential container in task exited")
            chatbot = {"name": "chatbot"} | ({} if code is None else {"exitCode": code})
            task["containers"] = [{"name": "aws-gd-agent", "exitCode": 9}, chatbot]
        return json.dumps(described)

    sandbox.aws.edits["RunTask"] = started
    sandbox.aws.edits["DescribeTasks"] = ended


def asked_of_task(sandbox: Sandbox) -> Any:
    """Return what ECS was asked to run last."""
    return json.loads([body for body in sandbox.aws.bodies if "containerOverrides" in body][-1])


def streams(sandbox: Sandbox) -> list[str]:
    words = (f"--log-group-name={sandbox.output('LogGroup')}",)
    return [
        each["logStreamName"]
        for each in sandbox.ask("logs", "describe-log-streams", *words)["logStreams"]
    ]


def test_what_is_kept_about_a_person_is_found_by_a_task_like_those_of_the_service(
    deployed: Sandbox,
) -> None:
    deployed.run("invite", ANN)
    plays(deployed, "2 chats, 1 file", "The last one is of today.")
    done = deployed.run("people", "find", ANN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 chats, 1 file\nThe last one is of today.\n"
    task = asked_of_task(deployed)
    issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{deployed.output('UserPoolId')}"
    words = ["people", "find", "--issuer", issuer, "--subject", account(deployed)["sub"]]
    command = ["python", "-m", "chatbot", *words]
    assert task["overrides"] == {"containerOverrides": [{"name": "chatbot", "command": command}]}
    assert task["taskDefinition"] == deployed.output("TaskDefinition")
    names = (f"--cluster={deployed.output('Cluster')}", f"--services={deployed.output('Service')}")
    [service] = deployed.ask("ecs", "describe-services", *names)["services"]
    assert task["networkConfiguration"] == service["networkConfiguration"]
    assert task["launchType"] == service["launchType"] == "FARGATE"
    deployed.run("people", "find", "--subject=gone", "--issuer", "https://old.example.com")
    command = asked_of_task(deployed)["overrides"]["containerOverrides"][0]["command"]
    assert command[-4:] == ["--issuer", "https://old.example.com", "--subject", "gone"]


def test_a_task_that_finds_nobody_or_does_not_run_is_told(deployed: Sandbox) -> None:
    plays(deployed, "Nothing is kept of this person.", code=1)
    done = deployed.run("people", "find", "--subject=nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("Nothing is kept of this person.\n")
    plays(deployed, code=None)
    done = deployed.run("people", "find", "--subject=nobody")
    assert done.returncode == 1
    assert "The task did not run: Essential container" in done.stderr
    plays(deployed, "Killed", code=137)
    done = deployed.run("people", "find", "--subject=nobody")
    assert done.returncode == 1
    assert_in_order(done.stderr, "Killed", "ended with the exit code 137")
    deployed.aws.edits["DescribeTasks"] = lambda _: json.dumps({"tasks": [], "failures": []})
    done = deployed.run("people", "find", "--subject=nobody", POLL_SECONDS="0.01")
    assert done.returncode == 1
    assert "ECS does not know the task " in done.stderr
    refused = {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}
    deployed.aws.answers["RunTask"] = (200, json.dumps(refused))
    done = deployed.run("people", "find", "--subject=nobody")
    assert done.returncode == 1
    assert "AWS runs no task: RESOURCE:MEMORY" in done.stderr


def export_lines(content: bytes) -> list[str]:
    text = base64.b64encode(content).decode()
    parts = [text[start : start + 8000] for start in range(0, len(text), 8000)]
    return ["-----BEGIN EXPORT-----", *parts, "-----END EXPORT-----"]


def test_an_export_is_a_private_file_and_leaves_the_log(deployed: Sandbox) -> None:
    deployed.run("invite", ANN)
    content = gzip.compress(os.urandom(20_000))
    plays(deployed, "A line of a library", *export_lines(content))
    before = streams(deployed)
    done = deployed.run("people", "export", ANN)
    assert done.returncode == 0, done.stderr
    file = deployed.project / f"{ANN}-export.tar.gz"
    assert done.stdout == f"{file}\n"
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o077 == 0
    assert "--base64" in asked_of_task(deployed)["overrides"]["containerOverrides"][0]["command"]
    assert streams(deployed) == before
    assert deployed.git("status", "--porcelain") == ""  # it must not be committed
    deployed.aws.asked.clear()
    done = deployed.run("people", "export", ANN)
    assert done.returncode == 1
    assert f"{file} is there already" in done.stderr
    assert "RunTask" not in deployed.aws.asked


def test_an_export_that_can_not_be_written_leaves_no_part_of_it(deployed: Sandbox) -> None:
    lines = export_lines(gzip.compress(os.urandom(20_000)))
    before = streams(deployed)
    plays(deployed, *lines)
    subject = "a" * 300  # longer than a file's name may be
    script = deployed.project / "with-a-limit.sh"
    script.write_text(f"ulimit -f 8; exec ./deployment.sh people export --subject {subject}\n")
    process = deployed.start(script=script.name)  # as on a full disk
    said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, ""), told
    assert "-export.tar.gz could not be written: File too large. Make room" in told
    assert "Traceback" not in told
    assert list(deployed.project.glob("*-export.tar.gz")) == []
    [stream] = set(streams(deployed)) - set(before)
    assert f"The log stream {stream} still holds this export." in told


def test_an_export_that_is_not_whole_is_not_saved_and_one_that_stays_in_the_log_is_told(
    deployed: Sandbox,
) -> None:
    first, *middle, last = export_lines(gzip.compress(os.urandom(20_000)))
    before = streams(deployed)
    file = deployed.project / "auth0-1-export.tar.gz"
    for lines in ([first, *middle[1:], last], [first, *middle[:-1]]):
        plays(deployed, *lines)
        done = deployed.run("people", "export", "--subject", "auth0|1", POLL_SECONDS="0.01")
        assert done.returncode == 1
        assert "did not reach the log as a whole" in done.stderr
        assert not file.exists()
        assert streams(deployed) == before
    plays(deployed, first, *middle, last)
    deployed.aws.answers["DeleteLogStream"] = (
        400,
        '{"__type": "AccessDeniedException", "message": "may not"}',
    )
    done = deployed.run("people", "export", "--subject", "auth0|1")
    assert done.returncode == 1
    assert_in_order(done.stderr, f"The export is in {file}.", "aws logs delete-log-stream")
    assert file.exists()


def test_erasing_a_person_is_asked_for_twice(deployed: Sandbox) -> None:
    words = ("people", "erase", "--subject=1")
    plays(deployed, "Deleted 3 chats.")
    deployed.aws.asked.clear()
    done = deployed.run(*words)
    assert done.returncode == 1
    assert "There is no terminal to ask for confirmation" in done.stderr
    code, told = answer_in_terminal(deployed, "yes", words)
    assert (code, "That is not team-chatbot; nothing was changed." in told) == (1, True)
    assert deployed.run(*words, "--dry-run").returncode == 0
    assert deployed.aws.changes() == []
    done = deployed.run(*words, "--yes")
    assert (done.returncode, done.stdout) == (0, "Deleted 3 chats.\n")
    code, told = answer_in_terminal(deployed, "team-chatbot", words)
    assert code == 0, told


def test_with_a_provider_of_ones_own_people_are_known_by_their_subject(
    bake: Bake, programs: Path, tmp_path: Path
) -> None:
    project = bake(sign_in="OpenID Connect")
    remove_what_is_lacking(project.path / "infra" / "template.yml")
    with emulator(tmp_path / "state") as port:
        sandbox = Sandbox(project.path, programs, port)
        metadata = "https://login.example.com/team/.well-known/openid-configuration"
        arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:chatbot-AbCd12"
        write_parameter(sandbox, "OidcMetadataUrl", metadata)
        write_parameter(sandbox, "OidcClientId", "0oa1")
        write_parameter(sandbox, "OidcClientSecretArn", arn)
        sandbox.deploy("--allow-dirty")
        plays(sandbox, "1 chat")
        done = sandbox.run("people", "find", "--subject", "00u1")
        assert (done.returncode, done.stdout) == (0, "1 chat\n"), done.stderr
        command = asked_of_task(sandbox)["overrides"]["containerOverrides"][0]["command"]
        issuer = "https://login.example.com/team"
        assert command[-4:] == ["--issuer", issuer, "--subject", "00u1"]
        sandbox.run("people", "list")
        command = asked_of_task(sandbox)["overrides"]["containerOverrides"][0]["command"]
        assert command[-2:] == ["people", "list"]
        for words, part in (
            (("people", "list", "--subject=1"), "people list shows everyone"),
            (("people", "find"), "people find needs --subject, which people list shows"),
            (("people", "find", ANN), f'people does not know what to do with "{ANN}"'),
            (("invite", ANN), 'There is no verb "invite"'),
        ):
            done = sandbox.run(*words)
            assert (done.returncode, part in done.stderr) == (2, True), done.stderr
        sandbox.aws.stop()


# Failures, and running it again


def test_ctrl_c_during_the_build_leaves_nothing_half_done(deployed: Sandbox) -> None:
    tag = deployed.commit()
    process = deployed.start(DOCKER_HANGS="buildx build")
    wait_until(deployed.builds, "the build")
    os.killpg(process.pid, signal.SIGINT)
    said, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == ""
    assert_in_order(told, "Interrupted. The stack team-chatbot is unchanged.", "again")
    deployed.deploy()
    assert deployed.parameter("ImageUri").endswith(f":{tag}")


def test_ctrl_c_during_a_change_leaves_it_to_aws_and_the_next_run_goes_on(
    deployed: Sandbox,
) -> None:
    tag = deployed.edit_template(lambda resources: waits_for_a_signal(resources, 60))

    def executed() -> None:
        deployed.aws.before["DescribeStackEvents"] = lambda: os.killpg(process.pid, signal.SIGINT)

    deployed.aws.before["ExecuteChangeSet"] = executed
    process = deployed.start()
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert said == ""
    assert "Interrupted. AWS continues to change the stack team-chatbot" in told
    assert deployed.stack()["StackStatus"] == "UPDATE_IN_PROGRESS"

    def followed() -> None:
        deployed.aws.before["DescribeStackEvents"] = lambda: deployed.ask(
            "cloudformation",
            "signal-resource",
            "--stack-name=team-chatbot",
            "--logical-resource-id=Signal",
            "--unique-id=1",
            "--status=SUCCESS",
        )

    deployed.aws.before["DescribeStackEvents"] = followed
    done = deployed.deploy()
    assert_in_order(
        done.stderr,
        "The stack team-chatbot is UPDATE_IN_PROGRESS: waiting for it to finish",
        "UPDATE_COMPLETE              team-chatbot",
        "Nothing to change in the stack team-chatbot",
    )
    assert deployed.parameter("ImageUri").endswith(f":{tag}")


def test_a_first_deploy_that_was_refused_or_failed_starts_afresh(empty: Sandbox) -> None:
    empty.edit_template(fails)
    # The emulator has no permissions; this is how AWS refuses what a role may not do.
    empty.aws.answers["ExecuteChangeSet"] = (
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        "<Message>may not execute</Message></Error></ErrorResponse>",
    )
    done = empty.run()
    assert done.returncode == 1
    stopped = "Stopped by the error above. The stack team-chatbot-registry is unchanged."
    assert_in_order(done.stderr, "may not execute", stopped, "again")
    empty.aws.answers.clear()
    refused = (400, '{"__type": "AccessDeniedException", "message": "may not look"}')
    empty.aws.answers["DescribeImages"] = refused
    done = empty.run()
    assert done.returncode == 1
    assert_in_order(
        done.stderr,
        "Deleting the stack team-chatbot-registry, which is REVIEW_IN_PROGRESS",
        "CREATE_COMPLETE              team-chatbot-registry",
        "may not look",
        "Stopped by the error above. The stack team-chatbot-registry is CREATE_COMPLETE.",
    )
    empty.aws.answers.clear()
    done = empty.run()
    assert done.returncode == 1
    assert_in_order(
        done.stderr,
        "ROLLBACK_COMPLETE            team-chatbot",
        "The stack team-chatbot could not be created, so its resources were deleted. "
        "What failed:\n  Signal: ",
    )
    assert "there is nothing to roll back to" in empty.run("rollback").stderr
    empty.edit_template(lambda resources: [resources.pop(each) for each in WAITING])
    done = empty.deploy()
    assert "Deleting the stack team-chatbot, which is ROLLBACK_COMPLETE" in done.stderr
    assert ADDRESS.fullmatch(done.stdout)


def test_what_github_may_not_delete_after_a_first_deploy_that_failed_is_told(
    empty: Sandbox,
) -> None:
    """The emulator may delete everything; this shows the stack as one whose role may not."""
    empty.edit_template(fails)

    def undeleted(answer: str) -> str:
        events = answer.split("<member>")
        for number, event in enumerate(events):
            for name, service in (("FileSystem", "elasticfilesystem"), ("UserPool", "cognito-idp")):
                if f">{name}<" in event and ">DELETE_COMPLETE<" in event:
                    event = event.replace(">DELETE_COMPLETE<", ">DELETE_FAILED<")
                    reason = f"not authorized to perform: {service}:Delete{name}"
                    events[number] = re.sub("(<ResourceStatusReason>).*?<", rf"\1{reason}<", event)
        return "<member>".join(events).replace(">ROLLBACK_COMPLETE<", ">ROLLBACK_FAILED<")

    resources = "".join(
        f"<member><LogicalResourceId>{name}</LogicalResourceId><PhysicalResourceId>{id_}"
        f"</PhysicalResourceId><ResourceStatus>{status}</ResourceStatus></member>"
        for name, id_, status in (
            ("FileSystem", "fs-0a1b", "DELETE_FAILED"),
            ("UserPool", "us-east-1_AbC", "DELETE_FAILED"),
            ("Cluster", "c", "DELETE_COMPLETE"),
        )
    )
    listing = f"<StackResourceSummaries>{resources}</StackResourceSummaries>"
    answer = f"<R><ListStackResourcesResult>{listing}</ListStackResourcesResult></R>"
    empty.aws.answers["ListStackResources"] = (200, answer)
    empty.aws.edits["DescribeStackEvents"] = undeleted
    done = empty.run()
    assert done.returncode == 1
    assert_in_order(
        done.stderr,
        "DELETE_FAILED                FileSystem",
        "ROLLBACK_FAILED. What failed:\n  Signal: ",
        "\nLeft behind: ",
        "aws efs delete-file-system --file-system-id fs-0a1b --region us-east-1",
        "aws cognito-idp delete-user-pool --user-pool-id us-east-1_AbC --region us-east-1",
    )
    assert "\n  FileSystem: " not in done.stderr
    assert "Ask those who gave you" not in done.stderr


def test_a_rollback_that_aws_could_not_finish_is_told_with_a_way_out(deployed: Sandbox) -> None:
    # The emulator finishes its rollbacks; this shows the stack as AWS does when it could not.
    def stuck(answer: str) -> str:
        return answer.replace(">UPDATE_COMPLETE<", ">UPDATE_ROLLBACK_FAILED<")

    deployed.aws.edits["DescribeStacks"] = stuck
    done = deployed.run()
    assert done.returncode == 1
    assert "aws cloudformation continue-update-rollback --region us-east-1" in done.stderr
    assert deployed.aws.changes() == ["CreateChangeSet", "DeleteChangeSet"]  # the registry's
    assert deployed.builds() == []


def test_a_build_that_fails_is_told_with_a_way_out(deployed: Sandbox) -> None:
    deployed.commit()
    done = deployed.run(DOCKER_FAILS="buildx build")
    assert done.returncode == 1
    assert_in_order(done.stderr, "docker: as the test wants it", "The image could not be built.")
    assert "tonistiigi/binfmt --install arm64" in done.stderr
    # Unless somebody else pushed it meanwhile.
    tag = deployed.git("rev-parse", "HEAD")[:12]
    deployed.aws.before["GetAuthorizationToken"] = lambda: push(deployed, tag, "the same")
    done = deployed.deploy(DOCKER_FAILS="buildx build")
    assert f"The image {tag} is in ECR by now" in done.stderr
    assert deployed.parameter("ImageUri").endswith(tag)


# Destroy


def test_destroy_asks_for_the_stacks_name(deployed: Sandbox) -> None:
    done = deployed.run("destroy")
    assert done.returncode == 1
    assert "There is no terminal to ask for confirmation" in done.stderr and "--yes" in done.stderr
    script = deployed.project / "without-input.sh"
    script.write_text("exec ./deployment.sh destroy <&-\n")
    process = deployed.start(script=script.name)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "There is no terminal to ask for confirmation" in told
    code, told = answer_in_terminal(deployed, "yes")
    assert code == 1
    assert "That is not team-chatbot; nothing was changed." in told
    assert deployed.aws.changes() == []
    code, told = answer_in_terminal(deployed, "team-chatbot")
    assert code == 0, told
    assert resting(deployed) == "None"


def answer_in_terminal(
    sandbox: Sandbox, answer: str, words: tuple[str, ...] = ("destroy",)
) -> tuple[int, str]:
    """Answer what a verb asks in a terminal; return the exit code and what was said."""
    ours, theirs = pty.openpty()
    process = sandbox.start(*words, stdin=theirs)
    os.write(ours, f"{answer}\n".encode())
    _, told = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    return process.returncode, told


def resting(sandbox: Sandbox) -> str:
    return str(sandbox.stack()["StackStatus"])


def test_destroy_keeps_the_conversations_and_a_new_stack_can_adopt_them(
    history: History, deployed: Sandbox
) -> None:
    kept, pool = deployed.output("FileSystem"), deployed.output("UserPoolId")
    done = deployed.run("destroy", "--yes")
    assert done.returncode == 0, done.stderr
    line = f'  {{ "ParameterKey": "FileSystemId", "ParameterValue": "{kept}" }},\n'
    line += f'  {{ "ParameterKey": "UserPoolId", "ParameterValue": "{pool}" }},\n'
    assert_in_order(
        done.stderr,
        "DELETE_SKIPPED               FileSystem",
        "DELETE_COMPLETE              team-chatbot",
        "DELETE_COMPLETE              team-chatbot-registry",
        f"The conversations are kept in {kept}.",
        f"The people are kept in {pool}.",
        line,
    )
    assert deployed.file_systems() == [kept]
    assert deployed.ask("cloudformation", "describe-stacks")["Stacks"] == []
    again = deployed.run("destroy", "--yes")
    assert again.returncode == 0, again.stderr
    assert line in again.stderr
    assert line in deployed.run("deploy", "--dry-run").stderr

    file = deployed.project / "infra" / "parameters.json"
    file.write_text(file.read_text().replace("[\n", f"[\n{line}", 1))
    deployed.commit()
    assert ADDRESS.fullmatch(deployed.deploy().stdout)
    assert deployed.output("FileSystem") == kept
    assert deployed.file_systems() == [kept]
    assert deployed.output("UserPoolId") == pool
    assert deployed.user_pools() == [pool]
    assert deployed.run("invite", "ann@example.com").returncode == 0
    done = deployed.run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stderr
    assert deployed.file_systems() == deployed.user_pools() == []


def test_destroy_deletes_the_conversations_if_told_and_can_be_repeated(deployed: Sandbox) -> None:
    kept = deployed.output("FileSystem")
    # As when the credentials expire between the stacks and the file system.
    deletion = f"DELETE /2015-02-01/file-systems/{kept}"
    deployed.aws.answers[deletion] = (403, '{"ErrorCode": "ExpiredToken", "Message": "expired"}')
    done = deployed.run("destroy", "--delete-data", "--yes")
    assert done.returncode == 1
    assert_in_order(done.stderr, "DELETE_COMPLETE", "expired", f"{kept} may still be there")
    assert deployed.file_systems() == [kept]
    deployed.aws.answers.clear()
    for _ in range(2):
        done = deployed.run("destroy", "--delete-data", "--yes")
        assert done.returncode == 0, done.stderr
        assert deployed.file_systems() == []
    assert "AWS Backup" not in done.stderr


def leave_something(sandbox: Sandbox, *, for_good: bool) -> tuple[str, str]:
    """Leave in the network what GuardDuty and CloudFront do, and let its deletion fail for that.

    The emulator deletes a network with everything in it.
    """
    name = sandbox.stack()["StackId"]
    resources = sandbox.ask("cloudformation", "list-stack-resources", f"--stack-name={name}")
    [vpc] = [
        each["PhysicalResourceId"]
        for each in resources["StackResourceSummaries"]
        if each["LogicalResourceId"] == "Vpc"
    ]
    group = sandbox.ask(
        *("ec2", "create-security-group", f"--vpc-id={vpc}", "--description=CloudFront's"),
        "--group-name=CloudFront-VPCOrigins-Service-SG",
    )["GroupId"]
    endpoint = sandbox.ask(
        *("ec2", "create-vpc-endpoint", f"--vpc-id={vpc}", "--vpc-endpoint-type=Interface"),
        "--service-name=com.amazonaws.us-east-1.guardduty-data",
        "--tag-specifications=ResourceType=vpc-endpoint,Tags=[{Key=GuardDutyManaged,Value=true}]",
    )["VpcEndpoint"]["VpcEndpointId"]
    event = (
        "<member><EventId>{0}-TIMES</EventId><StackId>{1}</StackId><LogicalResourceId>{0}"
        "</LogicalResourceId><PhysicalResourceId>{2}</PhysicalResourceId><ResourceType>AWS::X"
        "</ResourceType><Timestamp>2026-01-01T00:00:00Z</Timestamp><ResourceStatus>DELETE_FAILED"
        "</ResourceStatus><ResourceStatusReason>has dependencies</ResourceStatusReason></member>"
    )
    events = event.format("team-chatbot", name, name) + event.format("Vpc", name, vpc)

    def failed(answer: str) -> str:
        times = sandbox.aws.asked.count("DeleteStack")
        fresh = events.replace("TIMES", str(times)) if times else ""
        return answer.replace("<StackEvents>", f"<StackEvents>{fresh}", 1)

    def succeed() -> None:
        sandbox.aws.answers.pop("DeleteStack")
        sandbox.aws.edits.pop("DescribeStackEvents")

    sandbox.aws.asked.clear()
    sandbox.aws.answers["DeleteStack"] = (200, "<DeleteStackResponse/>")
    sandbox.aws.edits["DescribeStackEvents"] = failed
    if not for_good:
        sandbox.aws.before["DeleteSecurityGroup"] = succeed
    return group, endpoint


def test_what_others_left_in_the_network_is_removed(deployed: Sandbox) -> None:
    group, endpoint = leave_something(deployed, for_good=False)
    done = deployed.run("destroy", "--yes")
    assert done.returncode == 0, done.stderr
    assert_in_order(
        done.stderr,
        "DELETE_FAILED                Vpc  has dependencies",
        f"Removing what GuardDuty left in the network: {endpoint}",
        f"Removing the security group CloudFront-VPCOrigins-Service-SG, {group}",
        "DELETE_COMPLETE              team-chatbot",
    )
    assert resting(deployed) == "None"


def test_a_network_that_can_not_be_deleted_is_told_with_what_is_in_it(deployed: Sandbox) -> None:
    group, endpoint = leave_something(deployed, for_good=True)
    deployed.aws.answers["DeleteVpcEndpoints"] = (
        200,
        f"<Response><unsuccessful><item><resourceId>{endpoint}</resourceId><error><code>X</code>"
        "<message>GuardDuty uses it</message></error></item></unsuccessful></Response>",
    )
    deployed.aws.answers["DeleteSecurityGroup"] = (
        400,
        "<Response><Errors><Error><Code>DependencyViolation</Code><Message>resource has a "
        "dependent object</Message></Error></Errors></Response>",
    )
    done = deployed.run("destroy", "--yes")
    assert done.returncode == 1
    assert_in_order(
        done.stderr,
        f"AWS does not delete {endpoint}: GuardDuty uses it",
        "AWS still uses it: ",
        "deployment.sh: The stack team-chatbot could not be deleted",
        "In the network vpc-",
        f"security group {group}: CloudFront-VPCOrigins-Service-SG",
    )


def test_of_several_user_pools_none_is_guessed(deployed: Sandbox) -> None:
    deployed.ask("cognito-idp", "create-user-pool", "--pool-name=team-chatbot")
    deployed.run("destroy", "--yes")
    assert len(deployed.user_pools()) == 2
    done = deployed.run("destroy", "--delete-data", "--yes")
    assert done.returncode == 1
    assert all(each in done.stderr for each in deployed.user_pools())
    assert len(deployed.user_pools()) == 2


def test_of_several_file_systems_none_is_guessed(deployed: Sandbox) -> None:
    tags = "--tags=Key=aws:cloudformation:stack-name,Value=team-chatbot"
    for token in ("one", "two"):
        deployed.ask("efs", "create-file-system", f"--creation-token={token}", tags)
    deployed.run("destroy", "--yes")
    assert len(deployed.file_systems()) == 3
    done = deployed.run("destroy", "--delete-data", "--yes")
    assert done.returncode == 1
    assert all(each in done.stderr for each in deployed.file_systems())
    assert len(deployed.file_systems()) == 3
