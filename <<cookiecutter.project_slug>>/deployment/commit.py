"""The commit that is deployed, after which its image is called."""

import subprocess
from datetime import UTC, datetime

from deployment.project import ROOT


def find_tag(*, allow_dirty: bool, lacks: list[str]) -> str:
    """Return the tag of this commit's image, which shows what is running.

    What keeps it from being deployed is added to `lacks`. With `allow_dirty`, changes that are not
    committed do not.
    """
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    try:
        commit = _git("rev-parse", "--verify", "HEAD")
    except FileNotFoundError:
        lacks.append("git is not installed: https://git-scm.com/downloads")
        return ""
    if commit.returncode:
        if not allow_dirty:
            lacks.append(
                f"There is no git commit here ({_reason(commit)}): commit first, or deploy"
                " a trial with --allow-dirty"
            )
        return f"local-{now}"
    tag = commit.stdout.strip()[:12]
    # A person's settings may hide new files.
    status = _git("status", "--porcelain", "--untracked-files=normal", "--", ".")
    if not status.returncode and not status.stdout:
        return tag
    if status.returncode:
        if not allow_dirty:
            lacks.append(
                f"git does not tell whether all changes are committed ({_reason(status)}): repair"
                " that (git status), or deploy a trial with --allow-dirty"
            )
    elif not allow_dirty:
        lacks.append(
            "Some changes are not committed: commit them (git status lists them), or deploy a trial"
            " with --allow-dirty"
        )
    return f"{tag}-dirty-{now}"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)


def _reason(failed: subprocess.CompletedProcess[str]) -> str:
    [last] = failed.stderr.strip().splitlines()[-1:] or ["git says nothing more"]
    return last.removesuffix(".")
