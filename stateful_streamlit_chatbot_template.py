"""The template's options: their validation, and how their values are quoted when rendered.

Cookiecutter loads this as a Jinja extension. It stands at the top of the repository, under a name
that nobody else has, because Cookiecutter finds it by name on a path that others share.
"""

import json
import re
import runpy
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cookiecutter.config import get_user_config
from cookiecutter.exceptions import FailedHookException
from cookiecutter.prompt import YesNoPrompt
from jinja2 import Environment
from jinja2.ext import Extension
from slugify import slugify

ROOT = Path(__file__).resolve().parent
SETTINGS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
[TEMPLATE] = ROOT.glob("*cookiecutter.project_slug*")

TEXT_LENGTH = 80  # characters
SLUG_LENGTH = 40  # characters; with it, the names of roles and buckets on AWS stay short enough
JOINERS = "\u200c\u200d"  # not printable, but needed in Persian words and many emoji
USUAL_DELIMITERS = ("{{", "}}", "{%", "%}", "{#", "#}")  # of the distribution for Windows
DELIMITERS = (
    tuple(text for name, text in SETTINGS["_jinja2_env_vars"].items() if "string" in name)
    or USUAL_DELIMITERS
)

# Valid in the names of stacks, repositories and log groups on AWS, with room for a suffix.
SLUG = re.compile(r"[a-z](-?[a-z0-9]){1,39}")
# Names that Windows keeps for devices, and Docker for the empty image.
RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]|scratch")
REGION = re.compile(
    r"[a-z]{2}-(north|south|east|west|central|(north|south)(east|west))-[1-9][0-9]?"
)
OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")
# To find out which one was meant; a region need not be among them.
REGIONS = runpy.run_path(str(TEMPLATE / "deployment" / "vpc_origins.py"))["REGIONS"]

# As Cookiecutter understands them.
YES_OR_NO = dict.fromkeys(YesNoPrompt.yes_choices, True) | dict.fromkeys(
    YesNoPrompt.no_choices, False
)

Options = Mapping[str, Any]


def text_error(name: str, value: object, example: str) -> str | None:
    """Return what is wrong with a line of text, or None."""
    if not isinstance(value, str):
        rule = f"must be text; in a file of answers, put it in quotes, such as {name}: 'NO'"
    elif not value.strip():
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


def slug_error(value: object) -> str | None:
    """Return what is wrong with a slug, or None."""
    if not isinstance(value, str) or not SLUG.fullmatch(value) or len(value) > SLUG_LENGTH:
        return (
            "project_slug must consist of 2 to 40 lowercase letters, digits and single hyphens, "
            "begin with a letter and not end with a hyphen; for example: team-chatbot"
        )
    if RESERVED.fullmatch(value):
        return (
            "project_slug must not be a name that Windows or Docker keeps for itself; for example: "
            "team-chatbot"
        )
    return None


def slug_of(name: object) -> str:
    """Return a slug for a project's name, which is always acceptable."""
    slug = str(slugify(str(name), max_length=SLUG_LENGTH))
    if slug_error(slug):
        prefix = "chatbot-"
        slug = f"{prefix}{slug[: SLUG_LENGTH - len(prefix)]}".strip("-")
    return slug


def region_error(value: object) -> str | None:
    """Return what is wrong with an AWS region, or None."""
    text = value if isinstance(value, str) else ""
    if text.startswith(OTHER_PARTITIONS):
        return (
            "aws_region must be one of the commercial AWS regions, because only those have the "
            "inference profiles of Bedrock that the models need; for example: eu-central-1"
        )
    if REGION.fullmatch(text):
        return None
    examples = get_close_matches(text, REGIONS, 2) or ["eu-central-1"]
    return f"aws_region must be the code of an AWS region; for example: {' or '.join(examples)}"


def choice_error(name: str, value: object, choices: list[str] | bool) -> str | None:
    """Return what is wrong with the answer to a question that has a few, or None.

    choices: the answers there are; a boolean stands for yes and no.
    """
    if isinstance(choices, bool):
        return None if isinstance(value, bool) else f"{name} must be yes or no; for example: yes"
    if value in choices:
        return None
    return f"{name} must be one of {', '.join(choices)}; for example: {nearest(value, choices)}"


