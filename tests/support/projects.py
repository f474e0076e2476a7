"""A rendered project: its files, and commands that run in it as in a terminal."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.paths import BUILD

WORKFLOW = ".github/workflows/test.yml"
WORKFLOWS = (WORKFLOW, ".github/workflows/audit.yml", ".github/workflows/deploy.yml")


@dataclass(frozen=True)
class Project:
    """A rendered project, and the options that were chosen for it."""

    path: Path
    options: Mapping[str, Any]

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Return the content of every file by its path within the project, but for git's own."""
        files = {file.relative_to(self.path): file for file in sorted(self.path.rglob("*"))}
        return {
            str(name): file.read_bytes()
            for name, file in files.items()
            if name.parts[0] != ".git" and file.is_file()
        }

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
        said: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, as in a terminal without an active environment.

        What is `said` goes to its standard input.
        """
        return subprocess.run(
            command,
            cwd=self.path,
            env=clean_environment() | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=said,
        )

    def dev(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the project's dev.py in the virtual environments that all tests share."""
        share_environment(self.path)
        return self.run(sys.executable, "dev.py", *words, **options)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would change how a project behaves."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "CHATBOT_", "AWS_", "STREAMLIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def share_environment(project: Path) -> None:
    """Let a project share its virtual environments with all others; dev.py fills each once."""
    for name, ours in ((".venv", "project-venv"), (".venv-audit", "audit-venv")):
        shared = BUILD / ours
        shared.mkdir(parents=True, exist_ok=True)
        link = project / name
        if not link.exists():
            link.symlink_to(shared)
