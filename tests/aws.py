"""AWS on this machine: ministack behind the real AWS CLI, and a docker that only pushes names."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from conftest import clean_environment
from serving import free_port

CLI = Path("/usr/bin/aws")  # of Debian's package; an older one may come first on PATH
NOW = "2026-01-01T00:00:00Z"  # when the commits of the tests were made
# What ministack can't make in a stack. It is taken out of the template, with references to it.
LACKING = (
    "AWS::ApplicationAutoScaling::",
    "AWS::CloudFront::VpcOrigin",
    "AWS::EC2::SecurityGroupIngress",
)


def what_is_missing() -> str | None:
    """Say what keeps the tests from running, or None."""
    if find_spec("ministack") is None:
        return "the package ministack is not installed"
    if not CLI.exists() or not CLI.read_bytes().startswith(b"#!/usr/bin/python3"):
        return "Debian's package awscli is not installed"
    missing = [name for name in ("bash", "git") if shutil.which(name) is None]
    return f"there is no {' and no '.join(missing)}" if missing else None


MISSING = what_is_missing()
needs_aws = [
    pytest.mark.aws,
    pytest.mark.skipif(MISSING is not None, reason=MISSING or ""),
]

DOCKER = """#!/bin/bash
# Writes down what it is asked; a push puts an image of that name into the emulator's ECR.
echo "$*" >>"$DOCKER_LOG"
case "$1 $2" in
  "$DOCKER_FAILS"*) echo "docker: as the test wants it" >&2; exit 1 ;;
  "$DOCKER_HANGS"*) sleep 60 ;;