def nearest(value: object, choices: list[str]) -> str:
    """Return the choice that is most like the value, or the first one if none is like it."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(str(value).lower(), by_lower, 1, cutoff=0.4)
    return by_lower[found[0]] if found else choices[0]


def find_errors(options: Options) -> Iterator[str]:
    """Yield what is wrong with the options, each with its value."""
    errors = {
        "project_name": text_error("project_name", options["project_name"], "Team Chatbot"),
        "project_slug": slug_error(options["project_slug"]),
        "owner": text_error("owner", options["owner"], "Data Team, Example Ltd"),
        "aws_region": region_error(options["aws_region"]),
    }
    for name, choices in read_prompts().items():
        if isinstance(choices, list | bool):
            errors[name] = choice_error(name, options[name], choices)
    for name, error in errors.items():
        if error:
            yield f"{error}\n    The value is {shorten(options[name])}."


def find_errors_in_words(entered: Mapping[str, object], *, unknown: bool) -> Iterator[str]:
    """Yield what is wrong with answers that Cookiecutter would pass over.

    entered: what the command line, or the file with a person's defaults, says.
    unknown: whether names that this template does not know are mistakes. In the file, they are for
        other templates.
    """
    prompts = read_prompts()
    for name, value in entered.items():
        choices = prompts.get(name)
        if choices is None:
            if unknown and not name.startswith("_"):
                yield (
                    f"There is no option {shorten(name)}; did you mean {nearest(name, [*prompts])}?"
                )
            continue
        error = None
        if isinstance(choices, bool):
            error = choice_error(name, YES_OR_NO.get(str(value).lower(), value), choices)
        elif isinstance(choices, list):
            error = choice_error(name, value, choices)
        elif not isinstance(value, str | int | float) or isinstance(value, bool):
            error = text_error(name, value, choices if name != "project_slug" else "team-chatbot")
        if error:
            yield f"{error}\n    The value is {shorten(value)}."


def read_prompts() -> dict[str, Any]:
    """Return what cookiecutter.json asks, by name."""
    return {name: value for name, value in SETTINGS.items() if not name.startswith("_")}


def refuse(errors: Iterator[str]) -> None:
    """Raise FailedHookException, which Cookiecutter prints without a traceback, for any error."""
    if lines := [f"  {error}" for error in errors]:
        raise FailedHookException("\n".join(["The project was not created:", *lines]))


def check_command_line() -> None:
    """Refuse what Cookiecutter's command line, or the file with defaults, got wrong.

    Cookiecutter tells a template of an answer only if it knows its name. It does not tell where the
    answers come from, either, so this asks Click; other programs that call Cookiecutter have none.
    """
    context = current_command()
    told = context.params if context else {}
    if "extra_context" not in told or __name__ in context.meta:
        return
    # Once is enough. Later, in the project's folder, the file's name may lead nowhere.
    context.meta[__name__] = True
    entered = told["extra_context"] or {}
    if isinstance(entered, str):  # cruft, which has this option, too, takes JSON
        entered = json.loads(entered)
    refuse(find_errors_in_words(entered, unknown=True))
    if not told.get("replay"):
        config = get_user_config(told.get("config_file"), bool(told.get("default_config")))
        refuse(find_errors_in_words(config["default_context"] or {}, unknown=False))


def current_command() -> Any:
    """Return what Click knows of the command line, or None; Typer, and so cruft, has its own."""
    for name in ("click", "typer._click.globals"):
        module = sys.modules.get(name)
        context = module.get_current_context(silent=True) if module else None
        if context:
            return context
    return None


def accept(options: dict[str, Any]) -> str:
    """Check all options before anything is written, wherever they come from; return nothing.

    A replay file also brings the private settings of the version that wrote it: these are replaced
    by this version's. Raises FailedHookException with all errors.
    """
    rendered = Path(options.get("_repo_dir") or ROOT)
    if (rendered / "cookiecutter.json").is_file() and rendered.resolve() != ROOT:
        raise FailedHookException(
            f"The project was not created: Python finds the template in {ROOT} first. Run the"
            " command in another folder."
        )
    refuse(find_errors(options))
    for name in ("_copy_without_render", "_jinja2_env_vars", "_extensions", "_template_version"):
        options[name] = SETTINGS[name]
    options.pop("_new_lines", None)
    return ""


def find_files() -> list[str]:
    """Return the paths of all files that the template has, within the project."""
    files = (path.relative_to(TEMPLATE) for path in sorted(TEMPLATE.rglob("*")) if path.is_file())
    return [path.as_posix() for path in files]


def find_unwanted(options: Options) -> list[str]:
    """Return the paths of files that the options leave out, within the project."""
    unwanted = []
    if options["ci"] != "GitHub Actions":
        unwanted += [name for name in find_files() if name.startswith(".github/")]
        unwanted += ["infra/github.yml", "docs/github.md"]
    if options["sign_in"] == "none":
        unwanted.append("docs/sign-in.md")
    if options["network"] != "new VPC":
        unwanted.append("infra/private.yml")
    return unwanted


def shorten(value: object) -> str:
    """Return a value on one short line, with unprintable characters escaped."""
    text = value if isinstance(value, str) else str(value)
    shown = ascii(value) if not text.isprintable() else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def quoted(value: str) -> str:
    """Quote a validated text for TOML, YAML and JSON, which can all read a JSON string."""
    return json.dumps(value, ensure_ascii=False)


def answers(options: Options) -> str:
    """Return the answers as JSON, with the template's version, as .template.json keeps them."""
    kept = {name: options[name] for name in ("_template_version", *read_prompts())}
    return json.dumps(kept, ensure_ascii=False, indent=2)


