"""The image as the task definition runs it, and compose.yaml: real containers, a real browser."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from support import containers
from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    LONG,
    add_cookies_of_other_applications,
    expect_texts,
    hostname_of,
    messages,
    needs_browser,
    open_page,
    say,
    sidebar,
)
from support.containers import CPUS, MEMORY, compose, inspect, podman
from support.projects import Project
from support.rendering import Bake
from support.serving import free_port

pytestmark = [
    *[mark for mark in needs_browser if mark.name != "browser"],
    pytest.mark.containers,
    pytest.mark.skipif(
        bool(containers.MISSING), reason=f"not here: {', '.join(containers.MISSING)}"
    ),
]
IMAGE = "localhost/team-chatbot"
NETWORK = "team-chatbot_default"
LAYER_OF_PACKAGES = 274_000_000  # bytes, half of what the reference's takes
LIMITS = ("--cpus", str(CPUS), "--memory", str(MEMORY))
AS_ON_AWS = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", *LIMITS)
NOT_FOR_THE_IMAGE = (".git/config", "session_data/secret", ".venv/secret", "tests/secret", ".env")


@pytest.fixture(scope="module")
def project(bake_to_keep: Bake) -> Project:
    """A project with its image, and with files that are none of the image's business."""
    containers.make_base_images()
    rendered = bake_to_keep(models="both")
    for name in NOT_FOR_THE_IMAGE:
        file = rendered.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("none of the image's business")
    (rendered.path / "chatbot" / "answers.py").chmod(0o600)  # as with a strict umask
    # At once, it would build the image for each of the two tasks, from the beginning.
    compose(rendered.path, "--parallel=1", "build", "--build-arg=REVISION=0123abc")
    return rendered


@pytest.fixture
def task(project: Project) -> Iterator[str]:
    """A container as the task definition runs it, with the demo model."""
    environment = ("--env", "CHATBOT_BACKEND=demo")
    podman("run", "--detach", "--name=task", *AS_ON_AWS, *environment, IMAGE)
    containers.wait_for_page(containers.address_of("task"))
    yield "task"
    podman("rm", "--force", "--time=0", "task")


class ComposedCluster:
    """What compose.yaml makes of the project.

    address: the balancer's, where people go.
    bedrock, bedrock_port: where the tasks find a stand-in for Bedrock on this machine.
    """

    def __init__(self, project: Project) -> None:
        self._project, self._port = project, str(free_port())
        self.address = f"http://localhost:{self._port}"
        self.bedrock_port = free_port()
        self.bedrock = f"http://{containers.GATEWAY}:{self.bedrock_port}"

    def up(self, *words: str, **environment: str) -> None:
        """Start what does not run, and wait until it serves."""
        compose(self._project.path, "up", "--detach", *words, PORT=self._port, **environment)
        containers.keep_gateway(NETWORK)
        tasks = containers_of("task")
        for name in tasks:
            containers.wait_for_page(containers.address_of(name))
        containers.wait_for_page(self.address)
        containers.wait_for_tasks(self.address, len(tasks))


@pytest.fixture
def cluster(project: Project) -> Iterator[ComposedCluster]:
    """The project's cluster, of which nothing runs yet."""
    remove_all()
    # As compose would, but in a network of which the machine's own address is known.
    podman("network", "create", f"--subnet={containers.SUBNET}", NETWORK)
    yield ComposedCluster(project)
    remove_all()


def remove_all() -> None:
    """Remove what a cluster left, also one that could not be stopped as compose does."""
    podman("pod", "rm", "--all", "--force", "--time=0")
    podman("volume", "prune", "--force")
    podman("network", "rm", "--force", NETWORK)


def in_image(script: str) -> list[str]:
    """Return the lines that a shell prints in a new container, with a root that can be written."""
    return podman("run", "--rm", "--entrypoint=", IMAGE, "sh", "-c", script).splitlines()


def test_the_image_has_what_the_page_needs_and_no_more(project: Project) -> None:
    files = set(in_image("find /app /sessions -type f -not -name '*.pyc'"))
    modules = {
        f"/app/{path.relative_to(project.path)}" for path in (project.path / "chatbot").rglob("*.*")
    }
    page = {"/app/server.py", "/app/streamlit_app.py", "/app/models.toml", "/app/assistants.toml"}
    languages = {f"/app/languages/{path.name}" for path in (project.path / "languages").iterdir()}
    assert files == modules | page | languages | {"/app/.streamlit/config.toml"}
    assert in_image("for name in gcc cc c++ make; do command -v $name; done; true") == []
    assert in_image("ls -d /packages/bin/pip* /packages/lib/*/site-packages/pip 2>&-; true") == []
    as_root = ("run", "--rm", "--user=0", "--entrypoint=", IMAGE)
    assert podman(*as_root, "find", "/", "-xdev", "-path", "*/.cache/*") == ""
    packages = max(layer["size"] for layer in layers() if " /packages" in layer["CreatedBy"])
    assert 50_000_000 < packages <= LAYER_OF_PACKAGES


