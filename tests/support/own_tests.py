"""What the project's own tests use, loaded from the template for those of the template."""

import importlib.util
import sys
from types import ModuleType

from support.paths import TEMPLATE


def load(name: str) -> ModuleType:
    """Load a module of the project's `tests/support`, under a name that nothing else has."""
    path = TEMPLATE / "tests" / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"own_{name}", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # else the cache would be rendered into projects
    spec.loader.exec_module(module)
    return module