def begins_repository(_: Options) -> bool:
    """Return whether the project gets a git repository of its own, if it is in none.

    cruft compares two renderings file by file, and a repository's own files differ.
    """
    return "cruft" not in sys.modules


def is_for_comparison(_: Options) -> bool:
    """Return whether cruft renders only to compare, so that nobody waits for the next steps."""
    return "cruft" in sys.modules and "create" not in sys.argv


def skips_files(_: Options) -> bool:
    """Return whether Cookiecutter's command line says that existing files stay as they are."""
    context = current_command()
    return bool(context and context.params.get("skip_if_file_exists"))


def literal(value: object) -> str:
    """Return JSON that can stand between double quotes in Python."""
    return json.dumps(json.dumps(value))[1:-1]


def markdown(value: str) -> str:
    """Escape a validated text for Markdown, including HTML in it."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", value)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def tag(value: str) -> str:
    """Replace characters that AWS does not accept in the value of a tag."""
    return re.sub(r"[^\w .:/=+@-]", "-", value)


class ChatbotTemplate(Extension):
    """Adds the filters of this module, and takes answers literally.

    Cookiecutter renders not only the defaults but also values from the command line: a name like
    "<< 7*7 >>" would become "49" or cause a Jinja error. This class renders only the template's
    own text. The first of that is the name of the project's folder, so there the options are
    checked, before anything is written.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # A process that renders two versions of the template must not find this one twice.
        sys.modules.pop(__name__, None)
        environment.filters.update(
            accept=accept,
            answers=answers,
            begins_repository=begins_repository,
            files=lambda _: find_files(),
            is_for_comparison=is_for_comparison,
            literal=literal,
            markdown=markdown,
            quoted=quoted,
            skips_files=skips_files,
            slug_of=slug_of,
            tag=tag,
            template_folder=lambda _: str(ROOT),
            unwanted=find_unwanted,
        )
        self._own = {value for value in SETTINGS.values() if isinstance(value, str)}
        self._own |= {hook.read_text(encoding="utf-8") for hook in ROOT.glob("hooks/*_gen_*.py")}
        check_command_line()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        # The environment has a loader only while the project's files are rendered.
        if self.environment.loader is not None or source in self._own:
            return source
        start = self.environment.variable_start_string
        end = self.environment.variable_end_string
        if source == f"{start}cookiecutter.project_slug{end}":
            return f"{start} cookiecutter | accept {end}{source}"
        return f"{start} {source!a} {end}" if has_delimiter(source) else source


def has_delimiter(source: str) -> bool:
    return any(delimiter in source for delimiter in DELIMITERS)
