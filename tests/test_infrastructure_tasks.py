"""The image, the load balancer, the tasks and the files agree, down to a port and a user."""

import json
import re
from fnmatch import fnmatchcase

import pytest

from support.cloudformation import RefusedError
from support.paths import TEMPLATE
from support.rendering import InfrastructureRenderer
from support.stack_parts import container, ingress_rules, variables
from support.stacks import IMAGE, Infrastructure, RenderedStack
from support.yaml_reading import read_yaml

SIGN_IN = re.compile(r"CHATBOT_(ADDRESS|SIGN_IN_\w+|ADMIN_GROUPS|DAILY_TOKENS)")
FARGATE = {  # CPU units: MiB, as AWS documents them
    256: {512, 1024, 2048},
    512: {*range(1024, 4097, 1024)},
    1024: {*range(2048, 8193, 1024)},
    2048: {*range(4096, 16385, 1024)},
    4096: {*range(8192, 30721, 1024)},
}


@pytest.fixture(scope="session")
def dockerfile() -> str:
    return (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")


def only(pattern: str, text: str) -> str:
    """Return what the pattern's group matches, which is the same wherever it does."""
    [found] = set(re.findall(pattern, text, re.MULTILINE))
    return str(found)


def test_image_task_and_access_point_have_the_same_user(
    stacks: list[RenderedStack], dockerfile: str
) -> None:
    user = only(r"^USER (\d+:\d+)$", dockerfile)
    uid, gid = user.split(":")
    assert "0" not in (uid, gid)
    for stack in stacks:
        assert container(stack)["User"] == user
        point = stack["AccessPoint"]
        assert point["PosixUser"] == {"Uid": uid, "Gid": gid}
        owner = point["RootDirectory"]["CreationInfo"]
        assert (owner["OwnerUid"], owner["OwnerGid"]) == (uid, gid)
        assert owner["Permissions"] == "0750"


def test_image_task_and_load_balancer_have_the_same_port(
    stacks: list[RenderedStack], dockerfile: str
) -> None:
    port = int(only(r"^EXPOSE (\d+)$", dockerfile))
    assert int(only(r"STREAMLIT_SERVER_PORT=(\d+)", dockerfile)) == port
    assert int(only(r"http://localhost:(\d+)/", dockerfile)) == port
    assert "STREAMLIT_SERVER_ADDRESS=0.0.0.0" in dockerfile
    for stack in stacks:
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
        assert ingress_rules(stack)["TaskSecurityGroup"][0]["FromPort"] == port


def test_everybody_asks_the_path_that_knows_whether_streamlit_is_well(
    stacks: list[RenderedStack], dockerfile: str
) -> None:
    asked = r"http://localhost:\d+(/[^\"']*)"
    assert only(asked, dockerfile) == "/_stcore/health"
    laptop = (TEMPLATE / "infra" / "haproxy.cfg").read_text(encoding="utf-8")
    assert only(r"httpchk GET (\S+)", laptop) == "/_stcore/health?balancer"
    for stack in stacks:
        assert stack["TargetGroup"]["HealthCheckPath"] == "/_stcore/health?balancer"
        assert stack["TargetGroup"]["Matcher"] == {"HttpCode": "200"}
        command = container(stack)["HealthCheck"]["Command"]
        assert only(asked, command[-1]) == "/_stcore/health"
        compile(command[-1], "health check", "exec")


def test_conversations_go_to_the_mounted_folder(
    stacks: list[RenderedStack], dockerfile: str
) -> None:
    folder = only(r"CHATBOT_SESSIONS_DIR=(\S+)", dockerfile)
    for stack in stacks:
        [volume] = stack["TaskDefinition"]["Volumes"]
        assert container(stack)["MountPoints"] == [
            {"SourceVolume": volume["Name"], "ContainerPath": folder, "ReadOnly": False}
        ]
        assert variables(stack)["CHATBOT_SESSIONS_DIR"] == folder


def test_tasks_get_the_settings_that_the_application_reads(stacks: list[RenderedStack]) -> None:
    code = (TEMPLATE / "chatbot" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'variable\("(\w+)"', code))
    for stack in stacks:
        given = variables(stack)
        own = {name for name in given if not SIGN_IN.match(name)}  # test_infrastructure_sign_in.py
        hosts = {"CHATBOT_HOSTNAME"}  # there, each task is a host
        assert own == {name for name in read if not SIGN_IN.match(name)} - hosts
        assert given["CHATBOT_BACKEND"] == "bedrock"
        assert given["CHATBOT_TITLE"] == "Team Chatbot"
        assert given["CHATBOT_RETENTION_DAYS"] == "90"
        assert given["AWS_REGION"] == "us-east-1"


