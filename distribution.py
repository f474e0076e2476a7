"""Write this template once more, with Jinja's usual delimiters: for Windows, and for cruft.

NTFS refuses the characters of this template's own delimiters in the name of a folder, and cruft
finds no template without the usual ones. So `python3 dev.py distribution FOLDER` writes all that
rendering needs to a folder, and .github/workflows/release.yml pushes that to a repository of its
own. Both distributions render the same, byte for byte: tests/test_distribution.py compares them.
"""

import json
import re
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from jinja2 import Environment

ROOT = Path(__file__).resolve().parent
SETTINGS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
# The kinds of delimiters, as Jinja names them, with the usual ones.
USUAL = {"variable": ("{{", "}}"), "block": ("{%", "%}"), "comment": ("{#", "#}")}
FOLDER = "<<cookiecutter.project_slug>>"
EXTENSION = "stateful_streamlit_chatbot_template.py"
COPIED = (EXTENSION, "LICENSE", "SECURITY.md", ".gitattributes")

# It splits a file, and keeps all white space; it renders nothing.
_own = {name: text for name, text in SETTINGS["_jinja2_env_vars"].items() if "string" in name}
_lexer = Environment(keep_trailing_newline=True, **_own).lexer  # noqa: S701


def convert(source: str) -> str:
    """Return the source of a template with the usual delimiters, which renders the same.

    Raises ValueError for what this can't convert, such as `raw`.
    """
    pieces: list[tuple[bool, str]] = []  # whether it is text, and what it is
    for _, token, piece in _lexer.tokeniter(source, None):
        kind, _, end = token.rpartition("_")
        if token.startswith("raw"):
            raise ValueError("raw blocks can't be converted")
        if kind in USUAL and end in ("begin", "end"):
            own, usual = _own[f"{kind}_{'start' if end == 'begin' else 'end'}_string"], USUAL[kind]
            pieces.append((False, piece.replace(own, usual[end == "end"])))
        else:
            pieces.append((token == "data", piece))  # noqa: S105
    converted = ""
    for number, (is_text, piece) in enumerate(pieces):
        if is_text:
            is_followed = number + 1 < len(pieces)
            piece = re.sub(r"\{(?=[{%#])" + (r"|\{\Z" if is_followed else ""), "{{ '{' }}", piece)
        converted += piece
    return converted


def convert_all(value: Any) -> Any:
    """Return JSON with all its texts converted."""
    if isinstance(value, dict):
        return {name: convert_all(each) for name, each in value.items()}
    if isinstance(value, list):
        return [convert_all(each) for each in value]
    return convert(value) if isinstance(value, str) else value


def is_rendered(path: Path) -> bool:
    """Return whether Cookiecutter renders the file of the template, or copies it."""
    name = path.relative_to(ROOT / FOLDER).as_posix()
    patterns = SETTINGS["_copy_without_render"]
    return not any(fnmatch(name, pattern) for pattern in patterns)


def settings() -> dict[str, Any]:
    """Return cookiecutter.json without this template's own delimiters."""
    converted: dict[str, Any] = convert_all(
        {name: value for name, value in SETTINGS.items() if name != "_jinja2_env_vars"}
    )
    spaces = {name: own for name, own in SETTINGS["_jinja2_env_vars"].items() if name not in _own}
    return converted | {"_jinja2_env_vars": spaces}


def write(folder: Path, address: str = "") -> None:
    """Write the distribution; a git repository in the folder stays, all else there is replaced.

    address: of the git repository that it will be in; its README has lines with it to copy. Without
    an address, they are for whoever is in the folder.

    Raises FileExistsError if there is anything else than an earlier distribution.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file.")
    folder.mkdir(parents=True, exist_ok=True)
    before = [each for each in folder.iterdir() if each.name != ".git"]
    if before and not (folder / convert(FOLDER)).is_dir():
        raise FileExistsError(
            f"{folder} has other files, which would be deleted. Name a new or an empty folder, or"
            " one with an earlier distribution."
        )
    for each in before:
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    for path in sorted((ROOT / FOLDER).rglob("*")):
        target = folder / convert(path.relative_to(ROOT).as_posix())
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif is_rendered(path):
            _write_text(target, convert(path.read_text(encoding="utf-8")))
            target.chmod(path.stat().st_mode)
        else:
            shutil.copy(path, target)
    for path in sorted((ROOT / "hooks").glob("*.py")):
        (folder / "hooks").mkdir(exist_ok=True)
        _write_text(folder / "hooks" / path.name, convert(path.read_text(encoding="utf-8")))
    for name in COPIED:
        shutil.copy(ROOT / name, folder / name)
    text = json.dumps(settings(), indent=2, ensure_ascii=False)
    _write_text(folder / "cookiecutter.json", f"{text}\n")
    lines = [f"{command} {address or '.'}" for command in (FROM_ANYWHERE if address else IN_FOLDER)]
    said = {"version": SETTINGS["_template_version"], "lines": "\n".join(lines)}
    _write_text(folder / "README.md", README.format_map(said))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


README = """# A chatbot for your team on AWS whose conversations last

This is version {version} of the template with Jinja's usual delimiters, for Windows and for
[cruft](https://cruft.github.io/cruft/). It is written by a program: please don't change it here.

To create your chatbot, copy and run one of these lines. The first needs cookiecutter 2.6 or newer;
`uvx` needs uv and nothing else; `cruft` lets the project follow later versions of the template.

```bash
{lines}
```

On Windows, render and edit the project wherever you like; it runs in WSL.
"""
IN_FOLDER = ("cookiecutter", "uvx cookiecutter")
FROM_ANYWHERE = (*IN_FOLDER, "cruft create")


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), *sys.argv[2:])
    except FileExistsError as error:
        sys.exit(f"Nothing was written: {error}")
