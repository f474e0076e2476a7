"""The stand-in for Bedrock that the project's own tests use, loaded from the template."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_stand_in() -> ModuleType:
    template = Path(__file__).resolve().parent.parent / "<<cookiecutter.project_slug>>"
    path = template / "tests" / "bedrock_stand_in.py"
    spec = importlib.util.spec_from_file_location("bedrock_stand_in", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # else the cache would be rendered into projects
    spec.loader.exec_module(module)
    return module


stand_in = load_stand_in()