def test_the_files_of_the_page_are_compressed_already(project: Project) -> None:
    files = in_image("cd /packages/lib/*/site-packages/streamlit/static/static && find . -type f")
    scripts = {name for name in files if name.endswith((".js", ".css"))}
    assert len(scripts) > 100 and {f"{name}.gz" for name in scripts} <= set(files)


def layers() -> list[dict[str, Any]]:
    """Return the layers that the project adds to its base."""
    [image] = json.loads(podman("image", "inspect", IMAGE))
    [base] = json.loads(podman("image", "inspect", containers.IMAGES["Base"]))
    own = len(image["History"]) - len(base["History"])
    history: list[dict[str, Any]] = json.loads(podman("history", "--format=json", IMAGE))
    return history[:own]


def test_the_context_of_the_build_holds_nothing_else(project: Project) -> None:
    probe = project.path.parent / "Probe"
    probe.write_text("FROM scratch\nCOPY . /\n")
    podman("build", "--quiet", "--tag=context", f"--file={probe}", str(project.path))
    mount = podman("image", "mount", "context").strip()
    found = {path.name for path in Path(mount).iterdir()}
    podman("image", "unmount", "context")
    wanted = {".streamlit", "assistants.toml", "chatbot", "languages", "models.toml", "lean"}
    assert found == wanted | {"server.py", "streamlit_app.py"}


def test_who_runs_in_it_can_write_to_sessions_and_tmp_alone(project: Project) -> None:
    assert in_image("id -u; id -g") == ["10001", "10001"]
    writable = in_image("find / -xdev -writable -not -type l 2>&-; true")
    assert set(writable) == {"/sessions", "/tmp"}  # noqa: S108
    assert in_image("find / -xdev -type f -perm /6000 2>&-; true") == []  # nor be somebody else


def test_every_module_is_compiled_before_it_starts(project: Project) -> None:
    """Else each start compiles them, for nothing can be written."""
    code = """
import chatbot.models, importlib.util, json, pathlib, streamlit.web.cli, sys
files = [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]
sources = [file for file in files if file.endswith(".py")]
cached = [importlib.util.cache_from_source(file) for file in sources]
print(len(sources), [file for file in cached if not pathlib.Path(file).exists()])
"""
    [line] = podman("run", "--rm", "--workdir=/app", IMAGE, "python", "-c", code).splitlines()
    count, missing = line.split(" ", 1)
    assert int(count) > 500
    assert missing == "[]"


def test_its_labels_say_what_it_is(project: Project) -> None:
    [image] = json.loads(podman("image", "inspect", IMAGE))
    labels = {name.rpartition(".")[2]: value for name, value in image["Labels"].items()}
    assert labels["title"] == "team-chatbot"
    assert labels["licenses"] == "MIT"
    assert labels["revision"] == "0123abc"
    assert labels["description"]


def test_the_base_is_a_build_argument(project: Project) -> None:
    podman("tag", containers.IMAGES["Base"], "localhost/mirror/python:3.13-slim")
    argument = "--build-arg=BASE_IMAGE=localhost/mirror/python:3.13-slim"
    built = podman("build", argument, str(project.path))
    assert "FROM localhost/mirror/python:3.13-slim AS build" in built


@pytest.mark.parametrize("processor", ["aarch64", "x86_64"])
def test_all_packages_exist_for_both_processors(
    project: Project, tmp_path: Path, processor: str
) -> None:
    platforms = [f"--platform=manylinux_{glibc}_{processor}" for glibc in ("2_17", "2_28", "2_34")]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--target", str(tmp_path)]
    pip += [*platforms, "--python-version=3.13", "--only-binary=:all:", "--no-deps"]
    done = project.run(*pip, "--require-hashes", "-r", "lean/requirements.txt")
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stdout


