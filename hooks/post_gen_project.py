"""Remove what the options don't need, set modes, begin a git repository, show the next steps."""

import json
import os
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

PROJECT = Path.cwd()
ASIDE = Path(".before-rendering")  # files of the team's that pre_gen_project.py has put there
BRANCH = "main"  # which .github/workflows/deploy.yml deploys


def remove_unwanted(names: list[str]) -> None:
    """Remove what the template has written and the options leave out."""
    for name in names:
        Path(name).unlink(missing_ok=True)
    (ASIDE / ".rendering").unlink(missing_ok=True)
    folders = {folder for name in names for folder in Path(name).parents if folder.name}
    for folder in sorted(folders, reverse=True):  # what is in a folder comes before it
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def bring_back() -> None:
    """Put the team's files where they were."""
    for path in sorted(ASIDE.rglob("*")):
        if not path.is_dir() or path.is_symlink():
            own = path.relative_to(ASIDE)
            own.parent.mkdir(parents=True, exist_ok=True)
            path.rename(own)
            print(f"Kept your {own.as_posix()}, which these options leave out.")
    shutil.rmtree(ASIDE, ignore_errors=True)


def set_modes(names: list[str]) -> None:
    """Let everybody read what the template has written: containers run as somebody else.

    A checkout with a strict umask, or a zip file of the template, has other modes.
    """
    for path in map(Path, names):
        if path.is_file() and not path.is_symlink():
            is_program = path.name == "deployment.sh"
            path.chmod(path.stat().st_mode | (0o155 if is_program else 0o044))
            for folder in path.parents[:-1]:
                folder.chmod(folder.stat().st_mode | 0o055)


def is_in_repository(folder: Path) -> bool:
    """Return whether the folder, or one that it is in, has a git repository."""
    return any((each / ".git").exists() for each in (folder, *folder.parents))


def begin_repository() -> bool:
    """Begin a git repository with all files in its index, unless there is one; return whether.

    The index has the run bit of deployment.sh also where the file system has none.
    """
    if "<< cookiecutter | begins_repository >>" != "True" or is_in_repository(PROJECT):
        return False
    kinds = ("COMMON_DIR", "DIR", "INDEX_FILE", "NAMESPACE", "OBJECT_DIRECTORY", "WORK_TREE")
    others = {f"GIT_{kind}" for kind in kinds}  # of another repository, as in a hook of git
    environment = {name: text for name, text in os.environ.items() if name not in others}
    for words in (
        ("init", "--quiet"),
        ("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"),
        ("add", "--all"),
        ("update-index", "--chmod=+x", "deployment.sh"),
    ):
        try:
            subprocess.run(
                ("git", *words), env=environment, check=True, capture_output=True, text=True
            )
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(".git", ignore_errors=True)
            return False
    return True


def folder_from_here() -> str:
    """Return the project's folder as a person at the terminal can enter it."""
    start = os.environ.get("PWD") or ""
    if start and PROJECT.is_relative_to(start):
        return shlex.quote(str(PROJECT.relative_to(start)))
    return shlex.quote(str(PROJECT))


def warn_of_region(region: str) -> None:
    """Say so if CloudFront may not reach a load balancer in the region."""
    if region not in runpy.run_path("deployment/vpc_origins.py")["REGIONS"]:
        print(f"""
CloudFront may not reach load balancers in {region}. AWS says whether it does in "Restrict access
with VPC origins". If so, add the region to deployment/vpc_origins.py; if not, start again with
another region, or without CloudFront.""")


def show_next_steps(has_begun: bool) -> None:
    """Say what was made, and what to do next."""
    if is_in_repository(PROJECT.parent) and Path(".github").exists():
        print("GitHub reads .github only at the top of a repository, so move it there.")
    if "<< cookiecutter.use_cloudfront >>" == "True":
        warn_of_region("<< cookiecutter.aws_region >>")
    folder = folder_from_here()
    begin = "" if is_in_repository(PROJECT) else f"git init -b {BRANCH} && "
    print(f"""
Your chatbot is in {folder}{" (a git repository without a commit)" if has_begun else ""}.
  Try it in the browser:  cd {folder} && python3 dev.py run
  Keep what you have:     {begin}git add --all && git commit -m 'Begin'
  Deploy it to AWS:       ./deployment.sh doctor && ./deployment.sh
  Read on:                README.md
""")


remove_unwanted(json.loads("<< cookiecutter | unwanted | literal >>"))
set_modes(json.loads("<< cookiecutter | files | literal >>"))
bring_back()
has_begun = begin_repository()
if "<< cookiecutter | is_for_comparison >>" != "True":
    show_next_steps(has_begun)
