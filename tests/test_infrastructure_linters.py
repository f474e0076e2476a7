"""What is rendered for AWS, docker and GitHub passes the linters of its kind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.config import ConfigMixIn
from cfnlint.decode import decode_str
from cfnlint.runner import Runner

from support.options import DEFAULTS, NOTHING_BY_DEFAULT
from support.paths import BUILD, ROOT
from support.projects import Project
from support.rendering import Bake
from support.stacks import Infrastructure
from support.yaml_reading import read_yaml

YAML_STYLE = {
    "extends": "default",
    "rules": {
        "braces": {"max-spaces-inside": 1},
        "comments": {"min-spaces-from-content": 1},
        "document-start": "disable",
        "line-length": "disable",
        "truthy": {"check-keys": False},  # GitHub's `on`
    },
}


def lint(*texts: str) -> None:
    """Let cfn-lint look at templates, once each, as it does from the command line."""
    runner = Runner(ConfigMixIn(regions=[DEFAULTS["aws_region"]]))
    for text in sorted(set(texts)):
        template, errors = decode_str(text)
        found = errors or list(runner.validate_template(template))
        assert not found, [f"{each.linenumber}: {each}" for each in found]


def templates_of(infrastructures: list[Infrastructure]) -> list[str]:
    return [
        text
        for each in infrastructures
        for name, text in each.files.items()
        if name.endswith(".yml")
    ]


def test_cfn_lint_finds_nothing_wrong_with_the_templates(structures: list[Infrastructure]) -> None:
    enough = [each for each in structures if is_always_linted(each)]
    assert len(enough) == 8 + 2 * 2
    lint(*templates_of(enough))


def is_always_linted(each: Infrastructure) -> bool:
    """Return whether these files are linted by the tests without a marker.

    The processor is one word in one line; the lines about signing in depend on CloudFront only.
    """
    return each.is_default("cpu_architecture") and (
        each.is_default("sign_in") or each.is_default("network", "use_autoscaling")
    )


@pytest.mark.aws
def test_cfn_lint_finds_nothing_wrong_with_any_other_structure(
    structures: list[Infrastructure],
) -> None:
    others = [each for each in structures if not is_always_linted(each)]
    assert len(others) == 16 * 3 - 12
    known = set(templates_of([each for each in structures if is_always_linted(each)]))
    lint(*set(templates_of(others)) - known)


@pytest.mark.aws
def test_checkov_finds_nothing_but_what_is_explained(
    structures: list[Infrastructure], tmp_path: Path
) -> None:
    contents = set(templates_of(structures))
    texts = {f"{number}.yml": text for number, text in enumerate(sorted(contents))}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    options = ("--framework", "cloudformation", "--skip-download", "--output", "json")
    command = [checkov(), "-m", "checkov.main", "--directory", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    results = json.loads(done.stdout)["results"]
    assert not {(each["check_id"], each["resource"]) for each in results["failed_checks"]}
    assert not results["parsing_errors"]
    looked_at = {each["file_path"].removeprefix("/") for each in results["passed_checks"]}
    budgets = {name for name, text in texts.items() if "AWS::Budgets::Budget" in text}
    assert looked_at == set(texts) - budgets  # of which it knows nothing
    # Each explanation is of something that checkov looks for there.
    skipped = {
        (each["file_path"].removeprefix("/"), each["resource"].split(".")[-1], each["check_id"])
        for each in results["skipped_checks"]
    }
    assert skipped == {
        (file, name, explanation["id"])
        for file, text in texts.items()
        for name, resource in read_yaml(text)["Resources"].items()
        for explanation in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }


def checkov() -> str:
    """Return the Python of an environment of its own, made once, because it pins old versions."""
    folder, requirements = BUILD / "checkov-venv", ROOT / "tests" / "checkov.txt"
    python, made = folder / "bin" / "python", folder / "requirements.txt"
    if not made.exists() or made.read_bytes() != requirements.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*install, "-r", str(requirements)], check=True)
        made.write_bytes(requirements.read_bytes())
    return str(python)


def test_every_check_that_is_skipped_is_explained_beside_its_resource(
    structures: list[Infrastructure],
) -> None:
    for each in structures:
        for name, resource in each.template["Resources"].items():
            for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                assert set(skipped) == {"id", "comment"}, name
                assert skipped["comment"].endswith("."), name


@pytest.fixture(params=[{}, NOTHING_BY_DEFAULT], ids=["default", "other"])
def baked(request: pytest.FixtureRequest, bake: Bake) -> Project:
    return bake(**request.param)


def run(project: Project, tool: str, *words: str) -> None:
    """Run a linter that is installed beside this Python; it must find nothing."""
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"  # actionlint calls shellcheck
    done = project.run(str(tools / tool), *words, environment={"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_finds_nothing_wrong_with_the_dockerfile(baked: Project) -> None:
    run(baked, "hadolint", "Dockerfile")


def test_shellcheck_finds_nothing_wrong_with_the_deployment_script(baked: Project) -> None:
    run(baked, "shellcheck", "deployment.sh")


def test_yamllint_finds_nothing_wrong_with_any_yaml_file(baked: Project) -> None:
    run(baked, "yamllint", "--strict", "--config-data", json.dumps(YAML_STYLE), ".")


def test_actionlint_finds_nothing_wrong_with_the_workflows(baked: Project) -> None:
    assert (baked.path / ".git").is_dir()  # it finds the workflows that others call from here
    run(baked, "actionlint")


def test_zizmor_finds_nothing_unsafe_in_the_workflows(baked: Project, tmp_path: Path) -> None:
    config = tmp_path / "zizmor.yml"
    # It prefers `$/` to `./` for a workflow of the same repository, which is new on GitHub.
    config.write_text(json.dumps({"rules": {"self-repository": {"disable": True}}}))
    run(baked, "zizmor", "--offline", f"--config={config}", ".github/workflows")
