"""The distribution with the usual delimiters, for Windows and cruft: it renders the same."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from support.commands import Shell
from support.documents import Document
from support.options import combine_all
from support.paths import ROOT
from support.projects import Project
from support.rendering import Bake, compile_once
from support.yaml_reading import read_yaml

CONTEXTS = 40  # of all the combinations of options, spread evenly
NAME = 'Ask "Legal" & {{ Co }} {% if %} {# $5 #}'
# It runs elsewhere, as Cookiecutter prefers the extension of the folder where it runs.
RENDER_EACH = """
import json, sys
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from support.rendering import compile_once

template, folder = sys.argv[1:]
with compile_once():
    for number, options in enumerate(json.load(sys.stdin)):
        settings = {"no_input": True, "default_config": True, "extra_context": options}
        try:
            cookiecutter(template, output_dir=f"{folder}/{number}", **settings)
        except FailedHookException as refusal:
            print(refusal)
"""
CRUFT = "from cruft.__main__ import app; app()"
IDENTITY = ("-c", "user.name=Team", "-c", "user.email=team@localhost")


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distribution") / "template"
    write(folder)
    return folder


def write(folder: Path) -> None:
    command = [sys.executable, "dev.py", "distribution", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def contexts() -> Iterator[dict[str, object]]:
    every = list(combine_all())
    yield from islice(every, 0, None, len(every) // CONTEXTS)


def render_each(distribution: Path, folder: Path, contexts: list[dict[str, object]]) -> str:
    command = [sys.executable, "-P", "-c", RENDER_EACH, str(distribution), str(folder)]
    # A git repository in each would take longer than the rest.
    environment = os.environ | {"PATH": "", "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        command,
        input=json.dumps(contexts),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_renders_the_same_byte_for_byte(
    distribution: Path, bake_to_keep: Bake, tmp_path: Path
) -> None:
    names = {"project_name": "Team Ünï", "owner": "A & B {c} $d #e%"}
    chosen = [options | names for options in contexts()]
    assert len(chosen) >= CONTEXTS
    render_each(distribution, tmp_path, chosen)
    with compile_once(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        for number, options in enumerate(chosen):
            theirs = Project(tmp_path / str(number) / "team-uni", options)
            assert theirs.files() == bake_to_keep(**options).files(), options


def test_windows_can_hold_it(distribution: Path) -> None:
    for path in distribution.rglob("*"):
        name = path.relative_to(distribution).as_posix()
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)', name)
        assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", path.name)
        assert len(name) < 160  # of the 260 that Windows allows by default
    lower = [path.as_posix().lower() for path in distribution.rglob("*")]
    assert len(set(lower)) == len(lower)


def test_it_refuses_what_jinja_would_render(distribution: Path, tmp_path: Path) -> None:
    said = render_each(distribution, tmp_path, [{"project_name": NAME}])
    assert "project_name must not contain any of {{ }} {% %} {# #}" in said
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "0"])


def test_writing_it_again_replaces_what_is_no_longer_there(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "kept").write_text("")
    write(tmp_path)
    (tmp_path / "gone").mkdir()
    write(tmp_path)
    assert (tmp_path / ".git" / "kept").exists()
    assert not (tmp_path / "gone").exists()
    assert "version 0." in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", "notes.txt"])
def test_it_replaces_nothing_but_a_distribution(tmp_path: Path, name: str) -> None:
    own = tmp_path / "notes.txt"
    own.write_text("ours\n")
    command = [sys.executable, "distribution.py", str(tmp_path / name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Nothing was written:" in done.stderr and "Traceback" not in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    assert own.read_text() == "ours\n"


class Repository:
    """A git repository in a folder, and the cruft that a person would run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str) -> str:
        command = ["git", *IDENTITY, *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def begin(self) -> None:
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, tag: str = "") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Change")
        if tag:
            self.git("tag", tag)

    def cruft(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", CRUFT, *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)


def release_next(template: Repository) -> None:
    """Release a version with a new prompt, a new filter, a new file and a new sentence."""
    path = template.folder / "cookiecutter.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= {"favourite": "tea", "_template_version": "9.0.0"}
    path.write_text(json.dumps(settings), encoding="utf-8")
    extension = template.folder / "stateful_streamlit_chatbot_template.py"
    text = extension.read_text(encoding="utf-8")
    extension.write_text(
        text.replace(
            "            tag=tag,\n", "            tag=tag,\n            loud=str.upper,\n"
        ),
        encoding="utf-8",
    )
    [project] = template.folder.glob("*cookiecutter.project_slug*")
    readme = (project / "README.md").read_text(encoding="utf-8")
    heading, rest = readme.split("\n\n", 1)
    sentence = "It serves {{ cookiecutter.favourite | loud }}."
    (project / "README.md").write_text(f"{heading}\n\n{sentence}\n\n{rest}", encoding="utf-8")
    (project / "NEW.md").write_text("{{ cookiecutter.favourite | quoted }}\n", encoding="utf-8")
    template.commit("v9.0.0")


def test_cruft_updates_a_project_that_its_team_has_changed(
    distribution: Path, tmp_path: Path
) -> None:
    template = Repository(tmp_path / "template")
    write(template.folder)
    template.begin()
    template.commit("v1")
    create = ("create", str(template.folder), "--no-input", "--checkout=v1")
    done = Repository(tmp_path).cruft(*create, "--extra-context", '{"use_cloudfron": "no"}')
    assert done.returncode == 1
    assert "did you mean use_cloudfront?" in " ".join(done.stderr.split())
    answers = json.dumps({"project_name": "Ask Legal", "use_cloudfront": "no"})
    done = Repository(tmp_path).cruft(*create, "--extra-context", answers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "git init -b main && git add --all" in done.stdout
    project = Repository(tmp_path / "ask-legal")
    project.begin()
    project.commit()
    assert project.cruft("check").returncode == 0
    readme = project.folder / "README.md"
    readme.write_text(f"{readme.read_text(encoding='utf-8')}Ours.\n", encoding="utf-8")
    (project.folder / "OURS.md").write_text("Ours.\n")
    (project.folder / "models.toml").write_text("# Ours alone\n")
    project.commit()
    assert "-Ours." in project.cruft("diff").stdout

    release_next(template)
    assert project.cruft("check").returncode == 1
    done = project.cruft("update", "--skip-apply-ask", "--checkout=v9.0.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.folder / "NEW.md").read_text() == '"tea"\n'
    text = readme.read_text(encoding="utf-8")
    assert "It serves TEA." in text and text.endswith("Ours.\n")
    assert (project.folder / "models.toml").read_text() == "# Ours alone\n"
    kept = json.loads((project.folder / ".template.json").read_text(encoding="utf-8"))
    assert kept["_template_version"] == "9.0.0"
    assert (kept["project_name"], kept["use_cloudfront"]) == ("Ask Legal", False)
    assert kept["favourite"] == "tea"
    project.commit()
    assert project.cruft("check").returncode == 0
    assert not list(project.folder.rglob("*.rej"))


def test_cruft_adopts_a_project_that_was_made_without_it(tmp_path: Path, bake: Bake) -> None:
    """As the project's README says, with the answers that the project has kept."""
    template = Repository(tmp_path / "template")
    write(template.folder)
    template.begin()
    template.commit("v1")
    project = Repository(bake(project_name="Ask Legal", use_cloudfront=False).path)
    project.commit()
    answers = (project.folder / ".template.json").read_text(encoding="utf-8")
    link = ("link", str(template.folder), "--checkout=v1", "--no-input")
    done = project.cruft(*link, "--extra-context", answers)
    assert done.returncode == 0, done.stdout + done.stderr
    project.commit()
    assert project.cruft("diff").stdout == ""
    release_next(template)
    done = project.cruft("update", "--skip-apply-ask")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It serves TEA." in (project.folder / "README.md").read_text(encoding="utf-8")


def test_a_release_pushes_it_with_its_tag_and_attaches_a_zip_file(tmp_path: Path) -> None:
    """The workflow's own steps, with a folder as GitHub, and a program that notes its arguments."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    steps = {each.get("name"): each for each in read_yaml(text)["jobs"]["release"]["steps"]}
    origin = Repository(tmp_path / "github" / "our-team" / "chatbot.git")
    origin.folder.mkdir(parents=True)
    origin.git("init", "--quiet", "--bare", "--initial-branch=main")
    gh = tmp_path / "programs" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/told\n')
    gh.chmod(0o755)
    version = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    tag = f"v{version['_template_version']}"
    environment = os.environ | {
        "TAG": tag,
        "KEY": "no key",
        "REPOSITORY": "our-team/chatbot",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ACTOR": "releaser",
        "GITHUB_SERVER_URL": "https://github.com",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/github/.insteadOf",
        "GIT_CONFIG_VALUE_0": "git@github.com:",
        "GIT_CONFIG_KEY_1": f"url.file://{tmp_path}/github/.insteadOf",
        "GIT_CONFIG_VALUE_1": "https://github.com/",
        "PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}",
    }

    def run(step: str, **changed: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-c", steps[step]["run"]]
        settings = environment | changed
        return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)

    assert run("Push the distribution", TAG="v0.0.1").returncode == 1  # no such version
    for step in ("Push the distribution", "Create the release"):
        done = run(step)
        assert done.returncode == 0, done.stdout + done.stderr
    assert origin.git("rev-parse", "main") == origin.git("rev-parse", f"{tag}^{{commit}}")
    assert "{{cookiecutter.project_slug}}/README.md" in origin.git("ls-tree", "-r", "main")
    archive = tmp_path / "chatbot-template.zip"
    assert (tmp_path / "told").read_text().split()[:4] == ["release", "create", tag, str(archive)]
    output = tmp_path / "output"
    output.mkdir()
    assert render_each(archive, output, [{}]).count("Your chatbot is in") == 1
    assert (output / "0" / "team-chatbot" / "streamlit_app.py").exists()

    # Its README has lines to copy and run, with its own address; the release has one, too.
    address = "https://github.com/our-team/chatbot.git"
    assert f"cookiecutter {address}" in (tmp_path / "told").read_text()
    readme = tmp_path / "distribution" / "README.md"
    [block] = Document(readme.parent, readme).commands()
    lines = block.text.splitlines()
    programs = ("cookiecutter", "uvx cookiecutter", "cruft create")
    assert lines == [f"{program} {address}" for program in programs]
    assert "ADDRESS" not in readme.read_text(encoding="utf-8")
    shell = Shell(tmp_path / "home")
    for number, line in enumerate(lines):
        folder = tmp_path / f"line-{number}"
        folder.mkdir()
        github = {name: text for name, text in environment.items() if name.startswith("GIT_")}
        assert not shell.run(line, folder, **github)
        assert (folder / "team-chatbot" / "streamlit_app.py").exists()


def test_in_its_folder_without_an_address_the_lines_to_copy_work_too(
    distribution: Path, tmp_path: Path
) -> None:
    [block] = Document(distribution, distribution / "README.md").commands()
    shell = Shell(tmp_path)
    for number, line in enumerate(block.text.splitlines()):
        assert not shell.run(f"{line} --output-dir {tmp_path}/{number}", distribution)
        assert (tmp_path / str(number) / "team-chatbot" / "streamlit_app.py").exists()
