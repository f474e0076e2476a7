"""This repository keeps the habits that it renders, and its README says what is true."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.options import CONTEXT, PROMPTS
from support.paths import ROOT


def run(*words: str) -> None:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_templates_own_python_is_linted_formatted_and_typed() -> None:
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    run("mypy")


def test_the_readme_describes_every_prompt_and_choice() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, default in PROMPTS.items():
        [row] = [line for line in readme.splitlines() if line.startswith(f"| `{name}` ")]
        for choice in default if isinstance(default, list) else []:
            assert choice in row


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert CONTEXT["_template_version"] == project["version"]
    assert re.findall("^## (.*)", changes, re.MULTILINE)[0] == project["version"]


@pytest.mark.parametrize(
    "tool", [["actionlint"], ["zizmor", "--offline"]], ids=lambda each: each[0]
)
def test_the_templates_own_workflows_are_linted(tool: list[str]) -> None:
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"  # actionlint calls shellcheck
    files = map(str, ROOT.glob(".github/workflows/*.yml"))
    command = [str(tools / tool[0]), *tool[1:], *files]
    environment = os.environ | {"PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
