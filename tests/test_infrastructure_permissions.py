"""Tasks and ECS may do what they need and no more, and nothing holds a secret."""

import json
import re
import tomllib
from typing import Any

import pytest

from support.cloudformation import ACCOUNT, listed, walk
from support.options import STRUCTURE
from support.own_python import load
from support.stack_parts import container, secrets, statements, variables
from support.stacks import Infrastructure, RenderedStack

models = load("deployment/models.py")


def test_the_models_offered_may_be_called_and_nothing_else_of_bedrock(
    infrastructures: list[Infrastructure],
) -> None:
    for each in infrastructures:
        region = each.options["aws_region"]
        ids = [table["id"] for table in tomllib.loads(each.files["models.toml"]).values()]
        profiles, behind = set(), set()
        for one in ids:
            profiles.add(f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{one}")
            geography, model = one.split(".", 1)
            other = {"global": "", "apac": "ap-*", "au": "ap-southeast-*"}.get(
                geography, f"{region[:2]}-*"
            )
            behind |= {f"arn:aws:bedrock:{at}::foundation-model/{model}" for at in (region, other)}
        found = models.permit(ids, region, ACCOUNT, lambda _: [])
        stack = each.create(ModelsNamed=",".join(found.named), ModelsBehind=",".join(found.behind))
        allowed = [one for one in statements(stack) if "bedrock" in str(one)]
        assert all(one["Action"] == ["bedrock:InvokeModelWithResponseStream"] for one in allowed)
        [named, chosen] = allowed
        assert set(named["Resource"]) == profiles
        assert "Condition" not in named
        assert set(chosen["Resource"]) == behind
        [(key, through)] = chosen["Condition"]["StringEquals"].items()
        assert (key, set(through)) == ("bedrock:InferenceProfileArn", profiles)
        assert set(chosen["Condition"]) == {"StringEquals"}


def test_only_the_guardrail_of_the_team_may_be_used(stacks: list[RenderedStack]) -> None:
    own = f"{ACCOUNT}:guardrail"
    for stack in stacks:
        id_ = stack.parameters["GuardrailId"]
        allowed = [one for one in statements(stack) if "bedrock:ApplyGuardrail" in one["Action"]]
        assert [one["Resource"] for one in allowed] == (
            [[f"arn:aws:bedrock:us-east-1:{own}/{id_}", f"arn:aws:bedrock:*:{own}-profile/*"]]
            if id_
            else []
        )
        given = {key: value for key, value in variables(stack).items() if "GUARDRAIL" in key}
        assert given == {
            "CHATBOT_GUARDRAIL_ID": id_,
            "CHATBOT_GUARDRAIL_VERSION": "4" if id_ else "DRAFT",
        }


HERE = "arn:aws:bedrock:ap-northeast-1"
THERE = "arn:aws:bedrock:us-west-2::foundation-model/x"


@pytest.mark.parametrize(
    ("id_", "named", "behind"),
    [
        (
            "jp.maker.x",
            f"{HERE}:1:inference-profile/jp.maker.x",
            {f"{at}::foundation-model/maker.x" for at in (HERE, "arn:aws:bedrock:ap-northeast-*")},
        ),
        ("maker.x", f"{HERE}::foundation-model/maker.x", {f"{HERE}::foundation-model/maker.x"}),
        (
            f"{HERE}:1:application-inference-profile/a",
            f"{HERE}:1:application-inference-profile/a",
            {THERE},
        ),
        (
            f"{HERE}:1:provisioned-model/a",
            f"{HERE}:1:provisioned-model/a",
            {f"{HERE}:1:provisioned-model/a"},
        ),
    ],
)
def test_each_kind_of_model_can_be_offered(id_: str, named: str, behind: set[str]) -> None:
    found = models.permit([id_], "ap-northeast-1", "1", lambda arn: [THERE] if arn == id_ else [])
    assert found.named == [named]
    assert set(found.behind) == behind


def test_models_and_region_change_nothing_of_the_stack(
    infrastructures: list[Infrastructure],
) -> None:
    """So that looking at one choice of models is enough in the tests of everything else."""
    seen: dict[tuple[Any, ...], set[str]] = {}
    for each in infrastructures:
        seen.setdefault(tuple(each.options[name] for name in STRUCTURE), set()).add(each.text)
    assert [len(different) for different in seen.values()] == [1] * 16 * 3


def test_tasks_and_ecs_may_do_what_they_need_and_no_more(stacks: list[RenderedStack]) -> None:
    own = f"us-east-1:{ACCOUNT}"
    for stack in stacks:
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
            "ecr:GetAuthorizationToken": ["*"],
            "ecr:BatchGetImage": [repository],
            "ecr:GetDownloadUrlForLayer": [repository],
            "secretsmanager:GetSecretValue": [secret["ValueFrom"] for secret in secrets(stack)],
            "logs:CreateLogStream": ["${LogGroup.Arn}"],
            "logs:PutLogEvents": ["${LogGroup.Arn}"],
        }
        if stack.parameters["ExecEnabled"] == "true":
            for verb in ("CreateControl", "CreateData", "OpenControl", "OpenData"):
                expected[f"ssmmessages:{verb}Channel"] = ["*"]
        if stack.parameters["KmsKeyArn"]:
            expected["kms:Decrypt"] = [stack.parameters["KmsKeyArn"]]
        of_tasks = ["ClientMount", "ClientWrite"]
        of_a_restore = [*of_tasks, "ClientRootAccess"]
        mounts = [(f"elasticfilesystem:{verb}", [files]) for verb in of_tasks + of_a_restore]
        assert sorted(allowed) == sorted([*expected.items(), *mounts])


