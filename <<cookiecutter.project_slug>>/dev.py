#!/usr/bin/env python3
"""Run, test, lint and audit this project; makes virtual environments when they are first needed.

Only Python 3.11 or newer is needed, with its standard library.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock, Thread
from typing import Any

if sys.version_info < (3, 11):
    version = sys.version.split()[0]
    sys.exit(f"dev.py needs Python 3.11 or newer; this is {version}. Try another one: python3.13")

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements-dev.txt"  # what is shipped as well
SBOM = ROOT / "build" / "sbom.cdx.json"


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


def read_pyproject() -> dict[str, Any]:
    import tomllib  # not in a Python that is too old, which is told so above

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, with the demo model unless CHATBOT_BACKEND says otherwise."""
    check_port(options.address, options.port, "run")
    python = make_environment(ROOT / ".venv", REQUIREMENTS)
    environment = page_environment()
    address = f"http://{options.address}:{options.port}"
    say(f"Serving on {address} with {who_answers(environment)}; Ctrl-C stops it")
    os.chdir(ROOT)
    # In the place of this process, so that Ctrl-C and other signals reach it alone.
    os.execve(python, page_command(python, options.address, options.port), environment)


def page_environment() -> dict[str, str]:
    """Return the environment for the page: what pyproject.toml says where the own one is silent."""
    defaults: dict[str, str] = read_pyproject()["tool"]["dev"]["environment"]
    own = {name: value for name, value in os.environ.items() if value}
    return {"CHATBOT_BACKEND": "demo"} | defaults | own


def who_answers(environment: Mapping[str, str]) -> str:
    return "the demo model" if environment["CHATBOT_BACKEND"] == "demo" else "Amazon Bedrock"


def page_command(python: Path, address: str, port: int) -> list[str]:
    serve = [str(python), "-m", "streamlit", "run", "streamlit_app.py"]
    return [*serve, f"--server.address={address}", f"--server.port={port}"]


class Task:
    """A server of the page, which can be killed and started again.

    name: what the page shows as its host.
    address: where the balancer finds it.
    """

    def __init__(self, number: int, python: Path, port: int) -> None:
        self.name = f"task-{number}"
        self.address = f"127.0.0.1:{port}"
        self._command = page_command(python, "127.0.0.1", port)
        self._environment = page_environment() | {"CHATBOT_HOSTNAME": self.name}
        self._lock, self._stopped = Lock(), False
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the address, which is not the one to open
        )

    def wait_until_healthy(self) -> None:
        """Raise DevError if the task ends before it is healthy."""
        while self._process.poll() is None:
            connection = HTTPConnection(self.address, timeout=1)  # which no proxy comes between
            with suppress(OSError, HTTPException), closing(connection):
                connection.request("GET", "/_stcore/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.1)
        raise DevError(f"{self.name} has ended; it says above why.")

    def kill_or_start(self) -> None:
        with self._lock:
            if self._stopped:
                return
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
                say(f"{self.name} is dead, as if its machine were; the same number starts it again")
            else:
                self.start()
                say(f"{self.name} starts again")

    def stop(self) -> None:
        """End it for good."""
        with self._lock:
            self._stopped = True
            self._process.terminate()
            self._process.wait()


def cluster(options: argparse.Namespace) -> None:
    """Serve the page by two tasks behind a balancer, so that one can be killed, until Ctrl-C."""
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        raise DevError(
            "The balancer haproxy is not installed. On Debian and Ubuntu:\n"
            "  sudo apt install haproxy\n"
            "On macOS:\n"
            "  brew install haproxy\n"
            "Or, where there is Docker or Podman, without it:\n"
            "  docker compose up"
        )
    python = make_environment(ROOT / ".venv", REQUIREMENTS)
    numbers = (1, 2)
    for port in range(options.port, options.port + 1 + len(numbers)):
        check_port("127.0.0.1", port, "cluster")
    for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C; the latter from a closed window
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)
    with ExitStack() as running:
        tasks = []
        for number in numbers:
            tasks.append(Task(number, python, options.port + number))
            running.callback(tasks[-1].stop)
        places = {f"TASK_{number}": task.address for number, task in enumerate(tasks, 1)}
        balancer = subprocess.Popen(
            [haproxy, "-q", "-db", "-f", ROOT / "infra" / "haproxy.cfg"],
            env=os.environ | places | {"LISTEN": f"127.0.0.1:{options.port}"},
            stdin=subprocess.DEVNULL,
        )
        running.callback(balancer.terminate)
        for task in tasks:
            task.wait_until_healthy()
        address, model = f"http://localhost:{options.port}", who_answers(page_environment())
        say(f"Two tasks behind a balancer serve on {address} with {model}; Ctrl-C stops them")
        say("The page names its task as its host. A number, 1 or 2, and Enter: that task is killed")
        if sys.stdin and not in_background():
            Thread(target=obey, args=[tasks], daemon=True).start()
        balancer.wait()
        raise DevError("The balancer has ended; it says above why.")


