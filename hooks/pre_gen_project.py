"""Keep what a team has: write nothing through links, and put files that would be removed aside."""

import json
import os
from pathlib import Path

PROJECT = Path.cwd().resolve()
ASIDE = Path(".before-rendering")  # post_gen_project.py brings back what is there
# There from when the team's files are aside until those of the template are gone.
MARK = ASIDE / ".rendering"


def find_link_out(path: Path) -> Path | None:
    """Return the link, of the file or a folder that it is in, that leads out of the project."""
    for each in (*reversed(path.parents), path):
        # Unlike Path.resolve, this goes on where links lead in a circle.
        target = Path(os.path.realpath(each))
        if each.is_symlink() and not target.is_relative_to(PROJECT):
            return each
    return None


def replace_links(wanted: list[Path]) -> None:
    """Make way for the template's files where there are links; what these lead to stays."""
    skips_files = "<< cookiecutter | skips_files >>" == "True"
    for path in wanted:
        link = find_link_out(path)
        if link and not (skips_files and link.is_file()):
            print(f"Replaced the link {link.as_posix()}, as it led out of the project.")
            link.unlink()


def put_aside(unwanted: list[Path]) -> None:
    """Put the team's files of these names, or the links to them, where the template writes none."""
    was_interrupted = MARK.exists()  # so what is there is the template's
    for path in unwanted:
        own = find_link_out(path) or path
        if was_interrupted and own == path:
            path.unlink(missing_ok=True)
        elif own.is_file() or own.is_symlink():
            (ASIDE / own).parent.mkdir(parents=True, exist_ok=True)
            own.rename(ASIDE / own)
    if unwanted:
        ASIDE.mkdir(exist_ok=True)
        MARK.touch()


unwanted = [Path(name) for name in json.loads("<< cookiecutter | unwanted | literal >>")]
files = [Path(name) for name in json.loads("<< cookiecutter | files | literal >>")]
replace_links([path for path in files if path not in unwanted])
put_aside(unwanted)
