"""A rendered project and an AWS account of its own, in which the project's deployment.sh runs."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.aws_emulator import AwsProxy
from support.cloudformation import ACCOUNT
from support.projects import clean_environment, share_environment

NOW = "2026-01-01T00:00:00Z"  # when the commits of the tests were made


class Sandbox:
    """A rendered project, and an AWS account to deploy it to."""

    def __init__(self, project: Path, programs: Path, port: int) -> None:
        self.project = project
        share_environment(project)
        self.aws = AwsProxy(port)
        self.docker_log = project.parent / "docker.log"
        self.docker_log.touch()
        self.environment = clean_environment() | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # ministack takes it for the account
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

    def start(
        self,
        *words: str,
        stdin: Any = subprocess.DEVNULL,
        script: str = "deployment.sh",
        **environment: str,
    ) -> Any:
        """Start a script as the leader of its own group, as a terminal does."""
        return subprocess.Popen(
            ["bash", script, *words],
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

    def user_pools(self) -> list[str]:
        found = self.ask("cognito-idp", "list-user-pools", "--max-results=60")["UserPools"]
        return [each["Id"] for each in found]

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
        file.write_text(json.dumps(template, separators=(",", ":")))  # it has a greatest size
        return self.commit()
