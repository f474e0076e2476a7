"""Put files of the team's out of the way that the template would write and then remove again."""

import json
from pathlib import Path

ASIDE = Path(".before-rendering")  # post_gen_project.py brings back what is there
# There from when the team's files are aside until those of the template are gone.
MARK = ASIDE / ".rendering"

unwanted = [Path(name) for name in json.loads("<< cookiecutter | unwanted | literal >>")]
if MARK.exists():  # a rendering was interrupted, so these are the template's
    for path in unwanted:
        path.unlink(missing_ok=True)
for path in unwanted:
    if path.is_file() or path.is_symlink():
        (ASIDE / path).parent.mkdir(parents=True, exist_ok=True)
        path.rename(ASIDE / path)
if unwanted:
    ASIDE.mkdir(exist_ok=True)
    MARK.touch()