def test_its_health_check_tells_a_task_that_hangs(task: str) -> None:
    check = ("podman", "healthcheck", "run", task)
    assert containers.run(*check).returncode == 0
    process = inspect(task)["State"]["Pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        assert containers.run(*check).returncode == 1
    finally:
        os.kill(process, signal.SIGCONT)


def test_it_ends_when_it_is_told_to(task: str) -> None:
    podman("stop", "--time=10", task)
    assert inspect(task)["State"]["ExitCode"] == 0  # 137 where it had to be killed


PAGE_WITH_UPLOAD = """
import streamlit as st
upload = st.file_uploader("File")
st.write(f"It has {len(upload.getvalue()) if upload else 0} bytes")
"""


def test_a_large_file_can_be_uploaded_though_the_root_is_read_only(
    project: Project, tmp_path: Path, visitor: BrowserContext
) -> None:
    """Streamlit puts aside what has more than 1 MiB."""
    page_file, large = tmp_path / "page.py", tmp_path / "large.bin"
    page_file.write_text(PAGE_WITH_UPLOAD)
    large.write_bytes(bytes(3_000_000))
    port = free_port()
    mount = (f"--volume={page_file}:/app/page.py:ro", f"--publish=127.0.0.1:{port}:8501")
    podman("run", "-d", "--name=task", *AS_ON_AWS, *mount, IMAGE, "streamlit", "run", "page.py")
    try:
        containers.wait_for_page(f"http://localhost:{port}")
        page = visitor.new_page()
        page.goto(f"http://localhost:{port}")
        page.locator("input[type=file]").set_input_files(large)
        expect(page.get_by_text("It has 3000000 bytes")).to_be_visible()
    finally:
        podman("rm", "--force", "--time=0", "task")


# compose.yaml


def containers_of(service: str) -> list[str]:
    """Return the hostnames of the containers that run for a service."""
    by_service = f"--filter=label=com.docker.compose.service={service}"
    return podman("ps", by_service, "--format={{.ID}}").split()


def test_it_serves_two_small_tasks_with_the_demo_model(
    cluster: ComposedCluster, visitor: BrowserContext
) -> None:
    cluster.up()
    tasks = containers_of("task")
    assert len(tasks) == 2
    for name in tasks:
        limits = inspect(name)["HostConfig"]
        assert limits["NanoCpus"] == CPUS * 10**9
        assert limits["Memory"] == MEMORY
        assert limits["ReadonlyRootfs"]
        assert "no-new-privileges" in limits["SecurityOpt"]
    add_cookies_of_other_applications(visitor, cluster.address)
    page = open_page(visitor, cluster.address)
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("This is the demo model")
    expect(page).to_have_title("Hello · Team Chatbot")
    task = hostname_of(page)
    assert task in tasks
    for _ in range(3):  # and the balancer sends a browser to the same one
        page.reload()
        expect(messages(page)).to_have_count(2)
        assert hostname_of(page) == task


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_task_ends_while_it_answers_and_the_other_completes_the_turn(
    cluster: ComposedCluster, visitor: BrowserContext, ending: str
) -> None:
    cluster.up(**bedrock_environment(cluster.bedrock))
    with stand_in.bedrock_stand_in(containers.GATEWAY, cluster.bedrock_port) as bedrock:
        page = open_page(visitor, cluster.address)
        say(page, "Before")
        expect(messages(page).nth(1)).to_contain_text("An answer.")
        never = Event()
        bedrock.reply("Once upon ", never)
        bedrock.reply("a time.")
        say(page, "Tell me")
        expect(messages(page).nth(3)).to_contain_text("Once upon")
        task = hostname_of(page)
        [other] = set(containers_of("task")) - {task}
        podman(ending, task)
        expect(messages(page).nth(3)).to_contain_text("Once upon a time.", timeout=2 * LONG)
        expect(sidebar(page)).to_contain_text(other)
        never.set()
        page.reload()
        expect(messages(page)).to_have_count(4)
        expect_texts(messages(page), "Before", "An answer.", "Tell me", "Once upon a time.")
        assert len(bedrock.requests) == 3


def test_the_cluster_grows_and_outlives_its_first_tasks(
    cluster: ComposedCluster, visitor: BrowserContext
) -> None:
    cluster.up()
    first = containers_of("task")
    page = open_page(visitor, cluster.address)
    say(page, "Remember me")
    expect(messages(page).nth(1)).to_contain_text("What you see works the same")
    cluster.up("--scale", "task=3")
    [third] = set(containers_of("task")) - set(first)
    for name in first:
        podman("kill", name)
    page.reload()
    expect(messages(page).nth(0)).to_contain_text("Remember me")
    assert hostname_of(page) == third
