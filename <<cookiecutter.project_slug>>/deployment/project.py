"""The project that is deployed: its folder, and what pyproject.toml says of its deployment."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from deployment.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = ROOT / "infra" / "registry.yml"
TEMPLATE = ROOT / "infra" / "template.yml"
ACCESS_LOGS = ROOT / "infra" / "access-logs.yml"
BUDGET = ROOT / "infra" / "budget.yml"
FIREWALL = ROOT / "infra" / "firewall.yml"
PRIVATE = ROOT / "infra" / "private.yml"  # only with a network of the stack's own
PARAMETERS = ROOT / "infra" / "parameters.json"
TAGS = ROOT / "infra" / "tags.json"
MODELS = ROOT / "models.toml"

# How the names of the other stacks end, which no environment may be called.
TAKEN = ("access-logs", "budget", "firewall", "private", "registry")

_NAMES = ("stack-name", "region", "platform", "sign-in")


def parameters_of(environment: str) -> Path:
    """Return the file with what differs in an environment; for "", the one with what all have."""
    return PARAMETERS.with_name(f"parameters.{environment}.json") if environment else PARAMETERS


def environments() -> list[str]:
    """Return the names of the environments, each of which has such a file."""
    files = PARAMETERS.parent.glob("parameters.*.json")
    return sorted(file.name.removeprefix("parameters.").removesuffix(".json") for file in files)


@dataclass(frozen=True)
class Project:
    """What was chosen when the project was made.

    platform: for which the image is built, such as "linux/arm64".
    sign_in: how people sign in: "Amazon Cognito", "OpenID Connect" or "none".
    """

    stack_name: str
    region: str
    platform: str
    sign_in: str

    @property
    def has_people(self) -> bool:
        """Whether the chatbot knows who its users are."""
        return self.sign_in != "none"

    @property
    def has_pool(self) -> bool:
        """Whether the stack has a user pool of its own."""
        return self.sign_in == "Amazon Cognito"


def read_project() -> Project:
    """Read the table [tool.deployment] of pyproject.toml. Raises UsageError."""
    try:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        table = tomllib.loads(text)["tool"]["deployment"]
        return Project(*(str(table[name]) for name in _NAMES))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"pyproject.toml needs a table [tool.deployment] with {', '.join(_NAMES)}: {error!r}"
        ) from error


def shown(path: Path) -> str:
    """Return a path as people know it, from the project's folder."""
    return str(path.relative_to(ROOT))
