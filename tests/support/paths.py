"""Where things are in this repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "<<cookiecutter.project_slug>>"
BUILD = ROOT / "build"  # for what is made and not kept; git ignores it
