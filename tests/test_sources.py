"""The same project comes from the checkout, from a git address and from a zip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT
from support.projects import Project
from support.rendering import run_cookiecutter


def git(folder: Path, *words: str) -> None:
    settings = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that holds what git would hand to a stranger."""
    folder = tmp_path_factory.mktemp("source") / "chatbot-template"
    folder.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "-m", "The template")
    git(folder, "clone", "-q", "--bare", ".", f"{folder}.git")
    return folder


def render(source: str, folder: Path, home: Path) -> dict[str, bytes]:
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = run_cookiecutter(source, folder, "--no-input", env=environment)
    assert done.returncode == 0, done.stdout
    project = Project(folder / "team-chatbot", {})
    assert os.access(project.path / "deployment.sh", os.X_OK), source  # as the README calls it
    return project.files()


def test_checkout_git_and_zip_give_the_same_project(checkout: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(checkout), "zip", checkout.parent, checkout.name)
    sources = (str(checkout), f"file://{checkout}.git", f"{checkout}.zip")
    projects = []
    for number, source in enumerate(sources):
        folder = tmp_path / str(number)
        folder.mkdir()
        projects.append(render(source, folder, tmp_path / f"home-{number}"))
    assert projects[0] == projects[1] == projects[2]
