"""Compare the project's image with the baseline's, at AWS's smallest size; write docs/image.*."""

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext

from benchmarks import page, report
from benchmarks.__main__ import packages_of_baseline, render, say
from support import containers
from support.containers import podman
from support.paths import BUILD, ROOT, TEMPLATE
from support.projects import Project

VISITORS = 20
SESSIONS = 50
STARTS = 5
REPETITIONS = 3  # of the measurement with visitors, each with a fresh container
TEMPLATE_FLAGS = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--volume=/sessions")
MEMORY = ("--memory", str(containers.MEMORY))
LIMITS = ("--cpus", str(containers.CPUS), *MEMORY)

# As the reference project describes it: one stage, everything that pip installs. Same Streamlit.
BASELINE = """
FROM docker.io/library/python:3.13-slim
RUN python -m venv /packages && /packages/bin/pip install --no-cache-dir {packages}
WORKDIR /app
COPY . .
ENV PATH=/packages/bin:$PATH CHATBOT_SESSIONS_DIR=/tmp/sessions
CMD ["streamlit", "run", "baseline.py", "--server.address=0.0.0.0", "--server.headless=true", \
"--browser.serverAddress=localhost", "--browser.gatherUsageStats=false"]
"""

TEXT = """# The image

This page compares the rendered project's image with the baseline's. The baseline is the one of
[benchmarks.md](benchmarks.md), in an image built as the reference project describes it, with
everything that pip installs. Both use the same base image and run with 0.25 vCPU and 512 MB, the
smallest size on AWS.

One run on one machine ({machine}), {date}. Times depend on the machine, so compare the ratios.

This command generates the page, on Debian, as root, with the packages that `.ci/run` installs:

```bash
python3 dev.py benchmark image
```

{table}
**Packages** is the size of the layer that pip creates in the image. It is smaller because
`pyproject.toml` leaves out what Streamlit needs only for tables, charts and maps.

**Start** is the time from the command until the health check succeeds; median of {starts}. It is
shorter because everything that is imported is compiled in the image.

**New browsers** is the time that {visitors} browsers need when they visit a fresh container at
once. Each sends what Chromium sent when it opened the page, from the first file to the last, and
waits for the end of the script's last run; median of {repetitions}. It is shorter because the
script runs once instead of twice, because the garbage collector skips everything that was
imported, and because uvicorn has its fast event loop and parser.

**Memory** is the server's resident memory, just after the start and with {sessions} sessions that
are open in Chromium and have had an answer.

The base image contains Debian's own Python and is built locally, so that no image registry is
needed.
"""

AIMS = (  # figure, its name, digits, and its limit: a number, or a share of the baseline's figure
    ("packages", "packages, MB", 0, 274.0, 0.0),
    ("start", "start until healthy, s", 2, 2.0, 0.0),
    ("visitors", "20 new browsers at once, s", 1, 0.0, 0.3),
    ("idle", "memory when idle, MiB", 0, 60.0, 0.0),
    ("sessions", "memory with 50 sessions, MiB", 0, 90.0, 0.0),
)


def build(project: Project) -> dict[str, str]:
    """Build both images; return their names."""
    containers.make_base_images()
    podman("build", "--quiet", "--tag=measured/template", str(project.path))
    context = BUILD / "baseline"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(TEMPLATE / "chatbot", context / "chatbot")
    shutil.copy(project.path / "models.toml", context)
    shutil.copy(Path(__file__).with_name("baseline.py"), context)
    text = BASELINE.format(packages=" ".join(packages_of_baseline(project)))
    (context / "Dockerfile").write_text(text, encoding="utf-8")
    podman("build", "--quiet", "--tag=measured/baseline", str(context))
    return {name: f"localhost/measured/{name}" for name in ("template", "baseline")}


def megabytes_of_packages(image: str) -> float:
    history = json.loads(podman("history", "--format=json", image))
    return float(max(each["size"] for each in history if "/packages" in each["CreatedBy"])) / 1e6


@contextmanager
def container(name: str, image: str, *limits: str) -> Iterator[page.App]:
    """Run an image until the block ends; the block begins when the container is healthy."""
    flags = TEMPLATE_FLAGS if name == "template" else ()
    environment = ("--env=CHATBOT_BACKEND=demo",)
    podman("create", "--name=measured", *flags, *limits, *environment, image)
    try:
        podman("start", "measured")
        address = containers.address_of("measured")
        containers.wait_for_page(address)
        yield page.App(name, address, containers.inspect("measured")["State"]["Pid"], BUILD)
    finally:
        podman("rm", "--force", "--volumes", "--time=0", "measured")


