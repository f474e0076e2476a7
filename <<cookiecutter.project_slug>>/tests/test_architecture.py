"""Modules import only what [tool.importlinter] in pyproject.toml allows, and each has a layer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in the folder, in a process that has imported none of it."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    command = [sys.executable, program, "--no-cache", "--no-logo"]
    environment = os.environ | {"COLUMNS": "100"}  # in a narrow terminal, it breaks its lines
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_modules_import_each_other_as_allowed() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("storage", "from chatbot import answers", "chatbot.storage -> chatbot.answers"),
        ("retention", "import chatbot.answers", "chatbot.retention -> chatbot.answers"),
        ("models", "import streamlit.runtime", "chatbot.models -> streamlit"),
        ("answers", "import streamlit_local_storage", "chatbot.answers -> streamlit_local_storage"),
        ("page/state", "import chatbot.page.messages", "page.state -> chatbot.page.messages"),
        ("a_new_module", "", "- chatbot.a_new_module"),
        ("models", "import deployment.models", "chatbot.models -> deployment.models"),
    ],
)
def test_what_is_not_allowed_is_noticed(
    tmp_path: Path, module: str, line: str, complaint: str
) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("chatbot", "deployment"):
        shutil.copytree(ROOT / package, tmp_path / package)
    with (tmp_path / "chatbot" / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert complaint in result.stdout, result.stdout + result.stderr
