"""Compare this template with the baseline, and write docs/benchmarks.{json,svg,md}."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_cookies.plugin import Cookies

from benchmarks import clicks, far, page, report, visits
from support.paths import BUILD, ROOT, TEMPLATE
from support.projects import Project
from support.rendering import render_project
from support.two_clients import TOOL, between_clients

ROUNDS = {10: 9, 100: 3, 1_000: 3, 5_000: 3}  # of visits, by number of messages
SHORT = 10  # messages of the conversation that is also visited from afar, and with an empty cache
LONG = 1_000  # messages of the conversations that are opened by a click
FAR_ROUNDS = 7
SESSIONS = (1, 10, 20)


def say(text: str) -> None:
    print(f"> {text}", flush=True)


def render() -> Project:
    """Render a project and create its environment."""
    folder = BUILD / "benchmark"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "cookiecutter.yaml"  # so that nothing is written to the person's HOME
    config.write_text(f'replay_dir: "{folder / "replay"}"\n', encoding="utf-8")
    project = render_project(Cookies(str(ROOT), lambda _name: folder, config))
    project.dev("test", "--version", timeout=900)
    return project


def make_baseline_environment(project: Project) -> None:
    python = page.python_of(project, "baseline")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    pip = [str(python), "-m", "pip", "install", "-q", *packages_of_baseline(project)]
    subprocess.run(pip, check=True)


def packages_of_baseline(project: Project) -> list[str]:
    """Return the packages that the reference project installs, in this project's versions.

    The demo model, which both apps use, needs markdown-it-py.
    """
    wanted = ("streamlit", "streamlit-local-storage", "boto3", "markdown-it-py")
    lines = project.read("requirements.in").splitlines()
    return [line.split()[0] for line in lines if line.split("==")[0] in wanted]


def measure_store(folder: str, sizes: Sequence[int]) -> dict[str, Any]:
    """Return what a turn costs on the local disk and, if two-clients is available, on NFS."""
    store = [sys.executable, "-B", str(ROOT / "benchmarks" / "store.py"), folder]
    store += map(str, sizes)
    environment = os.environ | {"PYTHONPATH": str(TEMPLATE)}
    local = subprocess.run(store, env=environment, check=True, capture_output=True, text=True)
    figures = {"disk": json.loads(local.stdout)}
    if not TOOL.exists():
        say("Measuring nothing on NFS, because the tool two-clients is missing")
        return figures
    over_nfs = between_clients("--env", f"PYTHONPATH={TEMPLATE}")
    ran = subprocess.run([*over_nfs, *store], capture_output=True, text=True)
    if ran.returncode:
        say(f"Measuring nothing on NFS: {ran.stderr.strip()}")
    else:
        figures["nfs"] = json.loads(ran.stdout)
    return figures


def measure_chats(project: Project, folder: Path) -> dict[str, float]:
    """Return what a person's many chats cost, in milliseconds."""
    python, script = page.python_of(project, "template"), ROOT / "benchmarks" / "chats.py"
    command = [str(python), "-B", str(script), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (TEMPLATE, ROOT)))}
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(ran.stdout))


def measure(quick: bool) -> dict[str, Any]:
    say("Rendering a project and creating the baseline's environment")
    project = render()
    make_baseline_environment(project)
    rounds = {10: 1, 100: 1} if quick else ROUNDS
    sessions = SESSIONS[:2] if quick else SESSIONS
    results: dict[str, Any] = {"near": {}, "far": {}, "rerun": {}, "memory": {}}
    with tempfile.TemporaryDirectory() as folder:
        say("Measuring how long it takes to save a turn")
        results["save"] = measure_store(folder, list(rounds))
        say("Measuring what many chats cost")
        results["chats"] = measure_chats(project, Path(folder) / "chats")
        for name in ("template", "baseline"):
            say(f"Measuring the memory of the {name} with up to {max(sessions)} sessions")
            with (
                page.serve(project, name, Path(folder) / f"memory-{name}") as app,
                page.open_browser() as browser,
            ):
                results["memory"][name] = page.measure_memory(app, browser, list(sessions))
        with (
            page.serve(project, "template", Path(folder) / "template") as template,
            page.serve(project, "baseline", Path(folder) / "baseline") as baseline,
            page.open_browser() as browser,
        ):
            apps = [template, baseline]
            for app in apps:
                app.folder.mkdir(exist_ok=True)
                for size in rounds:
                    app.seed(size)
            say("Measuring clicks on another chat")
            results["clicks"] = {LONG: clicks.measure(template, browser, LONG)}
            say("Measuring visits from afar")
            with far.away(template) as far_template, far.away(baseline) as far_baseline:
                far_apps = [far_template, far_baseline]
                count = 1 if quick else FAR_ROUNDS
                measured = visits.measure(far_apps, browser, SHORT, count, cold=True)
                results["far"][str(SHORT)] = measured
            for size, count in rounds.items():
                say(f"Measuring visits and runs of a page with {size:,} messages")
                measured = visits.measure(apps, browser, size, count, cold=size == SHORT)
                results["near"][str(size)] = measured
                results["rerun"][str(size)] = {
                    app.name: page.measure_rerun(project, app, size) for app in apps
                }
    results["machine"] = f"{os.cpu_count()} cores, {report.system()}"
    results["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py benchmark", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="measure fewer sizes, and write only to build/"
    )
    quick = parser.parse_args().quick
    results = measure(quick)
    report.write(results, BUILD if quick else ROOT / "docs")


if __name__ == "__main__":
    main()
