#!/usr/bin/env python3
"""Run, test and lint this project: makes the virtual environment .venv when it is first needed.

Only Python 3.11 or newer is needed, with its standard library.
"""

import argparse
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):
    version = sys.version.split()[0]
    sys.exit(f"dev.py needs Python 3.11 or newer; this is {version}. Try another one: python3.13")

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")


class DevError(Exception):
    """Something a person has to put right; the text says what and how."""


def make_environment(folder: Path, *requirements: Path) -> Path:
    """Make a virtual environment with what the files of requirements list; return its Python.

    Does nothing if that was done before with the same files. Raises DevError.
    """
    python = folder / "bin" / "python"
    done = folder / "requirements.sha256"
    wanted = hashlib.sha256(b"\0".join(file.read_bytes() for file in requirements)).hexdigest()
    if python.exists() and done.exists() and done.read_text() == wanted:
        return python
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        raise DevError(
            "This Python can't make virtual environments. On Debian and Ubuntu:\n"
            "  sudo apt install python3-venv"
        )
    say(f"Making the virtual environment {os.path.relpath(folder)}")
    try:
        done.unlink(missing_ok=True)
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", folder.resolve()],  # it may be a link
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise DevError(f"The virtual environment could not be made: {error}.") from error
    if made.returncode:
        raise DevError(f"The virtual environment could not be made:\n{last_lines(made.stdout)}")
    install(python, requirements)
    done.write_text(wanted)
    return python


def install(python: Path, requirements: Sequence[Path]) -> None:
    """Install what the files list, and show what is being downloaded. Raises DevError."""
    # The files name all that is needed, and leave out some of what Streamlit asks for.
    command = [str(python), "-m", "pip", "install", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input"]
    for file in requirements:
        command += ["-r", str(file)]
    say(f"Installing {' and '.join(file.name for file in requirements)}, up to a minute or two")
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            lines.append(line)
            if line.startswith(("Collecting", "Installing")) and sys.stdout.isatty():
                print(f"\r  {line.strip()[:74]:<74}", end="", flush=True)
    if sys.stdout.isatty():
        print(f"\r{'':<78}\r", end="")
    if pip.returncode:
        raise DevError(
            f"pip could not install the requirements. It said:\n{last_lines(''.join(lines))}\n"
            "Is there a network? Behind a proxy or with a mirror of your own, set HTTPS_PROXY or\n"
            "PIP_INDEX_URL. Then run the same command again."
        )


def last_lines(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-5:])


def say(text: str) -> None:
    print(f"> {text}", flush=True)


def check_port(address: str, port: int, verb: str) -> None:
    """Raise DevError if the verb can't listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OverflowError:
            raise DevError(f"Port {port} does not exist; ports go from 0 to 65535.") from None
        except OSError as error:
            raise DevError(
                f"Port {port} of {address} can't be used ({error.strerror}). Choose another one:\n"
                f"  python3 dev.py {verb} --port {port + 1}"
            ) from error


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, with the demo model unless CHATBOT_BACKEND says otherwise."""
    import tomllib  # not in a Python that is too old, which is told so above

    check_port(options.address, options.port, "run")
    python = make_environment(ROOT / ".venv", *REQUIREMENTS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    defaults = {"CHATBOT_BACKEND": "demo"} | project["tool"]["dev"]["environment"]
    environment = defaults | {name: value for name, value in os.environ.items() if value}
    model = "the demo model" if environment["CHATBOT_BACKEND"] == "demo" else "Amazon Bedrock"
    say(f"Serving on http://{options.address}:{options.port} with {model}; Ctrl-C stops it")
    os.chdir(ROOT)
    command = [str(python), "-m", "streamlit", "run", "streamlit_app.py"]
    command += [f"--server.address={options.address}", f"--server.port={options.port}"]
    # In the place of this process, so that Ctrl-C and other signals reach it alone.
    os.execve(python, command, environment)


def test(options: argparse.Namespace) -> None:
    """Run the tests; further words are for pytest."""
    python = make_environment(ROOT / ".venv", *REQUIREMENTS)
    check([python, "-m", "pytest", *options.arguments])


def lint(options: argparse.Namespace) -> None:
    """Check style, format and types, without changing a file."""
    python = make_environment(ROOT / ".venv", *REQUIREMENTS)
    check(
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", "."],
    )


def check(*commands: Sequence[str | Path]) -> None:
    """Run all the commands; exit with 1 if any of them failed."""
    codes = []
    for command in commands:
        say(" ".join(map(str, command[2:])))
        codes.append(subprocess.run(command, cwd=ROOT).returncode)
    if any(codes):
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run_parser = verbs.add_parser("run", help="serve the page on this machine")
    run_parser.add_argument("--port", type=int, default=8501)
    run_parser.add_argument("--address", default="localhost", help="localhost unless told")
    run_parser.set_defaults(action=run)
    test_parser = verbs.add_parser("test", help="run the tests; further words are for pytest")
    test_parser.set_defaults(action=test)
    lint_parser = verbs.add_parser("lint", help="check style, format and types")
    lint_parser.set_defaults(action=lint)
    call(parser)


def call(parser: argparse.ArgumentParser) -> None:
    """Do what is asked on the command line; end with a sentence instead of a traceback."""
    options, arguments = parser.parse_known_args()
    options.arguments = arguments
    if options.arguments and options.action.__name__ != "test":
        parser.error(f"unknown: {' '.join(options.arguments)}")
    try:
        options.action(options)
    except DevError as error:
        sys.exit(f"dev.py: {error}")
    except KeyboardInterrupt:
        sys.exit("\ndev.py: stopped.")


if __name__ == "__main__":
    main()
