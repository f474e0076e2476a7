"""The files for AWS, rendered in every combination of options, and the stacks made from them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from cloudformation import ACCOUNT, Stack, create, parse
from cookiecutter.environment import StrictEnvironment
from jinja2 import FileSystemLoader

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "<<cookiecutter.project_slug>>"
CONTEXT = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
DEFAULTS = {
    name: value[0] if isinstance(value, list) else value
    for name, value in CONTEXT.items()
    if not name.startswith("_")
} | {"project_slug": "team-chatbot"}
NETWORKS = ("new VPC", "existing VPC")
ARCHITECTURES = ("arm64", "x86-64")

IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/team-chatbot:0123abc"
NEEDED = {  # what has no default, where it exists
    "ImageUri": IMAGE,
    "CloudFrontPrefixListId": "pl-3b927c52",
    "AllowedCidr": "203.0.113.0/24",
    "VpcId": "vpc-1",
    "LoadBalancerSubnetA": "subnet-a",
    "LoadBalancerSubnetB": "subnet-b",
    "TaskSubnetA": "subnet-c",
    "TaskSubnetB": "subnet-d",
}
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1"
ENCRYPTED = {"CertificateArn": CERTIFICATE, "DomainName": "chat.example.com"}
CHOICES = (  # each is left out or given, where its first parameter exists
    ENCRYPTED,
    {"AllowedCidr2": "198.51.100.0/24", "AllowedCidr3": "192.0.2.7/32"},
    {"TimeZone": "Europe/Berlin", "OfficeOpens": "6", "OfficeCloses": "21", "TasksAtNight": "0"},
    {"AlarmEmail": "team@example.com"},
    {"FileSystemId": "fs-0123456789abcdef0"},
    {"ExecEnabled": "true"},
    {"TaskPublicAddress": "ENABLED"},
)


@dataclass(frozen=True)
class Rendering:
    """The files for AWS, rendered with some options."""

    options: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.files["infra/template.yml"]

    @cached_property
    def template(self) -> dict[str, Any]:
        return parse(self.text)

    @property
    def cloudfront(self) -> bool:
        return bool(self.options["use_cloudfront"])

    @property
    def new_vpc(self) -> bool:
        return bool(self.options["network"] == "new VPC")

    def create(self, **given: str) -> Stack:
        """Make a stack from what is needed and what is given."""
        declared = self.template["Parameters"]
        needed = {name: value for name, value in NEEDED.items() if name in declared}
        return create(self.template, needed | given, self.options["aws_region"])

    def stacks(self) -> Iterator[Stack]:
        """Make a stack from each combination of parameters."""
        declared = self.template["Parameters"]
        choices = [
            {name: value for name, value in choice.items() if name in declared}
            for choice in CHOICES
            if next(iter(choice)) in declared
        ]
        for chosen in product((False, True), repeat=len(choices)):
            given: dict[str, str] = {}
            for choice, taken in zip(choices, chosen, strict=True):
                given |= choice if taken else {}
            yield self.create(**given)

    def is_default(self, *names: str) -> bool:
        return all(self.options[name] == DEFAULTS[name] for name in names)

    def __repr__(self) -> str:
        return f"<rendering of {self.options}>"


RENDERED = (
    "infra/template.yml",
    "infra/registry.yml",
    "infra/github.yml",
    "infra/parameters.json",
    "infra/tags.json",
    "models.toml",
)


class Renderer:
    """Renders some files as cookiecutter does, without the rest of a project and its hooks."""

    def __init__(self) -> None:
        self.environment = StrictEnvironment(
            context={"cookiecutter": CONTEXT},
            keep_trailing_newline=True,
            **CONTEXT["_jinja2_env_vars"],
        )
        self.environment.loader = FileSystemLoader(TEMPLATE)

    def __call__(self, **options: Any) -> Rendering:
        chosen = DEFAULTS | options
        files = {
            name: self.environment.get_template(name).render(cookiecutter=chosen)
            for name in RENDERED
        }
        return Rendering(chosen, files)


def render_all(
    render: Renderer, models: tuple[str, ...], regions: tuple[str, ...]
) -> Iterator[Rendering]:
    """Render every combination of the options that change what is on AWS; each template once."""
    names = ("network", "use_cloudfront", "use_autoscaling", "cpu_architecture", "models")
    values = (NETWORKS, (True, False), (True, False), ARCHITECTURES, models)
    seen = set()
    for *chosen, region in product(*values, regions):
        rendering = render(**dict(zip(names, chosen, strict=True)), aws_region=region)
        content = hashlib.sha256("".join(rendering.files.values()).encode()).digest()
        if content not in seen:
            seen.add(content)
            yield rendering
