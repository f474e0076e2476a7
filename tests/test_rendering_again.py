"""Rendering where something is already: over a team's project, from kept answers, beside others."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from support.options import CONTEXT, DEFAULTS
from support.paths import ROOT
from support.rendering import run_cookiecutter

OWN = ("docs/github.md", "infra/github.yml", ".github/CODEOWNERS", ".github/workflows/own.yml")
QUIET = ("--no-input", "--default-config")


def render(folder: Path, *words: str, **environment: str) -> str:
    """Render, which has to work; return what was said."""
    done = run_cookiecutter(ROOT, folder, *QUIET, *words, env=os.environ | environment, cwd=folder)
    assert done.returncode == 0, done.stdout
    return done.stdout


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    done = subprocess.run(
        ["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def copy_template(folder: Path) -> Path:
    """Make a copy of the template that can be changed, but for the project's files."""
    folder.mkdir()
    for name in ("cookiecutter.json", "stateful_streamlit_chatbot_template.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "hooks", folder / "hooks")
    (folder / "<<cookiecutter.project_slug>>").symlink_to(ROOT / "<<cookiecutter.project_slug>>")
    return folder


# Over a project


@pytest.mark.parametrize("how", [["-f"], ["-f", "-s"]])
def test_the_files_of_a_team_stay(tmp_path: Path, how: list[str]) -> None:
    render(tmp_path, "ci=none")
    project = tmp_path / "team-chatbot"
    for name in OWN:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("ours\n")
    said = render(tmp_path, *how, "ci=none")
    assert [(project / name).read_text() for name in OWN] == ["ours\n"] * len(OWN)
    assert sorted(path.name for path in (project / ".github/workflows").iterdir()) == ["own.yml"]
    assert "Kept your infra/github.yml" in said
    assert not (project / ".before-rendering").exists()


def test_the_files_of_a_team_stay_if_a_rendering_was_interrupted(tmp_path: Path) -> None:
    """It was killed when it had written its own, and not yet removed them."""
    render(tmp_path, "ci=none")
    project = tmp_path / "team-chatbot"
    (project / "infra" / "github.yml").write_text("ours\n")
    template = copy_template(tmp_path / "template")
    (template / "hooks" / "post_gen_project.py").write_text("raise SystemExit(1)\n")
    done = run_cookiecutter(template, tmp_path, *QUIET, "-f", "ci=none")
    assert done.returncode != 0
    assert (project / "infra" / "github.yml").read_text() != "ours\n"
    render(tmp_path, "-f", "ci=none")
    assert (project / "infra" / "github.yml").read_text() == "ours\n"
    assert not (project / ".before-rendering").exists()
    assert not (project / ".github").exists()


def interrupt(template: Path, folder: Path, *words: str) -> None:
    """Render until all files are written, and no longer."""
    template = copy_template(template)
    (template / "hooks" / "post_gen_project.py").write_text("raise SystemExit(1)\n")
    assert run_cookiecutter(template, folder, *QUIET, "-f", *words).returncode != 0


def test_a_file_that_an_interrupted_rendering_did_not_write_stays(tmp_path: Path) -> None:
    render(tmp_path, "ci=none", "network=existing VPC")
    project = tmp_path / "team-chatbot"
    interrupt(tmp_path / "template", tmp_path, "ci=none")
    own = project / ".github" / "workflows" / "test.yml"
    own.write_text("ours\n")
    (project / "infra" / "private.yml").write_text("ours\n")
    said = render(tmp_path, "-f", "ci=none", "network=existing VPC")
    assert own.read_text() == (project / "infra" / "private.yml").read_text() == "ours\n"
    assert "Kept your infra/private.yml" in said
    assert [path for path in (project / ".github").rglob("*") if path.is_file()] == [own]
    assert not (project / "docs" / "github.md").exists()
    assert not (project / ".before-rendering").exists()


def test_what_was_aside_and_has_no_place_any_more_is_put_beside(tmp_path: Path) -> None:
    render(tmp_path, "ci=none")
    project = tmp_path / "team-chatbot"
    (project / "infra" / "github.yml").write_text("ours\n")
    (project / ".github").symlink_to("../shared")
    interrupt(tmp_path / "template", tmp_path, "ci=none")
    said = render(tmp_path, "-f", "ci=GitHub Actions")
    assert (project / "infra" / "github.yml.interrupted").read_text() == "ours\n"
    assert str((project / ".github.interrupted").readlink()) == "../shared"
    assert (project / "infra" / "github.yml").read_text() != "ours\n"
    assert "Kept infra/github.yml.interrupted" in said
    assert not (project / ".before-rendering").exists()


def test_a_link_within_the_project_stays(tmp_path: Path) -> None:
    render(tmp_path, "ci=none")
    project = tmp_path / "team-chatbot"
    own = project / "ci" / "workflows" / "test.yml"
    own.parent.mkdir(parents=True)
    own.write_text("ours\n")
    (project / ".github").symlink_to("ci")
    render(tmp_path, "-f", "ci=none")
    assert own.read_text() == "ours\n"
    assert str((project / ".github").readlink()) == "ci"


@pytest.mark.parametrize("name", ["README.md", ".gitignore", "streamlit_app.py"])
def test_files_that_are_there_stay_if_that_is_asked_for(tmp_path: Path, name: str) -> None:
    """Cookiecutter itself keeps those that it renders, and not those that it copies."""
    render(tmp_path)
    project, shared = tmp_path / "team-chatbot", tmp_path / "shared.py"
    (project / name).write_text("ours\n")
    shared.write_text("ours\n")
    (project / "chatbot" / "demo.py").unlink()
    (project / "chatbot" / "demo.py").symlink_to(shared)
    (project / "server.py").unlink()
    for _ in range(2):
        said = render(tmp_path, "-f", "-s")
        assert (project / name).read_text() == shared.read_text() == "ours\n"
        assert (project / "chatbot" / "demo.py").is_symlink()
        assert (project / "server.py").is_file()
        assert "Kept" not in said
        assert not (project / ".before-rendering").exists()


@pytest.mark.parametrize("name", ["LICENSE", "docs"])
def test_nothing_is_written_through_a_link_out_of_the_project(tmp_path: Path, name: str) -> None:
    render(tmp_path)
    project, shared = tmp_path / "team-chatbot", tmp_path / "shared"
    (project / name).rename(shared)
    (project / name).symlink_to(shared)
    changed = shared / "data.md" if shared.is_dir() else shared
    changed.write_text("ours\n")
    said = render(tmp_path, "-f")
    assert f"Replaced the link {name}" in said
    assert changed.read_text() == "ours\n"
    assert not (project / name).is_symlink() and (project / name).exists()


def test_a_link_stays_where_the_template_has_nothing(tmp_path: Path) -> None:
    render(tmp_path, "ci=none")
    project, shared = tmp_path / "team-chatbot", tmp_path / "shared"
    (shared / "workflows").mkdir(parents=True)
    own = shared / "workflows" / "test.yml"
    own.write_text("ours\n")
    own.chmod(0o600)
    (project / ".github").symlink_to(shared)
    said = render(tmp_path, "-f", "ci=none")
    assert "Kept your .github" in said
    assert (project / ".github").is_symlink()
    assert [path for path in shared.rglob("*") if path.is_file()] == [own]
    assert (own.read_text(), stat.S_IMODE(own.stat().st_mode)) == ("ours\n", 0o600)


def test_a_link_stays_where_files_that_are_there_stay(tmp_path: Path) -> None:
    render(tmp_path)
    project, shared = tmp_path / "team-chatbot", tmp_path / "shared"
    shared.write_text("ours\n")
    (project / "LICENSE").unlink()
    (project / "LICENSE").symlink_to(shared)
    said = render(tmp_path, "-f", "-s")
    assert "Replaced" not in said
    assert (project / "LICENSE").is_symlink()
    assert shared.read_text() == "ours\n"


def test_what_is_left_out_leaves_no_folder(tmp_path: Path) -> None:
    render(tmp_path, "ci=none")
    render(tmp_path, "ci=none", "-f")
    assert not (tmp_path / "team-chatbot" / ".github").exists()


# Where nobody can read what is said


@pytest.mark.parametrize(("encoding", "output"), [("utf-8", "/dev/full"), ("ascii", os.devnull)])
def test_a_project_that_is_complete_stays(tmp_path: Path, encoding: str, output: str) -> None:
    folder = tmp_path / "日本"
    folder.mkdir()
    command = [
        sys.executable,
        "-P",
        "-m",
        "cookiecutter",
        str(ROOT),
        *QUIET,
        f"--output-dir={folder}",
    ]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    with Path(output).open("wb") as opened:
        subprocess.run(command, stdout=opened, env=environment, check=True)
    assert (folder / "team-chatbot" / "README.md").exists()


# From kept answers


def replay(tmp_path: Path, **answers: object) -> subprocess.CompletedProcess[str]:
    kept = tmp_path / "kept" / "answers.json"
    kept.parent.mkdir(exist_ok=True)
    private = {name: value for name, value in CONTEXT.items() if name.startswith("_")}
    kept.write_text(json.dumps({"cookiecutter": private | DEFAULTS | answers}))
    folder = tmp_path / "output"
    folder.mkdir(exist_ok=True)
    words = ("--default-config", "--replay-file", str(kept))
    return run_cookiecutter(ROOT, folder, *words, env=os.environ | {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("project_slug", "../outside"),
        ("project_slug", "/outside"),
        ("project_slug", 7),
        ("aws_region", "mars"),
        ("owner", "two\nlines"),
        ("license", "GPL"),
        ("use_cloudfront", "perhaps"),
        ("models", ["both"]),
    ],
)
def test_kept_answers_are_checked_like_others(tmp_path: Path, option: str, value: object) -> None:
    done = replay(tmp_path, **{option: value, "__validated": "yes"})
    assert (done.returncode, "Traceback" in done.stdout) == (1, False), done.stdout
    assert f"{option} must" in done.stdout
    made = {path.name for path in tmp_path.iterdir()} - {"kept", "output", ".cookiecutter_replay"}
    assert (made, list((tmp_path / "output").iterdir())) == (set(), [])


def test_the_answers_of_version_0_1_0_can_be_replayed(tmp_path: Path) -> None:
    """They name its extension, and patterns of files as they were then."""
    old = {"_extensions": ["hooks.options.Options"], "_copy_without_render": ["*.py"]}
    done = replay(tmp_path, **old, __validated="yes", owner="Replay Team")
    assert done.returncode == 0, done.stdout
    license_ = (tmp_path / "output" / "team-chatbot" / "LICENSE").read_text()
    assert "Replay Team" in license_
    style = (tmp_path / "output" / "team-chatbot" / "chatbot" / "web" / "page.css").read_bytes()
    assert style == (ROOT / "<<cookiecutter.project_slug>>/chatbot/web/page.css").read_bytes()


# Beside others


TWICE = """
import sys
from cookiecutter.main import cookiecutter
for number, source in enumerate(sys.argv[2:]):
    folder = f"{sys.argv[1]}/{number}"
    cookiecutter(source, no_input=True, default_config=True, output_dir=folder)
"""


def test_two_versions_can_be_rendered_by_one_process(tmp_path: Path) -> None:
    """The second one has another default, and the first one is gone by then."""
    first, second = map(copy_template, (tmp_path / "first", tmp_path / "second"))
    settings = second / "cookiecutter.json"
    settings.write_text(settings.read_text().replace("Team Chatbot", "Second Team"))
    command = [sys.executable, "-B", "-c", TWICE, str(tmp_path), str(first), str(second)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["team-chatbot"]
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["second-team"]


def test_another_package_called_hooks_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "hooks").mkdir(parents=True)
    (tmp_path / "elsewhere" / "hooks" / "__init__.py").touch()
    render(tmp_path, PYTHONPATH=str(tmp_path / "elsewhere"))


def test_the_demo_is_rendered_in_a_folder_with_any_name(tmp_path: Path) -> None:
    template = copy_template(tmp_path / 'a "clone" for $HOME')
    shutil.copy(ROOT / "dev.py", template)
    code = "import dev, pathlib, sys; dev.render(pathlib.Path(sys.executable))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=template, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (template / "build" / "demo" / "team-chatbot" / "README.md").exists()
    assert list((template / "build" / "demo" / "replay").iterdir())


def test_another_copy_of_the_template_is_not_taken_for_it(tmp_path: Path) -> None:
    """Python looks in the folder where it is started."""
    other, output = tmp_path / "distribution", tmp_path / "output"
    subprocess.run([sys.executable, ROOT / "distribution.py", other], check=True)
    output.mkdir()
    command = [sys.executable, "-m", "cookiecutter", str(other), *QUIET, f"--output-dir={output}"]
    done = subprocess.run([*command, "project_slug=../x"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Run the command in another folder" in done.stdout + done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.name in ("x", "team-chatbot")] == []


def test_a_strict_umask_hides_nothing_from_containers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", ".*_cache")
    )
    for path in source.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    done = run_cookiecutter(source, tmp_path, *QUIET, umask=0o077)
    assert done.returncode == 0, done.stdout
    project = tmp_path / "team-chatbot"
    for path in project.rglob("*"):
        if ".git" not in path.parts:
            needed = 0o555 if path.is_dir() or path.name == "deployment.sh" else 0o444
            assert stat.S_IMODE(path.stat().st_mode) & needed == needed, path


# The repository


# Git, which finds out when a repository begins that its files have no run bits.
WITHOUT_RUN_BITS = """#!/bin/sh
{git} "$@" || exit
if [ "$1" = init ]; then {git} config core.fileMode false; fi
"""


def test_it_is_a_repository_on_the_branch_that_is_deployed(tmp_path: Path) -> None:
    """As on Windows or in WSL: files have no run bit, and git may change the ends of lines."""
    config = tmp_path / "gitconfig"
    config.write_text("[core]\nautocrlf = true\n[init]\ndefaultBranch = master\n")
    settings = {"GIT_CONFIG_GLOBAL": str(config)}
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(WITHOUT_RUN_BITS.format(git=shutil.which("git")))
    (programs / "git").chmod(0o755)
    said = render(tmp_path, **settings, PATH=f"{programs}:{os.environ['PATH']}")
    project = tmp_path / "team-chatbot"
    assert git(project, "branch", "--show-current") == "main"
    assert git(project, "ls-files", "--stage", "deployment.sh").startswith("100755 ")
    assert git(project, "ls-files", "--others", "--exclude-standard") == ""
    assert "a git repository" in said
    git(project, "commit", "--quiet", "--message=Begin")
    copy = tmp_path / "copy"
    command = ["git", "clone", "--quiet", str(project), str(copy)]
    subprocess.run(command, check=True, env=os.environ | settings)
    for name in ("deployment.sh", "dev.py", "infra/haproxy.cfg"):
        assert b"\r" not in (copy / name).read_bytes(), name


def test_a_hook_of_another_repository_can_render(tmp_path: Path) -> None:
    """Git tells its hooks where their repository is, which the project's is not."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    before = sorted(other.rglob("*"))
    (tmp_path / "output").mkdir()
    own = other / ".git"
    places = {"GIT_DIR": own, "GIT_COMMON_DIR": own, "GIT_WORK_TREE": other}
    places |= {"GIT_INDEX_FILE": own / "index", "GIT_OBJECT_DIRECTORY": own / "objects"}
    render(tmp_path / "output", **{name: str(place) for name, place in places.items()})
    assert sorted(other.rglob("*")) == before
    git(tmp_path / "output" / "team-chatbot", "commit", "--quiet", "--message=Begin")


def test_no_half_of_a_repository_is_left(tmp_path: Path) -> None:
    render(tmp_path)
    project, programs = tmp_path / "team-chatbot", tmp_path / "programs"
    shutil.rmtree(project / ".git")
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nmkdir -p .git\nkill -INT $PPID\n")
    (programs / "git").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = run_cookiecutter(ROOT, tmp_path, *QUIET, "-f", env=environment)
    assert done.returncode != 0
    assert not (project / ".git").exists()


def test_a_project_in_the_templates_own_repository_is_told_to_move(tmp_path: Path) -> None:
    template = copy_template(tmp_path / "template")
    git(template, "init", "--quiet")
    done = run_cookiecutter(template, template, *QUIET)
    assert "inside the template's own repository: move the folder out" in done.stdout


def test_in_a_repository_there_is_no_second_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "services").mkdir()
    said = render(tmp_path / "services")
    assert "GitHub reads .github only at the top of a repository" in said
    assert not (tmp_path / "services" / "team-chatbot" / ".git").exists()
    assert "a git repository" not in said


def test_it_is_rendered_without_git_too(tmp_path: Path) -> None:
    said = render(tmp_path, PATH=str(tmp_path / "nothing"), PWD=str(tmp_path))
    assert "Your chatbot is in team-chatbot." in said
    assert not (tmp_path / "team-chatbot" / ".git").exists()


@pytest.mark.parametrize("output", [".", "some where", "../beside"])
def test_the_next_steps_can_be_typed_where_one_is(tmp_path: Path, output: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    words = (str(ROOT), *QUIET, "--output-dir", output)
    environment = os.environ | {"PWD": str(here)}
    command = [sys.executable, "-m", "cookiecutter", *words]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    [line] = [line for line in done.stdout.splitlines() if "dev.py run" in line]
    command = ["sh", "-c", line.split(":", 1)[1].replace("dev.py run", "dev.py --help")]
    assert subprocess.run(command, cwd=here, capture_output=True).returncode == 0, line
