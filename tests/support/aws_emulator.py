"""AWS on this machine: ministack, the AWS CLI to ask it, and a docker that only pushes names."""

import json
import re
import shutil
import subprocess
import sys
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

from support.cloudformation import listed
from support.projects import clean_environment
from support.serving import free_port
from support.waiting import wait_until
from support.yaml_reading import read_yaml

CLI = Path("/usr/bin/aws")  # of Debian's package; an older one may come first on PATH
# What ministack can't make in a stack. It is taken out of the template, with references to it.
LACKING = (
    "AWS::ApplicationAutoScaling::",
    "AWS::CloudFront::VpcOrigin",
    "AWS::Cognito::ManagedLoginBranding",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::WAFv2::WebACLAssociation",
)

# What IAM calls a service that signs with another name, and a call that only has a path.
PREFIXES = {"monitoring": "cloudwatch"}
PATHS = {
    "GET /2015-02-01/file-systems(\\?.*)?": "DescribeFileSystems",
    "DELETE /2015-02-01/file-systems/.*": "DeleteFileSystem",
    "GET /inference-profiles/.*": "GetInferenceProfile",
    "GET /foundation-models/.*": "GetFoundationModel",
    "POST /model/.*/converse": "InvokeModel",
    "POST /2015-02-01/access-points": "CreateAccessPoint",
    "GET /2015-02-01/access-points\\?.*": "DescribeAccessPoints",
    "DELETE /2015-02-01/access-points/.*": "DeleteAccessPoint",
    "GET /resources/.*/recovery-points/.*": "ListRecoveryPointsByResource",
    "GET /restore-jobs/": "ListRestoreJobs",
    "GET /restore-jobs/.+": "DescribeRestoreJob",
    "PUT /restore-jobs": "StartRestoreJob",
    "GET /backup-vaults/.*/restore-metadata": "GetRecoveryPointRestoreMetadata",
    "PUT /[a-z0-9-]+": "CreateBucket",
    "PUT /[a-z0-9-]+\\?publicAccessBlock": "PutBucketPublicAccessBlock",
    "PUT /[a-z0-9-]+\\?lifecycle": "PutLifecycleConfiguration",
    "PUT /[a-z0-9-]+\\?policy": "PutBucketPolicy",
    "GET /[a-z0-9-]+\\?uploads.*": "ListBucketMultipartUploads",
    "DELETE /[a-z0-9-]+": "DeleteBucket",
    "(GET|HEAD) /[a-z0-9-]+/archive.tar.gz": "GetObject",
    "PUT /[a-z0-9-]+/archive.tar.gz": "PutObject",
    "DELETE /[a-z0-9-]+/archive.tar.gz": "DeleteObject",
}


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
    aws ecr put-image --region "${AWS_DEFAULT_REGION:-us-east-1}" \\
      --repository-name "${name%:*}" --image-tag "${name##*:}" \\
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
def emulator(state: Path, is_kept: bool = False) -> Iterator[int]:
    """AWS on a port, with what the folder holds; only if kept, changes are written there."""
    port = free_port()
    environment = clean_environment() | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "DOCKER_HOST": "unix:///nonexistent",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state),
    }
    with running([sys.executable, "-m", "ministack"], environment) as process:
        wait_until(lambda: is_answering(port), "ministack")
        yield port
        if not is_kept:
            process.kill()


def is_answering(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class AwsProxy:
    """Stands in front of the emulator, and writes down what it is asked.

    What tests put in, by the action that is asked for, such as "DescribeStacks" or "GET /path":
    before: what to do before the next one is passed on.
    answers: what to answer in the place of the emulator, also by an action as IAM names it, or by
        one in a region, such as "eu-west-1 DescribeStacks".
    edits: how to change the emulator's answer.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.bodies: list[str] = []
        self.regions: set[str] = set()
        self.calls: set[str] = set()  # of deployment.sh, as IAM names them
        self.before: dict[str, Callable[[], object]] = {}
        self.answers: dict[str, tuple[int, str]] = {}
        self.edits: dict[str, Callable[[str], str]] = {}
        self._port = port
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = proxy.pass_on(
                    self.command, self.path, dict(self.headers), body
                )
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                told = {name.lower(): value for name, value in headers}
                length = told.get("content-length")
                is_head = self.command == "HEAD"  # whose answer tells a length, and has no content
                self.send_header("Content-Length", (is_head and length) or str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do  # noqa: N815

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
        [name, *_] = [name for path, name in PATHS.items() if re.fullmatch(path, action)] or [
            action
        ]
        region = ""
        if "Credential=" in headers.get("Authorization", ""):
            _, _, region, service, *_ = headers["Authorization"].split("/")
            self.regions.add(region)
            if "Boto3" in headers["User-Agent"]:  # deployment.sh; the tests use the AWS CLI
                self.calls.add(f"{PREFIXES.get(service, service)}:{name}")
        self.before.pop(action, lambda: None)()
        for key in (action, name, f"{region} {action}"):
            if key in self.answers:
                status, text = self.answers[key]
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
        """Return what was asked that changes something."""
        reading = ("AdminGet", "Describe", "Filter", "Get", "List", "Validate", "GET ")
        return [action for action in self.asked if not action.startswith(reading)]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def remove_what_is_lacking(file: Path) -> None:
    """Take out of a template what ministack can't make."""
    template = read_yaml(file.read_text(encoding="utf-8"))
    resources = template["Resources"]
    gone = [name for name in resources if resources[name]["Type"].startswith(LACKING)]
    for name in gone:
        del resources[name]
    for resource in resources.values():
        needed = listed(resource.pop("DependsOn", []))
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

    file.write_text(json.dumps(without(template), separators=(",", ":")))  # it has a greatest size
