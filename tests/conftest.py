"""What the tests share: rendering a project, running commands in one, a browser, Bedrock."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
from bedrock import stand_in
from browsing import CHROMIUM, FLAGS, LONG
from infrastructure import Renderer, Rendering, render_all
from playwright.sync_api import Browser, BrowserContext, sync_playwright

# Who runs the tests may ignore a terminal's signals, as nohup does; what they start must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.dont_write_bytecode = True  # else the cache would be rendered into projects
ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "<<cookiecutter.project_slug>>"
BUILD = ROOT / "build"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, so that two processors end together."""
    items.sort(key=lambda item: item.path.name != "test_rendered_project.py")


LICENSES = ("MIT", "Apache-2.0", "Proprietary")
MODELS = ("Amazon Nova", "Anthropic Claude", "both")
CI = ("GitHub Actions", "none")
NETWORKS = ("new VPC", "existing VPC")
ARCHITECTURES = ("arm64", "x86-64")
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1")  # one of each geography


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    options: Mapping[str, Any]

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Return the content of every file by its path within the project."""
        return {
            str(file.relative_to(self.path)): file.read_bytes()
            for file in sorted(self.path.rglob("*"))
            if file.is_file()
        }

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
        said: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, as in a terminal without an active environment.

        What is `said` goes to its standard input.
        """
        return subprocess.run(
            command,
            cwd=self.path,
            env=clean_environment() | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=said,
        )

    def dev(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the project's dev.py with the environments that all the tests share."""
        share_environment(self)
        return self.run(sys.executable, "dev.py", *words, **options)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would reach into a project."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "CHATBOT_", "AWS_", "STREAMLIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def share_environment(project: Project) -> None:
    """Let the project use virtual environments with all others; its dev.py fills each once."""
    for name, ours in ((".venv", "project-venv"), (".venv-audit", "audit-venv")):
        shared = BUILD / ours
        shared.mkdir(parents=True, exist_ok=True)
        link = project.path / name
        if not link.exists():
            link.symlink_to(shared)


Bake = Callable[..., Project]


@pytest.fixture
def bake(cookies) -> Bake:  # type: ignore[no-untyped-def]  # pytest-cookies has no types
    """Render the template with options; the rest are the defaults."""

    def render(**options: Any) -> Project:
        result = cookies.bake(extra_context=options, template=str(ROOT))
        assert result.exception is None, result.exception
        assert result.exit_code == 0
        return Project(Path(result.project_path), options)

    return render


def combinations() -> Iterator[dict[str, Any]]:
    """Yield every combination of the options that change what is rendered.

    The license and the CI meet each other in every way, and no file depends on them and on
    another option but the README, whose parts don't meet: so they take turns.
    """
    papers = cycle(product(LICENSES, CI))
    on_aws = product(NETWORKS, (True, False), (True, False), ARCHITECTURES, MODELS, REGIONS)
    for network, cloudfront, autoscaling, architecture, models, region in on_aws:
        license_, ci = next(papers)
        yield {
            "license": license_,
            "models": models,
            "ci": ci,
            "aws_region": region,
            "network": network,
            "use_cloudfront": cloudfront,
            "use_autoscaling": autoscaling,
            "cpu_architecture": architecture,
        }


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Project]:
    """Every combination, rendered once."""
    from cookiecutter.main import cookiecutter

    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(f"replay_dir: {config.parent}\ncookiecutters_dir: {config.parent}\n")
    rendered = []
    for number, options in enumerate(combinations()):
        folder = tmp_path_factory.mktemp(f"combination-{number}")
        path = cookiecutter(
            str(ROOT),
            no_input=True,
            extra_context=options,
            output_dir=str(folder),
            config_file=str(config),
        )
        rendered.append(Project(Path(path), options))
    return rendered


@pytest.fixture(scope="session")
def render() -> Renderer:
    return Renderer()


@pytest.fixture(scope="session")
def renderings(render: Renderer) -> list[Rendering]:
    """The files for AWS in every combination of options that changes them."""
    return list(render_all(render, MODELS, REGIONS))


@pytest.fixture(scope="session")
def structures(renderings: list[Rendering]) -> list[Rendering]:
    """Those of them that differ in more than the models."""
    return [each for each in renderings if each.is_default("models", "aws_region")]


@pytest.fixture(scope="session")
def varieties(renderings: list[Rendering]) -> list[Rendering]:
    """All structures with one choice of models, and one structure with all choices of models.

    These hold every line that any combination has: see test_infrastructure.py.
    """
    structure = ("network", "use_cloudfront", "use_autoscaling", "cpu_architecture")
    kinds = (("models", "aws_region"), structure)
    return [each for each in renderings if any(each.is_default(*names) for names in kinds)]


@pytest.fixture
def project(bake: Bake) -> Project:
    """A project with all the models."""
    return bake(models="both")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own, with empty cookies and local storage; asks nobody but the chatbot."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(LONG)
    strangers: list[str] = []
    context.on("request", lambda request: strangers.append(request.url))
    yield context
    context.close()
    outside = [
        url for url in strangers if not re.match(r"(https?://localhost[:/]|data:|blob:)", url)
    ]
    assert outside == []


@pytest.fixture
def bedrock() -> Iterator[Any]:
    """A stand-in that boto3 takes for Bedrock."""
    with stand_in.bedrock_stand_in() as running:
        yield running
