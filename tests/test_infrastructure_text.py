"""The templates are what CloudFormation reads as it is, and nothing in them is unused."""

import re
from typing import Any

import yaml

from support.cloudformation import listed, walk
from support.options import NOTHING_BY_DEFAULT
from support.rendering import Bake, InfrastructureRenderer
from support.stacks import Infrastructure, RenderedStack
from support.yaml_reading import kinds_of_tokens

BODY_LIMIT = 51_200  # bytes, of a template that is not first put into S3
ROOM = 1_500  # of them, for what a team adds


def test_the_files_are_rendered_here_as_cookiecutter_renders_them(
    bake: Bake, render_infrastructure: InfrastructureRenderer
) -> None:
    for options in ({}, NOTHING_BY_DEFAULT):
        project = bake(**options)
        for name, content in render_infrastructure(**options).files.items():
            assert project.read(name) == content


def references(value: Any) -> set[str]:
    """Return the names of parameters, resources and conditions that are used in a value."""
    found: set[str] = set()
    for path, each in walk(value):
        if path[-1:] in (("Ref",), ("Condition",)) and isinstance(each, str):
            found.add(each)
        elif path[-1:] in (("Fn::GetAtt",), ("Fn::If",)):
            found.add(each[0])
        elif path[-1:] == ("DependsOn",):
            found |= set(listed(each))
        elif isinstance(each, str) and "Fn::Sub" in path:
            found |= set(re.findall(r"\$\{(\w+)", each))
    return found


def test_no_parameter_and_no_condition_is_unused(structures: list[Infrastructure]) -> None:
    for each in structures:
        template = each.template
        used = references([template["Resources"], template["Outputs"]])
        declared = set(template["Conditions"])
        assert declared <= used
        used |= references([template["Conditions"], template["Rules"]])
        assert set(template["Parameters"]) <= used
        assert set(template) == {
            "AWSTemplateFormatVersion",
            "Description",
            "Metadata",
            "Parameters",
            "Rules",
            "Conditions",
            "Resources",
            "Outputs",
        }


def test_every_condition_can_be_met_and_not_and_every_resource_can_be_made(
    stacks: list[RenderedStack],
) -> None:
    met: dict[int, set[tuple[str, bool]]] = {}
    made: dict[int, set[str]] = {}
    templates = {id(stack.infrastructure): stack.infrastructure.template for stack in stacks}
    for stack in stacks:
        met.setdefault(id(stack.infrastructure), set()).update(stack.conditions.items())
        made.setdefault(id(stack.infrastructure), set()).update(stack.resources)
    for key, template in templates.items():
        expected = {(name, value) for name in template["Conditions"] for value in (True, False)}
        if "SignInNeedsHttps" in template["Rules"]:
            expected.remove(("HasCertificate", False))
        assert met[key] == expected
        assert made[key] == set(template["Resources"])


def test_the_text_is_what_cloudformation_reads_without_transforms(
    infrastructures: list[Infrastructure],
) -> None:
    for each in infrastructures:
        for name, text in each.files.items():
            if not name.endswith(".yml"):
                continue
            assert len(text.encode()) < BODY_LIMIT - ROOM, each
            assert "Fn::ForEach" not in text and "Transform" not in text
            assert not {yaml.AnchorToken, yaml.AliasToken} & kinds_of_tokens(text)
