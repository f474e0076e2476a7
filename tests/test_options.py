"""Hostile and mistaken answers: kept as they are, or refused in words, before anything exists."""

import ast
import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stateful_streamlit_chatbot_template import (
    REGIONS,
    find_errors,
    markdown,
    quoted,
    region_error,
    slug_error,
    slug_of,
    tag,
    text_error,
)
from support.options import DEFAULTS
from support.paths import ROOT
from support.rendering import Bake, run_cookiecutter
from support.yaml_reading import read_yaml

MARKDOWN = MarkdownIt("commonmark")
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


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("3D Printing", "chatbot-3d-printing"),
        ("👋", "chatbot"),
        ("X", "chatbot-x"),
        ("Con", "chatbot-con"),
        ("7" * 60, f"chatbot-{'7' * 32}"),
    ],
)
def test_the_slug_that_is_made_of_a_name_is_accepted(tmp_path: Path, name: str, slug: str) -> None:
    code, said = cookiecutter(tmp_path, f"project_name={name}")
    assert code == 0, said
    assert [folder.name for folder in tmp_path.iterdir()] == [slug]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("use_cloudfron=no", "no option 'use_cloudfron'; did you mean use_cloudfront?"),
        ("region=eu-west-1", "no option 'region'; did you mean aws_region?"),
        ("aws_region=us-est-1", "for example: us-west-1 or us-east-1"),
        ("aws_region=eu-cental-1", "for example: eu-central-1"),
    ],
)
def test_what_is_misspelt_on_the_command_line_is_named(
    tmp_path: Path, word: str, told: str
) -> None:
    code, said = cookiecutter(tmp_path, word)
    assert (code, told in said, "Traceback" in said) == (1, True, False), said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("owner: NO", "owner must be text"),
        ("owner: null", "owner must be text"),
        ("project_name: {a: b}", "project_name must be text"),
        ("license: BSD-3-Clause", "license must be one of MIT, Apache-2.0, Proprietary"),
        ("models: Both", "for example: both"),
        ("use_cloudfront: perhaps", "use_cloudfront must be yes or no"),
        ("use_cloudfront: off", ""),
        ("full_name: of another template", ""),
    ],
)
def test_a_persons_defaults_are_checked_too(tmp_path: Path, line: str, told: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"default_context:\n  {line}\n  aws_region: eu-west-3\n")
    output = tmp_path / "output"
    output.mkdir()
    options = ("--no-input", "--config-file", str(config))
    done = run_cookiecutter(ROOT, output, *options, env=os.environ | {"HOME": str(tmp_path)})
    said = " ".join(done.stdout.split())
    assert "Traceback" not in said
    assert told in said, said
    made = [folder.name for folder in output.iterdir()]
    assert (done.returncode, made) == ((1, []) if told else (0, ["team-chatbot"])), said
    if made:
        assert "eu-west-3" in (output / "team-chatbot" / "README.md").read_text()


def test_a_file_with_defaults_may_be_empty_and_beside_the_person(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("default_context:\n")
    words = ("--no-input", "--config-file", "config.yaml")
    done = run_cookiecutter(
        ROOT, tmp_path, *words, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout


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


# Pieces of which awkward names are made: of other languages' syntax, of scripts, of numbers.
AWKWARD = st.sampled_from(
    r"""' " ''' \ \\ \n \u0041 $ $HOME $(id) ${x} `id` %s %(x)s {0} {{x}} {% x %} {# x #}
    # : - * & ! | ? ; = , . ~ @ < > &amp; <b> </script> [x](y) ![x](y) [x]: _x_ **x** 1. +
    NO yes null 0x10 1e3 .5 2026-11-26 true Ünï 日本語 العربية עברית 👩‍💻 é é ß İ ﷺ x X 7
    con nul - -- --help ../ / // C: http://x x@y.z www.x.y""".split()  # noqa: SIM905 - shorter
)
NAMES = st.one_of(
    st.text(max_size=90),
    st.lists(st.one_of(AWKWARD, st.text(max_size=5)), min_size=1, max_size=8).map(" ".join),
    st.lists(AWKWARD, min_size=1, max_size=8).map("".join),
)


@settings(max_examples=2000, deadline=None)
@given(NAMES)
def test_every_name_that_is_accepted_can_be_quoted(name: str) -> None:
    assert slug_error(slug_of(name)) is None
    if text_error("name", name, "example") is None:
        assert tomllib.loads(f"key = {quoted(name)}") == {"key": name}
        assert read_yaml(f"key: {quoted(name)}") == {"key": name}
        assert json.loads(quoted(name)) == name
        assert ast.literal_eval(quoted(name)) == name
        children = MARKDOWN.parse(f"# {markdown(name)}")[1].children or []
        assert "".join(token.content for token in children) == name
        assert {token.type for token in children} <= {"text", "text_special"}
        assert re.fullmatch(r"[\w .:/=+@-]*", tag(name))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=50), st.from_regex(r"[a-z0-9-]{1,45}", fullmatch=True)))
def test_every_slug_that_is_accepted_is_a_safe_name(slug: str) -> None:
    if slug_error(slug) is None:
        assert slug.isascii() and slug.replace("-", "").isalnum() and slug == slug.lower()
        assert shlex.quote(slug) == slug
        assert slug not in ("con", "nul", "lpt1", "scratch")


def test_good_options_are_accepted() -> None:
    assert list(find_errors(DEFAULTS)) == []
    assert [region for region in REGIONS if region_error(region)] == []
