"""Waiting for what is about to happen: each wait ends, and a wait in vain says what for."""

import subprocess
import time
from collections.abc import Callable
from urllib.request import urlopen

import pytest


def wait_until(
    condition: Callable[[], object],
    what: str,
    seconds: float = 30,
    explain: Callable[[], str] = str,
) -> None:
    """Wait until the condition is true. After so many seconds, fail with an explanation."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Waited in vain: {what}\n{explain()}")
        time.sleep(0.02)


def is_healthy(address: str) -> bool:
    """Return whether a page, or a balancer in front of pages, is ready for people."""
    try:
        with urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            assert answer.read() == b"ok"
            return True
    except OSError:
        return False


def wait_until_healthy(
    address: str,
    process: subprocess.Popen[str] | None = None,
    explain: Callable[[], str] = str,
) -> None:
    """Wait until the page is ready for people, or fail at once if the process ends before."""

    def settled() -> bool:
        if process and process.poll() is not None:
            output = process.stdout.read() if process.stdout else ""
            pytest.fail(f"The server of {address} ended:\n{output}")
        return is_healthy(address)

    # The first server of all installs the project's requirements.
    wait_until(settled, f"the page at {address} is healthy", 120, explain)
