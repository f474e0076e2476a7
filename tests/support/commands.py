"""A shell for the commands of documents: it runs them, and nothing leaves this machine.

Programs are in one of three groups. Those in `REAL` run. Our own scripts in Python are written
down, and accepting.py has their parsers look at the command line. Those of other people that need
AWS, GitHub, containers or a network are written down too, and `refusal` looks at their words.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from botocore import xform_name
from botocore.session import Session

TESTS = Path(__file__).resolve().parents[1]
REAL = ("bash", "cat", "dirname", "git", "grep")
OF_THIS_PYTHON = ("cookiecutter", "cruft")
# What else documents run: subcommands, with the options that documents use. Nothing here knows
# better than these lists what the programs accept, so look a new one up in its manual.
OTHERS: dict[str, dict[str, set[str]]] = {
    "aws": {  # beside these, all that botocore knows
        "cloudformation deploy": {
            "--template-file",
            "--stack-name",
            "--region",
            "--capabilities",
            "--parameter-overrides",
        },
        "configure export-credentials": {"--format"},
        "s3 rb": {"--force"},
        "sso login": set(),
    },
    "docker": {  # test_containers.py
        "compose up": {"--detach", "--scale", "--build"},
        "compose down": {"--volumes"},
        "kill": set(),
    },
    "gh": {
        "api": {"-X", "-F", "-f", "--jq"},
        "repo create": {"--private", "--source", "--push"},
        "variable set": {"--body"},
    },
    "openssl": {"rand": {"-hex"}},  # not on every machine
    "pip": {"install": {"-r", "--no-deps"}},
    "pip-audit": {"": {"--ignore-vuln"}},  # what audit.py passes on
    "pipx": {"install": {"--force"}},
    "uv": {"pip compile": {"--upgrade"}},
}
PROGRAMS = (*REAL, *OF_THIS_PYTHON, *OTHERS, "eval", "python3", "uvx")

_FIELD, _RECORD = "\x1f", "\x1e"
_NOTE = f"""#!/bin/sh
printf '%s{_FIELD}' "$PWD" "${{0##*/}}" "$@" >> "$NOTES"
printf '{_RECORD}' >> "$NOTES"
"""
_PYTHON = f"""#!/bin/sh
case "$1" in
*.py | */*.py) ;;
*) PYTHONPATH=. exec {sys.executable} -B -P "$@" ;;
esac
{_NOTE.partition(chr(10))[2]}"""
_UVX = """#!/bin/sh
exec "$@"
"""


class Shell:
    """A shell with a home of its own.

    notes: what was not run: the folder, the program and its words.
    """

    def __init__(self, home: Path) -> None:
        self.programs = home / "programs"
        self.programs.mkdir(parents=True)
        for name in REAL:
            (self.programs / name).symlink_to(str(shutil.which(name)))
        for name in OF_THIS_PYTHON:
            (self.programs / name).symlink_to(Path(sys.executable).parent / name)
        scripts = dict.fromkeys(OTHERS, _NOTE) | {"python3": _PYTHON, "uvx": _UVX}
        for name, script in scripts.items():
            (self.programs / name).write_text(script)
            (self.programs / name).chmod(0o755)
        who = [f"GIT_{each}" for each in ("AUTHOR_NAME", "AUTHOR_EMAIL")]
        who += [f"GIT_{each}" for each in ("COMMITTER_NAME", "COMMITTER_EMAIL")]
        self._notes = home / "notes"
        self._environment = dict.fromkeys(who, "team@localhost") | {
            "HOME": str(home),
            "NOTES": str(self._notes),
            "PATH": str(self.programs),
            "LANG": "C.UTF-8",
        }

    def run(self, command: str, folder: Path, **environment: str) -> str:
        """Run a command; return what is wrong with it, or ""."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=self._environment | environment,
            input="\n" * 200_000,  # to the questions of several programs, each of which reads ahead
            capture_output=True,
            text=True,
        )
        if done.returncode == 127:
            return (
                f"{done.stderr}This program is not known to the tests: add it to"
                " tests/support/commands.py, to those that run or to those whose words are checked."
            )
        return f"It ended with {done.returncode}: {done.stderr}" if done.returncode else ""

    def take_notes(self) -> list[tuple[Path, list[str]]]:
        """Return the folder and the words of what was not run since this was called last."""
        if not self._notes.exists():
            return []
        records = self._notes.read_text(encoding="utf-8").split(_RECORD)[:-1]
        self._notes.unlink()
        noted = (each.split(_FIELD)[:-1] for each in records)
        return [(Path(folder), words) for folder, *words in noted]


def refusals_of_ours(
    project: Path, lines: Sequence[tuple[Sequence[Path], Sequence[str]]]
) -> list[str]:
    """Return what our programs say of each command line, "" for one that they accept.

    A line is accepted if one of its folders has a program that accepts it.
    """
    given = [(list(map(str, folders)), list(words)) for folders, words in lines]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-m", "support.accepting", str(project)],
        input=json.dumps(given),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def refusal(words: Sequence[str]) -> str:
    """Return what is wrong with the words of another program, or ""."""
    program, *rest = words
    known = OTHERS[program]
    names = [" ".join(rest[:length]) for length in (2, 1)]
    name = next((each for each in names if each in known), names[0])
    options = known.get(name, _options_of_aws(name) if program == "aws" else None)
    if options is None:
        return (
            f"The tests don't know `{program} {name}`: add it to OTHERS in"
            " tests/support/commands.py."
        )
    unknown = {each.partition("=")[0] for each in rest if each.startswith("-")} - options
    return f"`{program} {name}` has no {', '.join(sorted(unknown))}" if unknown else ""


def _options_of_aws(name: str) -> set[str] | None:
    """Return the options of an operation, as the AWS CLI makes them of botocore's models."""
    session = Session()
    service, _, operation = name.partition(" ")
    if service not in session.get_available_services():
        return None
    model = session.get_service_model(service)
    names = {xform_name(each, "-"): each for each in model.operation_names}
    if operation not in names:
        return None
    shape = model.operation_model(names[operation]).input_shape
    members = shape.members if shape else {}
    return {f"--{xform_name(name, '-')}" for name in members} | {"--region", "--query", "--output"}