def seconds_to_start(name: str, image: str) -> float:
    flags = TEMPLATE_FLAGS if name == "template" else ()
    podman("create", "--name=measured", *flags, *LIMITS, "--env=CHATBOT_BACKEND=demo", image)
    begun = time.perf_counter()
    podman("start", "measured")
    containers.wait_for_page(containers.address_of("measured"))
    passed = time.perf_counter() - begun
    podman("rm", "--force", "--volumes", "--time=0", "measured")
    return passed


def record(address: str, visitor: BrowserContext, file: Path) -> None:
    """Record what Chromium and the server send each other when a visitor opens the page."""
    events: list[tuple[str, str]] = []

    def ask(request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme == "http":
            events.append(("get", f"{url.path}?{url.query}".rstrip("?")))

    def connect(socket: Any) -> None:
        for kind in ("sent", "received"):
            socket.on(
                f"frame{kind}",
                lambda frame, kind=kind: events.append((kind, base64.b64encode(frame).decode())),
            )

    opened = visitor.new_page()
    opened.on("request", ask)
    opened.on("websocket", connect)
    opened.goto(address)
    opened.get_by_test_id("stChatInputTextArea").wait_for(timeout=page.WAIT)
    opened.wait_for_timeout(3000)  # a component may request another run
    visitor.close()
    file.write_text(json.dumps(events))


def send_visitors(
    project: Project, address: str, recording: Path, count: int, *keys: Path
) -> list[float]:
    """Let so many browsers visit at once; return the seconds of each, the fastest first."""
    python = project.path / ".venv" / "bin" / "python"
    script = Path(__file__).with_name("visitors.py")
    command = [str(each) for each in (python, "-B", script, address, count, recording, *keys)]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"The visits failed:\n{ran.stderr}")
    return [float(each) for each in json.loads(ran.stdout)]


def measure() -> dict[str, Any]:
    say("Rendering a project, and building its image and the baseline's")
    project = render()
    images = build(project)
    figures: dict[str, dict[str, Any]] = {name: {} for name in images}
    for name, image in images.items():
        figures[name]["packages"] = megabytes_of_packages(image)
        figures[name] |= {"start": [], "idle": [], "visitors": []}
    say("Measuring how long the images take to start")
    for _ in range(STARTS):
        for name, image in images.items():
            figures[name]["start"].append(seconds_to_start(name, image))
    with page.open_browser() as browser:
        for name, image in images.items():
            say(f"Recording a browser, and measuring the {name} with {SESSIONS} sessions")
            with container(name, image, *MEMORY) as app:
                file = BUILD / f"visitor-{name}.json"
                record(app.address, browser.new_context(), file)
            with container(name, image, *MEMORY) as app:
                memory = page.measure_memory(app, browser, [SESSIONS])
                figures[name]["sessions"] = memory[str(SESSIONS)]
    for number in range(REPETITIONS):
        for name, image in images.items():
            say(f"{VISITORS} new browsers visit the {name}, {number + 1} of {REPETITIONS}")
            with container(name, image, *LIMITS) as app:
                figures[name]["idle"].append(app.memory())
                file = BUILD / f"visitor-{name}.json"
                figures[name]["visitors"].append(
                    send_visitors(project, app.address, file, VISITORS)[-1]
                )
    for each in figures.values():
        for key, value in each.items():
            each[key] = statistics.median(value) if isinstance(value, list) else value
    figures["template"]["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    return figures


def table(figures: dict[str, Any]) -> str:
    rows = ["| | this template | baseline | ratio | aim | met |"]
    rows.append("| --- | ---: | ---: | ---: | --- | --- |")
    for key, name, digits, most, share in AIMS:
        ours, theirs = (figures[each][key] for each in ("template", "baseline"))
        aim = f"at most {most:g}" if most else f"at most {share:g} of it"
        met = "yes" if ours <= (most or share * theirs) else "no"
        cells = (name, f"{ours:.{digits}f}", f"{theirs:.{digits}f}", f"{ours / theirs:.2f}")
        rows.append(f"| {' | '.join(cells)} | {aim} | {met} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    argparse.ArgumentParser(prog="dev.py benchmark image", description=__doc__).parse_args()
    if containers.MISSING:
        sys.exit(f"This machine lacks {', '.join(containers.MISSING)}.")
    figures = measure()
    words = {
        "machine": f"{os.cpu_count()} cores, {report.system()}",
        "date": figures["template"].pop("date"),
        "table": table(figures),
        "starts": STARTS,
        "visitors": VISITORS,
        "repetitions": REPETITIONS,
        "sessions": SESSIONS,
    }
    docs = ROOT / "docs"
    (docs / "image.json").write_text(json.dumps(figures, indent=2) + "\n")
    (docs / "image.md").write_text(TEXT.format(**words))
    print(words["table"])


if __name__ == "__main__":
    main()
