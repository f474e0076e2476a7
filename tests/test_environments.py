"""Environments beside each other: stacks of their own, one image that is promoted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.aws_emulator import emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.rendering import Bake

pytestmark = needs_aws

FOOTER = 'Für "alle": $5, 20 %, \\n {{x}} ${AWS::Region} 👋'


@pytest.fixture
def sandbox(bake: Bake, programs: Path, tmp_path: Path) -> Iterator[Sandbox]:
    """A committed project with an environment, and an account with nothing in it."""
    with emulator(tmp_path / "state") as port:
        project = bake().path
        remove_what_is_lacking(project / "infra" / "template.yml")
        sandbox = Sandbox(project, programs, port)
        differs = [
            {"ParameterKey": "TaskSize", "ParameterValue": "512/1024"},
            {"ParameterKey": "Footer", "ParameterValue": FOOTER},
        ]
        (project / "infra" / "parameters.staging.json").write_text(json.dumps(differs))
        sandbox.git("init", "--quiet")
        sandbox.commit()
        yield sandbox
        sandbox.aws.stop()


def parameters(sandbox: Sandbox, stack: str) -> dict[str, str]:
    [found] = sandbox.ask("cloudformation", "describe-stacks", f"--stack-name={stack}")["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}


def stacks(sandbox: Sandbox) -> set[str]:
    found = sandbox.ask("cloudformation", "describe-stacks")["Stacks"]
    return {each["StackName"] for each in found}


def test_an_image_is_built_once_and_promoted(sandbox: Sandbox) -> None:
    sandbox.deploy("--environment", "staging")
    assert stacks(sandbox) == {"team-chatbot-staging", "team-chatbot-registry"}
    assert parameters(sandbox, "team-chatbot-staging")["TaskSize"] == "512/1024"
    before = sandbox.run("promote", "staging", "--dry-run")
    assert before.returncode == 0, before.stderr
    assert stacks(sandbox) == {"team-chatbot-staging", "team-chatbot-registry"}
    done = sandbox.run("promote", "staging", DOCKER_FAILS="version")  # which it does not need
    assert done.returncode == 0, done.stderr
    assert "From team-chatbot-staging to team-chatbot: the image " in done.stderr
    assert "sha256:" in done.stderr
    staging, production = (
        parameters(sandbox, name) for name in ("team-chatbot-staging", "team-chatbot")
    )
    assert staging["ImageUri"] == production["ImageUri"]
    assert production["TaskSize"] == "256/512"
    assert (staging["Footer"], production["Footer"]) == (FOOTER, "")
    assert len(sandbox.builds()) == 1
    for words in (("status",), ("status", "--environment=staging")):
        assert sandbox.run(*words).returncode == 0
    file = sandbox.project / "infra" / "parameters.staging.json"
    moved = file.rename(sandbox.project / "staging.json")  # as on a branch that has no staging
    told = sandbox.run("destroy", "--dry-run").stderr
    assert "The images in team-chatbot-registry stay: team-chatbot-staging may need them." in told
    moved.rename(file)
    done = sandbox.run("destroy", "--yes", "--environment=staging")
    assert done.returncode == 0, done.stderr
    assert "The images in team-chatbot-registry stay: team-chatbot may need them." in done.stderr
    assert stacks(sandbox) == {"team-chatbot", "team-chatbot-registry"}
    assert sandbox.run("destroy", "--yes").returncode == 0
    assert stacks(sandbox) == set()


def test_what_can_not_be_promoted_is_told(sandbox: Sandbox) -> None:
    def refused(*words: str) -> str:
        done = sandbox.run("promote", *words)
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        return done.stderr

    assert "There is no stack team-chatbot-staging" in refused("staging")
    sandbox.deploy("--environment=staging")
    tag = sandbox.git("rev-parse", "HEAD")[:12]

    def on_the_way(answer: str) -> str:
        described = json.loads(answer)
        described["services"][0]["deployments"][0]["rolloutState"] = "IN_PROGRESS"
        return json.dumps(described)

    sandbox.aws.edits["DescribeServices"] = on_the_way
    assert "The stack team-chatbot-staging is not at rest" in refused("staging")
    sandbox.aws.edits.clear()
    sandbox.commit()
    assert f"and this folder is {sandbox.git('rev-parse', 'HEAD')[:12]}: git checkout {tag}" in (
        refused("staging")
    )
    (sandbox.project / "new.txt").touch()
    sandbox.deploy("--environment=staging", "--allow-dirty")
    (sandbox.project / "new.txt").unlink()
    assert "runs " in (told := refused("staging")) and "git checkout" not in told
    assert "commit what it is, and deploy that there first: ./deployment.sh deploy" in told
    assert stacks(sandbox) == {"team-chatbot-staging", "team-chatbot-registry"}


def test_commands_that_are_shown_are_about_the_same_environment(sandbox: Sandbox) -> None:
    for words in ("status --environment staging", "promote staging"):
        told = sandbox.run(*words.split()).stderr
        assert "To create it: ./deployment.sh deploy --environment=staging\n" in told
    sandbox.deploy("--environment=staging")
    words = "destroy --environment staging --delete-data"
    asked = sandbox.run(*words.split())
    assert asked.returncode == 1
    assert f"If you are sure: ./deployment.sh {words} --yes\n" in asked.stderr


def test_what_an_environment_left_behind_is_adopted_in_its_own_file(sandbox: Sandbox) -> None:
    sandbox.deploy("--environment=staging")
    done = sandbox.run("destroy", "--yes", "--environment=staging")
    assert done.returncode == 0, done.stderr
    file = sandbox.project / "infra" / "parameters.staging.json"
    where = f"insert this in infra/{file.name}, right after the [, before you deploy:\n"
    trial = ("deploy", "--environment=staging", "--dry-run", "--allow-dirty")
    for before in (file.read_text(), "[]"):
        file.write_text(before)
        told = sandbox.run(*trial).stderr.partition(where)[2]
        entries = "\n".join(line for line in told.splitlines() if line.startswith("  {"))
        file.write_text(before.replace("[", f"[{entries}", 1))
        names = {each["ParameterKey"] for each in json.loads(file.read_text())}
        assert {"FileSystemId", "UserPoolId"} <= names
        done = sandbox.run(*trial)
        assert done.returncode == 0, done.stderr
        assert "insert" not in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("promote", "promote needs the environment to take the image from"),
        ("promote production", 'There is no environment "production"'),
        ("promote staging --environment=staging", "staging can't be promoted to itself"),
        ("deploy --environment Staging", 'There is no environment "Staging"'),
        ("deploy --environment=../tags", 'There is no environment "../tags"'),
        ("deploy --environment=", "--environment needs a value"),
    ],
)
def test_an_environment_has_a_file(sandbox: Sandbox, words: str, told: str) -> None:
    done = sandbox.run(*words.split())
    assert done.returncode == 2
    assert told in done.stderr
    assert sandbox.aws.asked == []