def test_each_role_does_its_own_part(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        task = stack["TaskDefinition"]
        assert task["TaskRoleArn"] == "${TaskRole.Arn}"
        assert task["ExecutionRoleArn"] == "${ExecutionRole.Arn}"
        parts = {"bedrock": "TaskRole", "elasticfilesystem": "TaskRole", "ssmmessages": "TaskRole"}
        parts |= {"ecr": "ExecutionRole", "secretsmanager": "ExecutionRole"}
        parts |= {"kms": "ExecutionRole", "logs": "ExecutionRole"}
        for name, role in stack.of("IAM::Role").items():
            for path, value in walk(role["Policies"]):
                if path[-1:] == ("Action",):
                    for action in listed(value):
                        service = action.split(":")[0]
                        is_restore = (name, service) == ("DataRole", "elasticfilesystem")
                        assert is_restore or parts[service] == name
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            assert trust["Action"] == "sts:AssumeRole"
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_each_role_has_the_boundary_that_is_given(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        given = stack.parameters["PermissionsBoundary"]
        assert len(stack.of("IAM::Role")) == 3
        for role in stack.of("IAM::Role").values():
            assert role.get("PermissionsBoundary", "") == given


def test_every_wildcard_in_what_is_allowed_tells_its_reason(
    infrastructures: list[Infrastructure],
) -> None:
    for each in infrastructures:
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


def test_a_shell_in_a_task_is_possible_only_where_the_team_says_so(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        open_ = stack.parameters["ExecEnabled"] == "true"
        assert stack["Service"]["EnableExecuteCommand"] is open_
        assert container(stack)["ReadonlyRootFilesystem"] is not open_


def test_tasks_have_no_privileges(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        one = container(stack)
        assert not {"Privileged", "DockerSecurityOptions"} & set(one)
        assert one["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert one["LinuxParameters"]["InitProcessEnabled"] is True


def test_nothing_holds_a_secret(
    stacks: list[RenderedStack], infrastructures: list[Infrastructure]
) -> None:
    looks_secret = re.compile(
        r"secret(?!Arn)|password|(?<!Daily)(?<!DAILY_)token|api_?key|credential", re.IGNORECASE
    )
    for stack in stacks:
        assert not [name for name in variables(stack) if looks_secret.search(name)]
        cookies, *rest = secrets(stack)
        assert cookies == {"Name": "STREAMLIT_SERVER_COOKIE_SECRET", "ValueFrom": "${CookieSecret}"}
        assert len(rest) == stack.infrastructure.signs_in  # test_infrastructure_sign_in.py
        assert stack["CookieSecret"]["GenerateSecretString"]["PasswordLength"] >= 32
        assert "SecretString" not in stack["CookieSecret"]
        assert not [name for name in stack.parameters if looks_secret.search(name)]
        assert "Secret" not in json.dumps(stack.outputs)
    for each in infrastructures:
        for content in each.files.values():
            assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|\b\d{12}\b", content)
