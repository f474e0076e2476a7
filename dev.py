#!/usr/bin/env python3
"""Try, test, measure and release this template: `python3 dev.py demo`, `… test`, and others.

It needs only Python 3.11 or newer and its standard library. Everything else goes to the virtual
environment .venv and the folder build, but for what `benchmark` and `pictures` write to docs/.
"""

import argparse
import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent
DEMO = ROOT / "build" / "demo"


def load_project_dev() -> ModuleType:
    """Load the rendered project's dev.py, which creates environments and explains errors."""
    sys.dont_write_bytecode = True  # otherwise the cache would be rendered into projects
    spec = spec_from_file_location("dev", ROOT / "<<cookiecutter.project_slug>>" / "dev.py")
    if spec is None or spec.loader is None:
        raise ImportError("The project's dev.py is missing.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


project_dev = load_project_dev()
REQUIREMENTS = ROOT / "requirements-dev.txt"  # what rendering and the tests need


def render(python: Path) -> Path:
    """Render a project with the defaults; return its folder."""
    project_dev.say(f"Rendering a project in {DEMO.relative_to(ROOT)}")
    config = DEMO / "cookiecutter.yaml"  # writes nothing to the user's home folder
    config.parent.mkdir(parents=True, exist_ok=True)
    # Within that folder, as cookiecutter would expand a "$" in the path of this one.
    config.write_text(json.dumps({"replay_dir": "replay"}), encoding="utf-8")
    command = [str(python), "-m", "cookiecutter", str(ROOT), "--no-input"]
    command += ["--config-file", str(config)]
    command += ["--overwrite-if-exists", "--output-dir", str(DEMO)]
    rendered = subprocess.run(command, cwd=DEMO, capture_output=True, text=True)
    if rendered.returncode:
        lines = project_dev.last_lines(rendered.stdout + rendered.stderr)
        raise project_dev.DevError(f"The project could not be rendered:\n{lines}")
    return DEMO / "team-chatbot"


def demo(options: argparse.Namespace) -> None:
    """Render a project with the defaults, and serve it with the offline demo model."""
    project_dev.check_port("localhost", options.port, "dev.py demo")
    python = project_dev.make_environment(ROOT / "build" / "demo-venv", ROOT / "requirements.txt")
    project = render(python)
    environment = os.environ | {"CHATBOT_BACKEND": os.environ.get("CHATBOT_BACKEND") or "demo"}
    serve = [sys.executable, str(project / "dev.py"), "run", f"--port={options.port}"]
    # Replaces this process, so that Ctrl-C and other signals reach the server directly.
    os.execve(sys.executable, serve, environment)


def test(options: argparse.Namespace) -> None:
    """Run the tests that need nothing but Python; further arguments go to pytest."""
    python = project_dev.make_environment(ROOT / ".venv", REQUIREMENTS)
    which = ["-m", "not browser and not nfs and not aws and not containers"]
    which += ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    if "-m" in options.arguments:  # marked tests need other tools; .ci/run knows how to run each
        which = []
    command = [python, "-m", "pytest", *which, *options.arguments]
    sys.exit(subprocess.run(command, cwd=ROOT).returncode)


def benchmark(options: argparse.Namespace) -> None:
    """Compare the rendered project with a baseline; write docs/benchmarks.*, or docs/SUBJECT.*."""
    python = project_dev.make_environment(ROOT / ".venv", REQUIREMENTS)
    module = "benchmarks" if options.subject == "page" else f"benchmarks.{options.subject}"
    command = [python, "-B", "-m", module, *(["--quick"] if options.quick else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    environment["PYTHONPATH"] += os.pathsep + str(ROOT / "<<cookiecutter.project_slug>>")
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment).returncode)


def distribution(options: argparse.Namespace) -> None:
    """Write the template with the usual delimiters, for Windows and cruft, to the folder."""
    python = project_dev.make_environment(ROOT / "build" / "demo-venv", ROOT / "requirements.txt")
    command = [python, "-B", ROOT / "distribution.py", options.folder.resolve(), options.address]
    sys.exit(subprocess.run(command).returncode)


def pictures(options: argparse.Namespace) -> None:
    """Draw what is deployed, and take pictures of a rendered project's page, for the documents."""
    python = project_dev.make_environment(ROOT / ".venv", REQUIREMENTS)
    project = render(python)
    command = [str(python), "-B", "-m", "support.pictures"]
    command += [str(project), str(options.folder.resolve())]
    paths = os.pathsep.join([str(ROOT / "tests"), str(project), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment).returncode)


def wheels(options: argparse.Namespace) -> None:
    """Ask the package index whether each supported Python has wheels of all that is pinned."""
    python = project_dev.make_environment(ROOT / ".venv", REQUIREMENTS)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    command = [str(python), "-B", "-m", "support.wheels"]
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment).returncode)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo_parser = commands.add_parser("demo", help="render a project and serve it offline")
    demo_parser.add_argument("--port", type=int, default=8501)
    demo_parser.set_defaults(action=demo)
    test_parser = commands.add_parser("test", help="run the tests; further arguments go to pytest")
    test_parser.set_defaults(action=test, arguments=[])
    benchmark_parser = commands.add_parser("benchmark", help="compare it with a baseline")
    subjects = ("page", "image", "stream", "crowd", "capacity")
    benchmark_parser.add_argument("subject", nargs="?", choices=subjects, default="page")
    benchmark_parser.add_argument(
        "--quick", action="store_true", help="measure less, and write only to build/"
    )
    benchmark_parser.set_defaults(action=benchmark)
    distribution_parser = commands.add_parser(
        "distribution", help="write the template with Jinja's usual delimiters to a folder"
    )
    distribution_parser.add_argument("folder", type=Path)
    distribution_parser.add_argument(
        "--address", default="", help="of its git repository, for the lines to copy in its README"
    )
    distribution_parser.set_defaults(action=distribution)
    pictures_parser = commands.add_parser("pictures", help="draw and take the documents' pictures")
    pictures_parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "pictures")
    pictures_parser.set_defaults(action=pictures)
    wheels_parser = commands.add_parser(
        "wheels", help="ask the package index for wheels of all that projects pin; needs uv"
    )
    wheels_parser.set_defaults(action=wheels)
    project_dev.call(parser)


if __name__ == "__main__":
    main()
