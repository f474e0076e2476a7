"""The template's options: their validation, and how their values are quoted when rendered."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

ROOT = Path(__file__).resolve().parent.parent

TEXT_LENGTH = 80  # characters
JOINERS = "\u200c\u200d"  # not printable, but needed in Persian words and many emoji
DELIMITERS = ("<<", ">>", "<%", "%>", "<#", "#>")

# Valid in the names of stacks, repositories and log groups on AWS, with room for a suffix.
SLUG = re.compile(r"[a-z](-?[a-z0-9]){1,39}")
REGION = re.compile(r"[a-z]{2}-[a-z]+(-[a-z]+)?-[1-9][0-9]?")
OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")


def text_error(name: str, value: str, example: str) -> str | None:
    """Return what is wrong with a line of text, or None."""
    if not value.strip():
        rule = "must not be empty"
    elif value != value.strip():
        rule = "must not begin or end with a space"
    elif len(value) > TEXT_LENGTH:
        rule = f"must have at most {TEXT_LENGTH} characters, but has {len(value)}"
    elif not all(character.isprintable() or character in JOINERS for character in value):
        rule = "must not contain line breaks, control characters or invisible characters"
    elif any(delimiter in value for delimiter in DELIMITERS):
        rule = f"must not contain any of {' '.join(DELIMITERS)}"
    else:
        return None
    return f"{name} {rule}; for example: {example}"


def slug_error(value: str) -> str | None:
    """Return what is wrong with a slug, or None."""
    if SLUG.fullmatch(value) and len(value) <= 40:
        return None
    return (
        "project_slug must consist of 2 to 40 lowercase letters, digits and single hyphens, "
        "begin with a letter and not end with a hyphen; for example: team-chatbot"
    )


def region_error(value: str) -> str | None:
    """Return what is wrong with an AWS region, or None."""
    if value.startswith(OTHER_PARTITIONS):
        return (
            "aws_region must be one of the commercial AWS regions, because only those have the "
            "inference profiles of Bedrock that the models need; for example: eu-central-1"
        )
    if REGION.fullmatch(value):
        return None
    return "aws_region must be the code of an AWS region; for example: eu-central-1"


def validate(options: Mapping[str, str]) -> str:
    """Check all options before anything is written, and return "yes".

    Raises FailedHookException with all errors; cookiecutter prints it without a traceback.
    """
    errors = {
        "project_name": text_error("project_name", options["project_name"], "Team Chatbot"),
        "project_slug": slug_error(options["project_slug"]),
        "owner": text_error("owner", options["owner"], "Data Team, Example Ltd"),
        "aws_region": region_error(options["aws_region"]),
    }
    lines = [
        f"  {error}\n    The value is {shorten(options[name])}."
        for name, error in errors.items()
        if error
    ]
    if lines:
        raise FailedHookException("\n".join(["The project was not created:", *lines]))
    return "yes"


def shorten(value: str) -> str:
    """Return a value on one short line, with unprintable characters escaped."""
    shown = ascii(value) if not value.isprintable() else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def quoted(value: str) -> str:
    """Quote a validated text for TOML, YAML and JSON, which can all read a JSON string."""
    return json.dumps(value, ensure_ascii=False)


def markdown(value: str) -> str:
    """Escape a validated text for Markdown, including HTML in it."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", value)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def tag(value: str) -> str:
    """Replace characters that AWS does not accept in the value of a tag."""
    return re.sub(r"[^\w .:/=+@-]", "-", value)


class Options(Extension):
    """Adds the filters `validate`, `quoted`, `markdown` and `tag`, and takes answers literally.

    Cookiecutter renders not only the defaults but also values from the command line: a name like
    "<< 7*7 >>" would become "49" or cause a Jinja error. This class renders only the template's
    own text.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update(validate=validate, quoted=quoted, markdown=markdown, tag=tag)
        defaults = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
        self._own = {value for value in defaults.values() if isinstance(value, str)}
        self._own |= {hook.read_text(encoding="utf-8") for hook in ROOT.glob("hooks/*_gen_*.py")}
        self._own |= {folder.name for folder in ROOT.glob("<<*>>")}

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        # The environment has a loader only while the project's files are rendered.
        if self.environment.loader is not None or source in self._own:
            return source
        start = self.environment.variable_start_string
        end = self.environment.variable_end_string
        return f"{start} {source!a} {end}" if has_delimiter(source) else source


def has_delimiter(source: str) -> bool:
    return any(delimiter in source for delimiter in DELIMITERS)
