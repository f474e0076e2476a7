"""The tool that runs a command between two real NFS clients, and calls their mounts A and B."""

import os
import shutil
from pathlib import Path

from support.paths import ROOT

BESIDE = ROOT.parent / "shared" / "nfs" / "two-clients"
TOOL = Path(os.environ.get("TWO_CLIENTS") or shutil.which("two-clients") or BESIDE)
ROUND_TRIP = 1.35  # milliseconds, about what EFS takes within a region


def between_clients(*flags: str) -> list[str]:
    """Return the words before a command that runs it there, with the tool's own flags."""
    return [str(TOOL), "--rtt", str(ROUND_TRIP), *flags]
