"""Rendering the template: a whole project, or its files for AWS alone, which is much faster."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.environment import StrictEnvironment
from jinja2 import Environment, FileSystemLoader
from pytest_cookies.plugin import Cookies

from support.options import CONTEXT, DEFAULTS, SIGN_INS, STRUCTURE, combine
from support.paths import ROOT, TEMPLATE
from support.projects import Project
from support.stacks import FILES_FOR_AWS, Infrastructure

Bake = Callable[..., Project]


def render_project(cookies: Cookies, **options: Any) -> Project:
    """Render a whole project with these options; the rest are the defaults.

    `cookies` comes from pytest-cookies, and decides on the folder.
    """
    result = cookies.bake(extra_context=options, template=str(ROOT))
    assert result.exception is None, result.exception
    assert result.exit_code == 0
    return Project(Path(result.project_path), options)


@contextmanager
def compile_once() -> Iterator[None]:
    """Compile each text only once for all the projects that are rendered in the block.

    Cookiecutter makes a new Jinja environment for each project, and all of them are alike.
    """
    compile_anew = Environment.compile
    compiled: dict[Any, Any] = {}

    def compile_cached(environment: Environment, *arguments: Any, **options: Any) -> Any:
        key = (environment.loader is None, *map(str, arguments), *map(str, options.items()))
        if key not in compiled:
            compiled[key] = compile_anew(environment, *arguments, **options)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_cached)
        yield


def run_cookiecutter(
    source: Path | str, folder: Path, *words: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command that a person types to render a project into the folder.

    All that it prints is in `stdout`.
    """
    command = [sys.executable, "-P", "-m", "cookiecutter", str(source), "--output-dir", str(folder)]
    return subprocess.run(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings
    )


class InfrastructureRenderer:
    """Renders the files for AWS as cookiecutter does, without the rest of a project and its hooks.

    test_infrastructure_text.py compares them with those of whole projects.
    """

    def __init__(self) -> None:
        self._environment = StrictEnvironment(
            context={"cookiecutter": CONTEXT},
            keep_trailing_newline=True,
            **CONTEXT["_jinja2_env_vars"],
        )
        self._environment.loader = FileSystemLoader(TEMPLATE)

    def __call__(self, **options: Any) -> Infrastructure:
        chosen = DEFAULTS | options
        files = {
            name: self._environment.get_template(name).render(cookiecutter=chosen)
            for name in FILES_FOR_AWS
            if name != "infra/private.yml" or chosen["network"] == "new VPC"
        }
        return Infrastructure(chosen, files)

    def render_all(self) -> Iterator[Infrastructure]:
        """Render every combination of options that changes these files, each content once.

        Beside other models and regions than the defaults, the ways to sign in take turns, except in
        the default structure.
        """
        seen = set()
        turns = cycle(SIGN_INS)
        for options in combine(*STRUCTURE, "models", "aws_region"):
            infrastructure = self(**options)
            has_turn = options["sign_in"] == next(turns)
            kinds = (("models", "aws_region"), STRUCTURE)
            if has_turn or any(infrastructure.is_default(*names) for names in kinds):
                content = tuple(infrastructure.files.values())
                if content not in seen:
                    seen.add(content)
                    yield infrastructure
