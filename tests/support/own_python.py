"""What the project's own Python has, loaded from the template for the template's tests."""

import ast
import importlib.util
import sys
from types import ModuleType
from typing import Any

from support.paths import TEMPLATE


def load(path: str) -> ModuleType:
    """Load a module that imports no other of the project, under a name that nothing else has."""
    file = TEMPLATE / path
    spec = importlib.util.spec_from_file_location(f"own_{file.stem}", file)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # else the cache would be rendered into projects
    spec.loader.exec_module(module)
    return module


def constant(path: str, name: str) -> Any:
    """Return a constant of a module, which need not be loaded for that."""
    module = ast.parse((TEMPLATE / path).read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    ]
    return ast.literal_eval(value)
