"""Whether our own programs accept command lines: the programs run until they would begin to act.

Run as a module with a project's folder: reads a list of command lines from the standard input, and
writes what is wrong with each, or "". A command line is the folders where it may be typed, and its
words, such as ["dev.py", "test"].
"""

import argparse
import contextlib
import io
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_parse = argparse.ArgumentParser.parse_known_args


def complaint(folder: Path, words: Sequence[str]) -> str:
    """Return what a program says of the words that it can't accept, or ""."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            for action, arguments in _run(folder / words[0], words[1:]):
                _check(action, folder, arguments)
        except SystemExit as end:
            if end.code:
                return f"{said.getvalue()}{end.code if isinstance(end.code, str) else ''}".strip()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _run(program: Path, words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Run a program; return the name of what it would do, with what its parser passes on."""
    found: list[tuple[str, list[str]]] = []

    def parse(*arguments: Any, **named: Any) -> tuple[argparse.Namespace, list[str]]:
        options, unknown = _parse(*arguments, **named)
        if callable(action := getattr(options, "action", None)):
            options.action = _note(action, found)
        return options, unknown

    sys.argv = [str(program), *words]
    sys.path.insert(0, str(program.parent))
    sys.modules.pop("dev", None)  # which may be another project's
    argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign, assignment]
    try:
        runpy.run_path(str(program), run_name="__main__")
    finally:
        argparse.ArgumentParser.parse_known_args = _parse  # type: ignore[method-assign]
        sys.path.remove(str(program.parent))
    return found


def _note(
    action: Callable[..., Any], found: list[tuple[str, list[str]]]
) -> Callable[[argparse.Namespace], None]:
    name = getattr(action, "__name__", "")  # it may be a note already, of a parser within another

    def note(options: argparse.Namespace) -> None:
        found.append((name, options.arguments))

    note.__name__ = name
    return note


def _check(action: str, folder: Path, arguments: Sequence[str]) -> None:
    """Have whoever gets the further arguments of a program look at them."""
    if action == "deployment":
        from deployment.command_line import read_command_line
        from deployment.project import read_project

        read_command_line(arguments, read_project(), {})
    elif action == "test" and arguments:
        # With this option, pytest reads all the others, and says which markers there are.
        command = [sys.executable, "-P", "-m", "pytest", "--markers", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(done.stderr)
        chosen = re.findall(r"-m[ =]?([a-z ]+)", " ".join(arguments))
        marks = set(re.findall(r"@pytest\.mark\.(\w+)", done.stdout)) | {"and", "or", "not"}
        if unknown := set(" ".join(chosen).split()) - marks:
            raise ValueError(f"No such marker: {', '.join(sorted(unknown))}")
    elif arguments:
        raise ValueError(f"Nothing checks what is passed on: {' '.join(arguments)}")


def main() -> None:
    given = json.load(sys.stdin)
    sys.path.insert(0, sys.argv[1])
    found = []
    for folders, words in given:
        said = [complaint(Path(folder), words) for folder in folders]
        found.append(said[0] if all(said) else "")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
