#!/usr/bin/env python3
"""Write an SBOM of the packages in the image, and look up their known vulnerabilities.

It exits with 0 if none is known; with 1 if one is known, or if it could not look up all of them.
"""

import argparse
import io
import logging
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

from dev import ROOT, DevError, call, last_lines, make_environment, say

ENVIRONMENT = ROOT / ".venv-audit"
SBOM = ROOT / "build" / "sbom.cdx.json"


def audit(options: argparse.Namespace) -> None:
    """Write the SBOM and look up vulnerabilities, in the environment that has the tools."""
    python = make_environment(ENVIRONMENT, ROOT / "requirements-audit.txt")
    if Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
        # Start this file again with the environment's Python, which can import pip-audit.
        os.execv(python, [str(python), __file__, *sys.argv[1:]])
    os.chdir(ROOT)
    write_sbom()
    say(f"Wrote {SBOM.relative_to(ROOT)}; looking up known vulnerabilities")
    look_up_vulnerabilities(options.arguments)


def write_sbom() -> None:
    """Raise DevError if the SBOM can't be written."""
    SBOM.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--pyproject=pyproject.toml"]
    command += [f"--output-file={SBOM}", "lean/requirements.txt"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise DevError(f"The SBOM could not be written:\n{last_lines(result.stderr)}")


class LogRecorder(logging.Handler):
    """Keeps the warnings and errors that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def look_up_vulnerabilities(arguments: Sequence[str]) -> None:
    """Run pip-audit in this process, and print its findings.

    Raises DevError if a vulnerability is known, or if pip-audit could not look up all of them.
    """
    # pip-audit looks up the versions in the file as they are; with --strict, it skips none.
    sys.argv = ["pip-audit", "--requirement=lean/requirements.txt", "--disable-pip", "--strict"]
    sys.argv += ["--vulnerability-service=osv", "--progress-spinner=off", *arguments]
    os.environ.pop("PIP_AUDIT_LOGLEVEL", None)  # it could silence what the recorder waits for
    log = LogRecorder()
    logging.getLogger("pip_audit").addHandler(log)
    messages = io.StringIO()  # held back: they may say "No known vulnerabilities" after a warning
    code, crash = None, None
    with redirect_stderr(messages):
        try:
            runpy.run_module("pip_audit", run_name="__main__")
        except SystemExit as end:
            code = end.code
        except Exception as error:  # most often because there is no network
            crash = describe(error)
    # pip-audit exits with 1 if it finds a vulnerability, and also after an error, which it logs.
    # If it can't read an answer, it logs a warning and goes on as if nothing were known.
    failed = crash or any(record.levelno >= logging.ERROR for record in log.records)
    found = code == 1 and not failed
    if failed or (log.records and not found):
        reasons = [record.getMessage() for record in log.records] + ([crash] if crash else [])
        reason = "\n".join(reasons)
        raise DevError(
            "It is unknown whether what is shipped is vulnerable. pip-audit said:\n"
            f"{last_lines(reason)}\n"
            "Is there a network? Behind a proxy, set HTTPS_PROXY, and REQUESTS_CA_BUNDLE if it\n"
            "has its own certificates. Then run the same command again."
        )
    usage_error = code == 2
    print(messages.getvalue(), end="", file=sys.stderr if usage_error else sys.stdout)
    if found:
        raise DevError(
            "Upgrade what is named, as docs/dependencies.md describes. To ignore a vulnerability\n"
            "that does not affect you, add --ignore-vuln ID; to read more about each, --desc."
        )
    sys.exit(code)


def describe(error: BaseException) -> str:
    """Return the error in one line; if it has no text, its cause."""
    while not str(error) and error.__cause__:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


def main() -> None:
    usage = "audit.py [-h] [arguments for pip-audit]"
    parser = argparse.ArgumentParser(prog="audit.py", usage=usage, description=__doc__)
    parser.set_defaults(action=audit, arguments=[])
    call(parser)


if __name__ == "__main__":
    main()
