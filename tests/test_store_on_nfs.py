"""The store's contract between two real NFS clients, where the tool that makes them can run."""

import subprocess
import sys

import pytest

from support.paths import ROOT
from support.two_clients import TOOL, between_clients

HANGS = "500"  # seconds, fewer than pytest gives a test; beside other tests, it took up to 180
CANNOT_RUN = 77  # the tool's exit status on a machine without what it needs

pytestmark = pytest.mark.nfs


@pytest.mark.skipif(not TOOL.exists(), reason="there is no two-clients; TWO_CLIENTS names it")
def test_the_store_keeps_its_promises_between_two_nfs_clients() -> None:
    command = between_clients("--timeout", HANGS, "--env", "PYTHONDONTWRITEBYTECODE=1")
    command += [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["tests/test_store_contract.py", "tests/test_store_crashes.py", "-v"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode == CANNOT_RUN:
        pytest.skip(ran.stderr.strip())
    print(ran.stdout, ran.stderr)
    assert ran.returncode == 0
