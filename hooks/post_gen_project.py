"""Remove what the options don't need, set modes, begin a git repository, show the next steps."""

import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path.cwd()
ASIDE = Path(".before-rendering")  # files of the team's that pre_gen_project.py has put there
MARK = ASIDE / ".rendering"  # what that says of them
BRANCH = "main"  # which .github/workflows/deploy.yml deploys


def say(text: str) -> None:
    """Print what nobody has to read: a project that is complete must not be undone for it."""
    try:
        print(text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def drop_leftovers(names: list[str]) -> None:
    """Forget what was put aside if an interrupted rendering had written it, just as this one did.

    What differs may be the team's.
    """
    for name in names:
        kept, written = ASIDE / name, Path(name)
        while os.path.lexists(kept):
            following = kept.with_name(f"{kept.name}.interrupted")
            is_own = kept.is_symlink() or not written.is_file()
            if not is_own and kept.read_bytes() == written.read_bytes():
                kept.unlink()
            kept = following


def make_way(unwanted: list[str], written: list[str]) -> None:
    """Remove what the template has written, if the options leave it out or the team had its own."""
    was_there = [name for name in written if os.path.lexists(ASIDE / name)]
    for name in {*unwanted, *was_there}:
        Path(name).unlink(missing_ok=True)
    folders = {folder for name in unwanted for folder in Path(name).parents if folder.name}
    for folder in sorted(folders, reverse=True):  # what is in a folder comes before it
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()


def bring_back(unwanted: list[str]) -> None:
    """Put the team's files where they were, or beside what is there by now."""
    MARK.unlink(missing_ok=True)
    left_out = {
        *unwanted,
        *(folder.as_posix() for name in unwanted for folder in Path(name).parents),
    }
    for path in sorted(ASIDE.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        own = place = path.relative_to(ASIDE)
        while os.path.lexists(place):
            place = place.with_name(f"{place.name}.interrupted")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        except OSError as error:
            say(f"Your {own.as_posix()} is in {path.as_posix()}: {error.strerror}.")
            continue
        if place.name.endswith(".interrupted"):
            say(f"Kept {place.as_posix()}, as a rendering before this one was interrupted.")
        elif own.as_posix() in left_out:
            say(f"Kept your {own.as_posix()}, which these options leave out.")
    for folder in (*sorted(ASIDE.rglob("*"), reverse=True), ASIDE):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()


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
        except BaseException as error:  # an interruption, too, must leave none that is half made
            shutil.rmtree(".git", ignore_errors=True)
            if isinstance(error, OSError | subprocess.CalledProcessError):
                return False
            raise
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
        say(f"""
CloudFront may not reach load balancers in {region}. AWS says whether it does in "Restrict access
with VPC origins". If so, add the region to deployment/vpc_origins.py; if not, start again with
another region, or without CloudFront.""")


def show_next_steps(has_begun: bool) -> None:
    """Say what was made, and what to do next."""
    if PROJECT.is_relative_to(json.loads("<< cookiecutter | template_folder | literal >>")):
        say("This is inside the template's own repository: move the folder out before you go on.")
    elif is_in_repository(PROJECT.parent) and Path(".github").exists():
        say("GitHub reads .github only at the top of a repository: move it there, and name this")
        say("folder in its workflows, which run each command at the top.")
    if "<< cookiecutter.use_cloudfront >>" == "True":
        warn_of_region("<< cookiecutter.aws_region >>")
    folder = folder_from_here()
    begin = "" if is_in_repository(PROJECT) else f"git init -b {BRANCH} && "
    say(f"""
Your chatbot is in {folder}{" (a git repository without a commit)" if has_begun else ""}.
  Try it in the browser:  cd {folder} && python3 dev.py run
  Keep what you have:     {begin}git add --all && git commit -m 'Begin'
  Deploy it to AWS:       ./deployment.sh doctor && ./deployment.sh
  Read on:                README.md
""")


unwanted = json.loads("<< cookiecutter | unwanted | literal >>")
mark = json.loads(MARK.read_text(encoding="utf-8")) if MARK.exists() else {}
drop_leftovers(mark.get("interrupted", []))
make_way(unwanted, mark.get("written", []))
set_modes(json.loads("<< cookiecutter | files | literal >>"))
bring_back(unwanted)
has_begun = begin_repository()
if "<< cookiecutter | is_for_comparison >>" != "True":
    show_next_steps(has_begun)
