#!/usr/bin/env python3
"""Run, test and lint this project, in a virtual environment that is made when it is first needed.

Only Python 3.11 or newer is needed, with its standard library.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):
    program, version = Path(sys.argv[0]).name, sys.version.split()[0]
    again = shlex.join(["python3.13", *sys.argv])
    sys.exit(f"{program} needs Python 3.11 or newer; this is {version}. Try: {again}")

if sys.platform == "win32":
    sys.exit(
        "This runs on Linux, macOS and WSL. On Windows, install WSL and clone the folder there."
    )

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
REQUIREMENTS = ROOT / "lean" / "requirements-dev.txt"  # what page, tests and linters need


class DevError(Exception):
    """An error that a person can correct; its text says what is wrong and what to do."""


def make_environment(folder: Path, *requirements: Path) -> Path:
    """Make a virtual environment with the packages in the requirements files; return its Python.

    An environment that was made with the same files, and still has all that was installed, is used
    as it is: other tools, such as `uv sync`, may have emptied it. Of two processes that make one at
    once, the second waits, and uses that of the first. Raises DevError.
    """
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"  # written last, when the environment is complete
    checksum = hashlib.sha256(b"\0".join(file.read_bytes() for file in requirements)).hexdigest()

    def is_complete() -> bool:
        words = stamp.read_text() if python.exists() and stamp.exists() else ""
        return words == contents(folder, checksum)

    if is_complete():
        return python
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        raise DevError(
            "This Python can't make virtual environments. On Debian and Ubuntu:\n"
            "  sudo apt install python3-venv"
        )
    with alone_in(folder):
        if not is_complete():
            fill(folder, python, requirements)
            stamp.write_text(contents(folder, checksum))
    return python


def contents(folder: Path, checksum: str) -> str:
    """Return what tells a complete environment: its requirements, and how many packages it has."""
    packages = folder.glob("lib/python3*/site-packages/*.dist-info")
    return f"{checksum} {len(list(packages))}"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and wait until no other process is in this block with it.

    Does not wait where the file system has no such locks, as some of the network have none for
    folders. Raises DevError.
    """
    import fcntl  # Windows has none, and is told so above

    try:
        folder.resolve().mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DevError(f"The virtual environment could not be made: {error}.") from error
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def fill(folder: Path, python: Path, requirements: Sequence[Path]) -> None:
    """Make the environment, and install what the files say. Raises DevError."""
    say(f"Making the virtual environment {os.path.relpath(folder)}")
    try:
        (folder / "requirements.sha256").unlink(missing_ok=True)
        result = subprocess.run(
            # The folder may be a symbolic link, which venv would refuse.
            [sys.executable, "-m", "venv", "--clear", folder.resolve()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise DevError(f"The virtual environment could not be made: {error}.") from error
    if result.returncode:
        raise DevError(f"The virtual environment could not be made:\n{last_lines(result.stdout)}")
    install(python, requirements)


def install(python: Path, requirements: Sequence[Path]) -> None:
    """Install the packages in the files; show progress in a terminal. Raises DevError."""
    # The files list every package, and leave out some that Streamlit declares but the chat never
    # uses. So pip must not add dependencies. What a person's settings say of the place is for other
    # environments.
    command = [str(python), "-m", "pip", "install", "--no-deps", "--no-user"]
    command += ["--disable-pip-version-check", "--no-input"]
    places = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
    environment = {name: text for name, text in os.environ.items() if name not in places}
    for file in requirements:
        command += ["-r", str(file)]
    names = " and ".join(file.name for file in requirements)
    say(f"Installing {names}, which takes up to two minutes")
    lines = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            lines.append(line)
            if line.startswith(("Collecting", "Installing")) and sys.stdout.isatty():
                print(f"\r  {line.strip()[:74]:<74}", end="", flush=True)
    if sys.stdout.isatty():
        print(f"\r{'':<78}\r", end="")
    if pip.returncode:
        said = "".join(lines)
        raise DevError(f"pip could not install the packages:\n{last_lines(said)}\n{advice(said)}")


def advice(said: str) -> str:
    """Return what to do after pip has failed and said this."""
    # An index that tells of no version at all was not reached, or does not have the package.
    if re.search("Retrying|Connection|Timeout|timed out|Proxy|SSL|from versions: none", said):
        return (
            "Is there a network? Behind a proxy, set HTTPS_PROXY; to use your own package index,\n"
            "set PIP_INDEX_URL. Then run the same command again."
        )
    if "No space left" in said:
        return "Make room, then run the same command again."
    if "No matching distribution" in said or "Failed building" in said or "subprocess" in said:
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"Is there a wheel for Python {version} on {platform.machine()}? PyPI has one of each\n"
            "pinned version for Python 3.11 to 3.15; PIP_INDEX_URL names another package index."
        )
    return "Correct what pip names, then run the same command again."


def last_lines(text: str) -> str:
    """Return the last five lines of a program's output, indented."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-5:])


def say(text: str) -> None:
    """Print what is being done."""
    print(f"> {text}", flush=True)


def check_port(address: str, port: int, command: str) -> None:
    """Raise DevError if the port is not free; its text suggests the command with another port."""
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
                f"  python3 {command} --port {port + 1}"
            ) from error


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, with the demo model unless CHATBOT_BACKEND is set."""
    check_port(options.address, options.port, "dev.py run")
    python = make_environment(ENVIRONMENT, REQUIREMENTS)
    address = f"http://{options.address}:{options.port}"
    environment = {"CHATBOT_ADDRESS": address} | page_environment()  # for those who sign in
    say(f"Serving on {address} with {backend_name(environment)}; Ctrl-C stops it")
    os.chdir(ROOT)
    # The server replaces this process, so Ctrl-C and other signals reach it directly.
    os.execve(python, page_command(python, options.address, options.port), environment)


def page_environment() -> dict[str, str]:
    """Return this process's environment, with this project's defaults for what is not set.

    The page accepts as long a line of cookies (in bytes) as in the image: see Dockerfile.
    """
    defaults: dict[str, str] = read_pyproject()["tool"]["dev"]["environment"]
    own = {name: value for name, value in os.environ.items() if value}
    own_defaults = {"CHATBOT_BACKEND": "demo", "WEBSOCKETS_MAX_LINE_LENGTH": "65536"}
    return own_defaults | defaults | own


def read_pyproject() -> dict[str, Any]:
    import tomllib  # at the top, it would fail in an old Python before the version is checked

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def backend_name(environment: Mapping[str, str]) -> str:
    return "the demo model" if environment["CHATBOT_BACKEND"] == "demo" else "Amazon Bedrock"


def page_command(python: Path, address: str, port: int) -> list[str]:
    """Return the command that serves the page; it is to be run in the project's folder."""
    serve = [str(python), "-m", "streamlit", "run", "server.py"]
    return [*serve, f"--server.address={address}", f"--server.port={port}"]


def test(options: argparse.Namespace) -> None:
    """Run the tests, with the other arguments passed to pytest."""
    python = make_environment(ENVIRONMENT, REQUIREMENTS)
    run_all([python, "-m", "pytest", *options.arguments])


def lint(options: argparse.Namespace) -> None:
    """Check style, format, types and imports without changing a file."""
    python = make_environment(ENVIRONMENT, REQUIREMENTS)
    run_all(
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", "."],
        [python, python.with_name("lint-imports"), "--no-cache", "--no-logo"],
    )


def deployment(options: argparse.Namespace) -> None:
    """Run what deployment.sh stands for: the package deployment, with the other arguments."""
    with contextlib.redirect_stdout(sys.stderr):  # stdout has only the result of a verb
        python = make_environment(ENVIRONMENT, REQUIREMENTS)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [str(python), "-P", "-m", "deployment", *options.arguments]
    # It replaces this process, so Ctrl-C and other signals reach it directly.
    os.execve(python, command, os.environ | {"PYTHONPATH": path})


def run_all(*commands: Sequence[str | Path]) -> None:
    """Run every command in the project's folder; exit with 1 if any of them failed."""
    failed = False
    for command in commands:
        say(shlex.join(str(word).removeprefix(f"{ROOT}{os.sep}") for word in command))
        failed |= subprocess.run(command, cwd=ROOT).returncode != 0
    if failed:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_parser = commands.add_parser("run", help="serve the page on this machine")
    run_parser.add_argument("--port", type=int, default=8501, help="default: 8501")
    run_parser.add_argument("--address", default="localhost", help="default: localhost")
    run_parser.set_defaults(action=run)
    test_parser = commands.add_parser("test", help="run the tests; takes pytest's arguments")
    test_parser.set_defaults(action=test, arguments=[])
    lint_parser = commands.add_parser("lint", help="check style, format, types and imports")
    lint_parser.set_defaults(action=lint)
    deployment_parser = commands.add_parser(
        "deployment", help="what ./deployment.sh runs; takes its arguments", add_help=False
    )
    deployment_parser.set_defaults(action=deployment, arguments=[])
    call(parser)


def call(parser: argparse.ArgumentParser) -> None:
    """Call the action that the parser finds in the command line; end with a sentence on an error.

    An action whose parser has a default for `arguments` gets those that the parser does not know.
    """
    options, unknown = parser.parse_known_args()
    if unknown and "arguments" not in options:
        parser.error(f"unrecognized arguments: {shlex.join(unknown)}")
    options.arguments = unknown
    try:
        options.action(options)
    except DevError as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\n{parser.prog}: stopped.")


if __name__ == "__main__":
    main()