esac
case "$1 $2" in
  login*) [ -n "$(cat)" ] ;;
  "buildx build")
    while [ $# -gt 0 ]; do
      [ "$1" != --tag ] || image=$2
      shift
    done
    name=${image#*/}
    aws ecr put-image --repository-name "${name%:*}" --image-tag "${name##*:}" \\
      --image-manifest "{\\"image\\": \\"$image\\"}" >/dev/null
    ;;
esac
"""


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


@contextmanager
def command_line(folder: Path) -> Iterator[Path]:
    """The folder to put first on PATH, with `aws` and `docker` in it."""
    programs = folder / "bin"
    programs.mkdir()
    source = Path(__file__).with_name("aws_cli.py").read_text(encoding="utf-8")
    (programs / "aws").write_text(f"#!/usr/bin/python3 -IS\n{source}")
    (programs / "docker").write_text(DOCKER)
    for program in programs.iterdir():
        program.chmod(0o755)
    socket = folder / "aws.socket"
    server = ["/usr/bin/python3", str(programs / "aws"), "serve", str(socket)]
    with running(server, clean_environment()):
        wait_until(socket.exists, "the AWS CLI")
        yield programs


@contextmanager
def emulator(state: Path) -> Iterator[int]:
    """AWS on a port; what there is, is read from the folder, and written there at the end."""
    port = free_port()
    environment = clean_environment() | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "DOCKER_HOST": "unix:///nonexistent",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
    }
    with running([sys.executable, "-m", "ministack"], environment):
        wait_until(lambda: answers(port), "ministack")
        yield port


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Aws:
    """Stands before the emulator: lists what it is asked, and can do or change something then."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.bodies: list[str] = []
        self.regions: set[str] = set()
        self.before: dict[str, Callable[[], object]] = {}
        self.answers: dict[str, tuple[int, str]] = {}
        self.edits: dict[str, Callable[[str], str]] = {}
        self._port = port
        aws = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = aws.pass_on(
                    self.command, self.path, dict(self.headers), body
                )
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        fields = parse_qs(body.decode("utf-8", "replace"))
        action = fields.get("Action", [headers.get("X-Amz-Target", "")])[0].rpartition(".")[2]
        action = action or f"{method} {path}"
        self.asked.append(action)
        self.bodies.append(body.decode("utf-8", "replace"))
        if "Credential=" in headers.get("Authorization", ""):
            self.regions.add(headers["Authorization"].split("/")[2])
        self.before.pop(action, lambda: None)()
        if action in self.answers:
            status, text = self.answers[action]
            return status, [], text.encode()
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        edit = self.edits.get(action)
        if edit is not None:
            answer = edit(answer.decode()).encode()
        return response.status, response.getheaders(), answer

    def changes(self) -> list[str]:
        """What was asked that changes something."""
        reading = ("Describe", "Get", "List", "Validate", "GET ")
        return [action for action in self.asked if not action.startswith(reading)]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class World:
    """A rendered project, and an account to deploy it to."""

    def __init__(self, project: Path, programs: Path, port: int) -> None:
        self.project = project
        self.aws = Aws(port)
        self.docker_log = project.parent / "docker.log"
        self.docker_log.touch()
        self.environment = clean_environment() | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "111122223333",  # ministack takes it for the account
            "AWS_SECRET_ACCESS_KEY": "not a secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_CLI_SOCKET": str(programs.parent / "aws.socket"),
            "DOCKER_LOG": str(self.docker_log),
            "DOCKER_FAILS": "nothing",
            "DOCKER_HANGS": "nothing",
            "POLL_SECONDS": "0.1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CEILING_DIRECTORIES": str(project.parent),
            "GIT_AUTHOR_DATE": NOW,
            "GIT_COMMITTER_DATE": NOW,
        }

    def start(self, *words: str, stdin: Any = subprocess.DEVNULL, **environment: str) -> Any:
        """Start deployment.sh as the leader of its own group, as a terminal does."""
        return subprocess.Popen(
            ["bash", "deployment.sh", *words],
            cwd=self.project,
            env=self.environment | environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **environment)
        try:
            said, told = process.communicate(timeout=120)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert "\x1b" not in said + told, "colours without a terminal"
        return subprocess.CompletedProcess(words, process.returncode, said, told)

    def deploy(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Deploy, which has to work."""
        done = self.run("deploy", *words, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def ask(self, *words: str) -> Any:
        """Ask AWS about the account."""
        done = subprocess.run(
            ["aws", *words, "--output=json"],
            env=self.environment | {"AWS_DEFAULT_REGION": "us-east-1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def stack(self) -> dict[str, Any]:
        stacks = self.ask("cloudformation", "describe-stacks")["Stacks"]
        found = {each["StackName"]: each for each in stacks}
        stack: dict[str, Any] = found.get("team-chatbot", {"StackStatus": None})
        return stack

    def parameter(self, name: str) -> str:
        parameters = self.stack()["Parameters"]
        values = {each["ParameterKey"]: each["ParameterValue"] for each in parameters}
        return str(values[name])

    def output(self, name: str) -> str:
        values = {each["OutputKey"]: each["OutputValue"] for each in self.stack()["Outputs"]}
        return str(values[name])

    def file_systems(self) -> list[str]:
        found = self.ask("efs", "describe-file-systems")["FileSystems"]
        return [each["FileSystemId"] for each in found]

    def builds(self) -> list[str]:
        """The calls of docker that built something."""
        lines = self.docker_log.read_text().splitlines()
        return [line for line in lines if line.startswith("buildx build")]

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=Test", "-c", "user.email=test@example.com", *words],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit everything; return the image's tag."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=A commit")
        return self.git("rev-parse", "HEAD")[:12]

    def edit_template(self, edit: Callable[[dict[str, Any]], object]) -> str:
        """Change the stack's template, and commit that."""
        file = self.project / "infra" / "template.yml"
        template = json.loads(file.read_text())
        edit(template["Resources"])
        file.write_text(json.dumps(template, indent=1))
        return self.commit()


class ShortForms(yaml.SafeLoader):
    """Reads !Ref, !Sub and so on."""


def long_form(loader: ShortForms, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


ShortForms.add_multi_constructor("!", long_form)


def suit_emulator(file: Path) -> None:
    """Take out of a template what ministack lacks."""
    template = yaml.load(file.read_text(encoding="utf-8"), ShortForms)  # noqa: S506  # a safe one
    resources = template["Resources"]
    gone = [name for name in resources if resources[name]["Type"].startswith(LACKING)]
    for name in gone:
        del resources[name]
    for resource in resources.values():
        needed = resource.pop("DependsOn", [])
        needed = [needed] if isinstance(needed, str) else needed
        resource["DependsOn"] = [name for name in needed if name not in gone]

    def without(value: Any) -> Any:
        """Put the name of what is gone in the place of what it would be known for."""
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, dict):
            return value
        name = value.get("Ref") or value.get("Fn::GetAtt", [None])[0]
        if len(value) == 1 and name in gone:
            return name
        return {key: without(each) for key, each in value.items()}

    file.write_text(json.dumps(without(template), indent=1))