def test_the_sites_that_may_frame_the_chatbot_reach_it(structures: list[Infrastructure]) -> None:
    sites = "https://intranet.example.com https://*.example.org"
    for each in structures:
        assert variables(each.create())["CHATBOT_FRAME_ANCESTORS"] == ""
        given = variables(each.create(FrameAncestors=sites))
        assert given["CHATBOT_FRAME_ANCESTORS"] == sites


@pytest.mark.parametrize(
    "words", ["", 'Ärger? "IT", $5 & 20 % {{x}} ${AWS::Region} 👩‍💻', "!Ref X"]
)
def test_what_the_team_says_reaches_the_page_as_it_is(
    structures: list[Infrastructure], words: str
) -> None:
    for each in structures:
        given = variables(each.create(Footer=words, Contact=words))
        assert (given["CHATBOT_FOOTER"], given["CHATBOT_CONTACT"]) == (words, words)


@pytest.mark.parametrize(
    "name", ["yes", "Bot: #1", 'It\'s "so" \\n', "{{x}} 👩‍💻", "!Ref X", "1e3"]
)
def test_a_strange_name_reaches_the_page(
    render_infrastructure: InfrastructureRenderer, name: str
) -> None:
    assert variables(render_infrastructure(project_name=name).create())["CHATBOT_TITLE"] == name


def test_the_processor_is_the_one_that_was_chosen(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        platform = stack["TaskDefinition"]["RuntimePlatform"]
        chosen = {"arm64": "ARM64", "x86-64": "X86_64"}[
            stack.infrastructure.options["cpu_architecture"]
        ]
        assert platform == {"OperatingSystemFamily": "LINUX", "CpuArchitecture": chosen}


def test_every_size_of_a_task_is_one_that_fargate_has(structures: list[Infrastructure]) -> None:
    for each in structures:
        for size in each.template["Parameters"]["TaskSize"]["AllowedValues"]:
            task = each.create(TaskSize=size)["TaskDefinition"]
            assert int(task["Memory"]) in FARGATE[int(task["Cpu"])]
        task = each.create()["TaskDefinition"]
        assert (task["Cpu"], task["Memory"]) == ("256", "512")
        assert (task["RequiresCompatibilities"], task["NetworkMode"]) == (["FARGATE"], "awsvpc")


def test_the_image_is_the_one_that_was_deployed_never_the_latest(
    stacks: list[RenderedStack],
) -> None:
    for stack in stacks:
        assert container(stack)["Image"] == IMAGE
        assert "latest" not in "".join(stack.infrastructure.files.values())
    for wrong in (IMAGE.split(":")[0], "nginx:1.29", f"{IMAGE}:x", ""):
        with pytest.raises(RefusedError, match="must be an image in ECR with a tag"):
            stacks[0].infrastructure.create(ImageUri=wrong)


def test_images_are_kept_under_tags_that_never_change_meaning(
    render_infrastructure: InfrastructureRenderer,
) -> None:
    [repository] = read_yaml(render_infrastructure().files["infra/registry.yml"])[
        "Resources"
    ].values()
    properties = repository["Properties"]
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert properties["EmptyOnDelete"] is True
    assert "RepositoryName" not in properties
    rules = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3]
    assert all(rule["action"] == {"type": "expire"} for rule in rules)
    *trials, last = [rule["selection"] for rule in rules]
    # An image that a rule matches is left alone by those after it.
    assert (last["tagStatus"], last["countType"]) == ("any", "imageCountMoreThan")
    assert last["countNumber"] >= 300  # for all environments together
    patterns = [pattern for trial in trials for pattern in trial["tagPatternList"]]
    assert len(patterns) == len(trials)  # with two in one rule, an image would need both
    assert {(trial["countType"], trial["countUnit"]) for trial in trials} == {
        ("sinceImagePushed", "days")
    }
    # As deployment/commit.py makes them.
    for tag, is_trial in (
        ("0123456789ab", False),
        ("0123456789ab-dirty-20260101000000", True),
        ("local-20260101000000", True),
    ):
        assert any(fnmatchcase(tag, pattern) for pattern in patterns) is is_trial