def in_background() -> bool:
    """Return whether reading the terminal would stop this process."""
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp()


def obey(tasks: Sequence[Task]) -> None:
    """Kill or start the task whose number is typed."""
    for line in sys.stdin:
        number = line.strip()
        if number in map(str, range(1, len(tasks) + 1)):
            tasks[int(number) - 1].kill_or_start()
        elif number:
            say("Type 1 or 2 and Enter to kill that task, or to start it again")


def test(options: argparse.Namespace) -> None:
    """Run the tests; further words are for pytest."""
    python = make_environment(ROOT / ".venv", REQUIREMENTS)
    check([python, "-m", "pytest", *options.arguments])


def lint(options: argparse.Namespace) -> None:
    """Check style, format and types, without changing a file."""
    python = make_environment(ROOT / ".venv", REQUIREMENTS)
    check(
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy", "."],
    )


def audit(options: argparse.Namespace) -> None:
    """List what is shipped, and ask what is known of it; further words are for pip-audit."""
    python = make_environment(ROOT / ".venv-audit", ROOT / "requirements-audit.txt")
    SBOM.parent.mkdir(exist_ok=True)
    write = [str(python), "-m", "cyclonedx_py", "requirements", "--pyproject=pyproject.toml"]
    write += [f"--output-file={SBOM}", "requirements.txt"]
    written = subprocess.run(write, cwd=ROOT, capture_output=True, text=True)
    if written.returncode:
        raise DevError(f"The SBOM could not be written:\n{last_lines(written.stderr)}")
    say(f"Wrote {SBOM.relative_to(ROOT)}; asking for known vulnerabilities")
    # The versions in the file, resolved no further; none that can't be asked for is skipped.
    ask = [str(python), "-m", "pip_audit", "--requirement=requirements.txt", "--disable-pip"]
    ask += ["--strict", "--vulnerability-service=osv", "--progress-spinner=off"]
    ask += options.arguments
    asked = subprocess.run(ask, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    found = re.search(r"^Found \d+ known", asked.stderr, re.MULTILINE)
    # It ends well, with a warning, where it can't read an advisory; and with a traceback where it
    # gets no answer: of that, the last line with a name and a colon says what happened.
    if not found and (asked.returncode or "WARNING:pip_audit._service" in asked.stderr):
        reasons = re.findall(r"^[\w.-]+:.+", asked.stderr, re.MULTILINE)
        raise DevError(
            "It is unknown whether what is shipped is vulnerable. pip-audit said:\n"
            f"{last_lines(''.join(reasons[-1:]))}\n"
            "Is there a network? Behind a proxy, set HTTPS_PROXY, and REQUESTS_CA_BUNDLE if it\n"
            "has certificates of its own. Then run the same command again."
        )
    print(asked.stderr, end="")
    if found:
        raise DevError(
            "Upgrade what is named, as README.md tells. To pass over what does not concern you,\n"
            "add --ignore-vuln ID; to read more of it, --desc."
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
    cluster_parser = verbs.add_parser("cluster", help="serve it by two tasks, to kill one of them")
    cluster_parser.add_argument("--port", type=int, default=8501)
    cluster_parser.set_defaults(action=cluster)
    test_parser = verbs.add_parser("test", help="run the tests; further words are for pytest")
    test_parser.set_defaults(action=test)
    lint_parser = verbs.add_parser("lint", help="check style, format and types")
    lint_parser.set_defaults(action=lint)
    audit_parser = verbs.add_parser(
        "audit", help="find vulnerabilities in what is shipped; further words are for pip-audit"
    )
    audit_parser.set_defaults(action=audit)
    call(parser)


def call(parser: argparse.ArgumentParser) -> None:
    """Do what is asked on the command line; end with a sentence instead of a traceback."""
    options, arguments = parser.parse_known_args()
    options.arguments = arguments
    if options.arguments and options.action.__name__ not in ("test", "audit"):
        parser.error(f"unknown: {' '.join(options.arguments)}")
    try:
        options.action(options)
    except DevError as error:
        sys.exit(f"dev.py: {error}")
    except KeyboardInterrupt:
        sys.exit("\ndev.py: stopped.")


if __name__ == "__main__":
    main()
