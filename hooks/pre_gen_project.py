"""Put files of the team's out of the way that the template would write and then remove again."""

import json
from pathlib import Path

ASIDE = Path(".before-rendering")  # post_gen_project.py brings back what is there

for name in json.loads("<< cookiecutter | unwanted | literal >>"):
    path = Path(name)
    if path.is_file() or path.is_symlink():
        (ASIDE / path).parent.mkdir(parents=True, exist_ok=True)
        path.rename(ASIDE / path)
