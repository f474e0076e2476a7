"""The stand-in for Bedrock that the project's own tests use, loaded from the template."""

import importlib.util
import sys
from types import ModuleType

from support.paths import TEMPLATE

STAND_IN = TEMPLATE / "tests" / "support" / "bedrock.py"


def load_stand_in() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bedrock_stand_in", STAND_IN)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # else the cache would be rendered into projects
    spec.loader.exec_module(module)
    return module


stand_in = load_stand_in()


def bedrock_environment(url: str) -> dict[str, str]:
    """Return the variables that make a project take the address for Bedrock's."""
    return {
        "CHATBOT_BACKEND": "bedrock",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_MAX_ATTEMPTS": "1",
    }
