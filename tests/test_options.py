"""Hostile and mistaken answers: kept as they are, or refused in words, before anything exists."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooks.options import markdown, quoted, region_error, slug_error, text_error, validate
from support.paths import ROOT
from support.rendering import Bake, run_cookiecutter
from support.yaml_reading import read_yaml

GOOD = {
    "project_name": "Team Chatbot",
    "project_slug": "team-chatbot",
    "owner": "Our Team",
    "aws_region": "us-east-1",
}


def cookiecutter(folder: Path, *answers: str) -> tuple[int, str]:
    """Run cookiecutter with answers on the command line; return its exit code and its words."""
    done = run_cookiecutter(ROOT, folder, "--no-input", "--default-config", *answers)
    return done.returncode, " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "name",
    [
        "yes",
        "null",
        "Bot: #1",
        'It\'s "quoted"',
        "back\\slash \\n",
        "Ünïcode 日本語",
        "Bot 👩‍💻",
        "- *list* `code` [x](y) <b>",
        "{{ cookiecutter }} {% raw %}",
        "$HOME $(id) `id` %s {0}",
        "'''",
        "x" * 80,
    ],
)
def test_a_strange_name_is_kept(bake: Bake, name: str) -> None:
    project = bake(project_name=name, owner=name, project_slug="strange-name")
    pyproject = tomllib.loads(project.read("pyproject.toml"))
    assert pyproject["project"]["description"] == name
    assert pyproject["project"]["authors"] == [{"name": name}]
    assert pyproject["tool"]["dev"]["environment"]["CHATBOT_TITLE"] == name
    assert name in project.read("LICENSE")
    assert project.read("README.md").splitlines()[0] == f"# {markdown(name)}"


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("project_name", "", "must not be empty"),
        ("project_name", "   ", "must not be empty"),
        ("project_name", "x" * 300, "at most 80 characters, but has 300"),
        ("project_name", "two\nlines", "must not contain line breaks"),
        ("project_name", "bell\x07", "control characters"),
        ("project_name", "c1 \x85 x", "control characters"),
        ("project_name", "right\u202eleft", "invisible characters"),
        ("project_name", "<< 7*7 >>", "must not contain any of <<"),
        ("project_name", "a << b", "must not contain any of <<"),
        ("project_name", '<% raw %> it\'s "\\" 👋', "must not contain any of <<"),
        ("project_name", "<# gone #>", "must not contain any of <<"),
        ("owner", "<< cookiecutter.project_name >>", "must not contain any of <<"),
        ("owner", " spaced", "begin or end with a space"),
        ("project_slug", "../x", "lowercase letters, digits and single hyphens"),
        ("project_slug", "/etc", "lowercase letters"),
        ("project_slug", "1e3", "begin with a letter"),
        ("project_slug", "a--b", "single hyphens"),
        ("project_slug", "a-", "single hyphens"),
        ("project_slug", "x" * 41, "2 to 40"),
        ("project_slug", "Team", "lowercase letters"),
        ("aws_region", "Frankfurt", "must be the code of an AWS region"),
        ("aws_region", "us-east-1; rm", "must be the code"),
        ("aws_region", "cn-north-1", "commercial AWS regions"),
        ("aws_region", "us-gov-west-1", "commercial AWS regions"),
    ],
)
def test_a_wrong_answer_is_refused_before_anything_exists(
    tmp_path: Path, option: str, value: str, rule: str
) -> None:
    answers = GOOD | {option: value}
    code, said = cookiecutter(tmp_path, *(f"{name}={text}" for name, text in answers.items()))
    assert code == 1
    assert "Traceback" not in said
    assert f"{option} must" in said
    assert rule in said
    assert "for example: " in said
    assert list(tmp_path.iterdir()) == []


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    wrong = ("project_name=", "project_slug=../x", "owner=\x07", "aws_region=mars")
    _, said = cookiecutter(tmp_path, *wrong)
    for option in GOOD:
        assert f"{option} must" in said
    assert r"'\x07'" in said


def test_a_name_without_letters_needs_a_slug(tmp_path: Path) -> None:
    code, said = cookiecutter(tmp_path, "project_name=👋")
    assert (code, "project_slug must" in said) == (1, True)
    code, said = cookiecutter(tmp_path, "project_name=👋", "project_slug=wave")
    assert code == 0
    assert (tmp_path / "wave" / "README.md").exists()


@pytest.mark.parametrize(
    ("region", "use_cloudfront", "warns"),
    [("ap-southeast-6", "y", True), ("ap-southeast-6", "n", False), ("eu-central-1", "y", False)],
)
def test_a_region_that_cloudfront_may_not_reach_is_told(
    tmp_path: Path, region: str, use_cloudfront: str, warns: bool
) -> None:
    answers = (f"aws_region={region}", f"use_cloudfront={use_cloudfront}")
    code, said = cookiecutter(tmp_path, *answers)
    assert code == 0
    assert (f"CloudFront may not reach load balancers in {region}" in said) is warns


def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    code, said = cookiecutter(tmp_path, "license=GPL")  # by cookiecutter itself
    assert code == 1
    assert "GPL" in said and "Apache-2.0" in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "team-chatbot").mkdir()
    (tmp_path / "team-chatbot" / "precious").touch()
    code, said = cookiecutter(tmp_path)
    assert (code, "already exists" in said) == (1, True)
    assert [file.name for file in tmp_path.rglob("*")] == ["team-chatbot", "precious"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1"])
def test_regions_are_known_by_their_form(region: str) -> None:
    assert region_error(region) is None


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=90))
def test_every_name_that_is_accepted_can_be_quoted(name: str) -> None:
    if text_error("name", name, "example") is None:
        assert tomllib.loads(f"key = {quoted(name)}") == {"key": name}
        assert read_yaml(f"key: {quoted(name)}") == {"key": name}
        assert json.loads(quoted(name)) == name
        assert "\n" not in markdown(name)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=50))
def test_every_slug_that_is_accepted_is_a_safe_name(slug: str) -> None:
    if slug_error(slug) is None:
        assert slug.isascii() and slug.replace("-", "").isalnum() and slug == slug.lower()


def test_good_options_are_accepted() -> None:
    assert validate(GOOD) == "yes"
