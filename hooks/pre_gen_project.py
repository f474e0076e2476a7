"""Keep what a team has: write nothing through links, and put files that would be lost aside."""

import json
import os
import sys
from fnmatch import fnmatch
from pathlib import Path

PROJECT = Path.cwd().resolve()
ASIDE = Path(".before-rendering")  # post_gen_project.py brings back what is there
# Which files the template has written where others were, until post_gen_project.py has brought
# these back. If that is there, a rendering was interrupted.
MARK = ASIDE / ".rendering"
SKIPS_FILES = "<< cookiecutter | skips_files >>" == "True"
COPIED = json.loads("<< cookiecutter._copy_without_render | literal >>")  # patterns


def find_link_out(path: Path) -> Path | None:
    """Return the link, of the file or a folder that it is in, that leads out of the project."""
    for each in (*reversed(path.parents), path):
        # Unlike Path.resolve, this goes on where links lead in a circle.
        target = Path(os.path.realpath(each))
        if each.is_symlink() and not target.is_relative_to(PROJECT):
            return each
    return None


def say(text: str) -> None:
    """Print what nobody has to read."""
    try:
        print(text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def replace_links(wanted: list[Path]) -> None:
    """Make way for the template's files where there are links; what these lead to stays."""
    for path in wanted:
        link = find_link_out(path)
        if link and not (SKIPS_FILES and link.is_file()):
            say(f"Replaced the link {link.as_posix()}, as it led out of the project.")
            link.unlink()


def is_copied(path: Path) -> bool:
    """Return whether Cookiecutter copies the file, and so replaces one that it should skip."""
    return any(fnmatch(path.as_posix(), pattern) for pattern in COPIED)


def put_aside(paths: list[Path]) -> None:
    """Put the team's files of these names, or the links to them, aside."""
    try:
        before = json.loads(MARK.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {"interrupted": [], "written": []}
    for path in paths:
        own = find_link_out(path) or path
        if own.is_file() or own.is_symlink():
            place = ASIDE / own
            while os.path.lexists(place):  # since a rendering was interrupted
                place = place.with_name(f"{place.name}.interrupted")
            place.parent.mkdir(parents=True, exist_ok=True)
            own.rename(place)
    if paths or ASIDE.exists():
        ASIDE.mkdir(exist_ok=True)
        interrupted = sorted({*before["interrupted"], *before["written"]})
        written = [path.as_posix() for path in paths]
        MARK.write_text(json.dumps({"interrupted": interrupted, "written": written}))


unwanted = [Path(name) for name in json.loads("<< cookiecutter | unwanted | literal >>")]
files = [Path(name) for name in json.loads("<< cookiecutter | files | literal >>")]
wanted = [path for path in files if path not in unwanted]
replace_links(wanted)
put_aside([*unwanted, *(path for path in wanted if SKIPS_FILES and is_copied(path))])
