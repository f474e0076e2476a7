"""Measure how many people can chat at once on one task; write docs/capacity.*."""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chatbot.identity import new_key

from benchmarks import report, timed_model
from benchmarks.__main__ import render, say
from benchmarks.small_task import Server, serve
from benchmarks.store import seed
from support.bedrock import bedrock_environment
from support.paths import ROOT, TEMPLATE
from support.projects import Project
from support.serving import free_port

SIZES = (0.25, 0.5, 1.0)  # vCPU
MESSAGES = 10  # in each conversation at first
MINUTE = 60.0  # seconds between two messages of a person
PAUSE = 15.0  # seconds between two messages of a browser here, which stands for four people
WINDOW = 30.0  # seconds
BEHIND = 1.0  # seconds that all but 5 % of the text may be late
HEALTH = 2.0  # seconds that a health check may take
FIRST_GUESS = 48  # browsers, for one vCPU
CLOSE = 8  # the search ends once it is as close as an eighth
IDLE = 100  # pages that are open while nobody says anything
PEOPLE = round(MINUTE / PAUSE)

# Assumptions of the project's docs/capacity.md, which says so.
CROWDS = (100, 1_000, 10_000, 100_000)  # people
CHATTING = 0.05  # of them, in the busiest minute
USED = 0.6  # of the tasks' CPU
TASKS = 2  # at least
TOKENS = 1_000 + timed_model.TOKENS  # of a message with its history, and of its answer
APPENDS = 4 * timed_model.TOKENS * timed_model.EVERY + 2  # of a message and its answer

TEXT = """# Capacity

This page measures how many people can chat at once on one task. Each person has the page open,
sends a message a minute, and reads an answer of {tokens} tokens that the model sends at {speed}
tokens a second. That many is too many when 5 % of the text is shown more than {behind:g} s after
the model sent it, when an answer does not come, or when a health check takes over {health:g} s.

One run on one machine ({machine}), {date}. Capacities depend on the processor, so measure yours.

This command generates the page, and the tables in a project's `docs/capacity.md`, in about 15
minutes, on Linux, as root:

```bash
python3 dev.py benchmark capacity
```

{table}
**Behind** is how late text is shown, for all but the latest 5 %. About 0.25 s of it is how long the
chatbot collects text before it saves and shows a piece. The next that
were tried, {next}, were too many.

An open page on which nobody says anything costs {idle_memory:.2f} MiB of memory and
{idle_cpu:.1f} ms of CPU a minute, so {pages} of them use {share:.1f} % of a task with 0.25 vCPU.

## What to scale by

**CPU tells first.** At the limit, the tasks use {cpu} of their CPU, but only {memory} MiB of
memory, and a WebSocket costs next to nothing. Autoscaling should keep
the tasks' average at two thirds of that, which is {target} %: the rest is for what comes until
another task has started.

## How it is measured

To take less time, each browser sends a message every {pause:g} s and stands for {people} people:
as many answers grow at once, in fewer pages. What the other pages would cost is the figure above
for open pages. Each measurement lasts {window:g} s on a new server. Browsers are coroutines that
speak Streamlit's protocol over WebSockets. The model speaks Bedrock's protocol, sends each token as
an event of its own, and marks every {stamp}th one with the time. Browsers and model run outside the
group of processes that is limited to the task's CPU. Conversations are on a local disk and begin
with {messages} messages, which the model gets as well.
"""


@contextmanager
def model() -> Iterator[str]:
    """Run the model until the block ends; yield its address."""
    port = free_port()
    script = timed_model.__file__
    process = subprocess.Popen([sys.executable, "-B", script, str(port)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def chat(
    project: Project, server: Server, folder: Path, count: int, seconds: float, pause: float
) -> dict[str, Any]:
    """Let so many browsers open the page, and chat for so many seconds; return what it costs."""
    keys = [new_key() for _ in range(count)]
    for key in keys:
        seed(folder / "sessions", key, MESSAGES)
    file = folder / "keys.json"
    file.write_text(json.dumps(keys))
    python = str(project.path / ".venv" / "bin" / "python")
    script = str(Path(__file__).with_name("people.py"))
    arguments = (server.address, str(count), str(seconds), str(pause), str(file))
    people = subprocess.Popen([python, "-B", script, *arguments], stdout=subprocess.PIPE, text=True)
    if people.stdout is None:
        raise OSError("Nothing can be read.")
    people.stdout.readline()
    server.health.clear()
    begun, before = time.perf_counter(), server.cpu_seconds()
    people.stdout.readline()
    cpu = (server.cpu_seconds() - before) / (time.perf_counter() - begun)
    memory = server.memory()
    said = people.stdout.readline()
    if people.wait(60) or not said:
        return {"fits": False}
    figures = json.loads(said)
    late = figures["behind"]
    behind = late[int(len(late) * 0.95)] if late else 0.0
    health = max(server.health)
    lost = figures["failed"] or figures["answered"] < figures["asked"]
    return {
        "fits": behind <= BEHIND and health <= HEALTH and not lost,
        "behind": behind,
        "health": health,
        "cpu": cpu,
        "memory": memory,
        "unanswered": figures["asked"] - figures["answered"],
    }


@contextmanager
def task(project: Project, cpus: float, model_at: str) -> Iterator[tuple[Server, Path]]:
    """Serve the chatbot with so many processors, after its first visitor; yield its folder too."""
    with TemporaryDirectory() as root:
        folder = Path(root)
        own = bedrock_environment(model_at) | {
            "AWS_REGION": "us-east-1",
            "CHATBOT_SESSIONS_DIR": str(folder / "sessions"),
        }
        with serve(project, "server.py", cpus, **own) as server:
            chat(project, server, folder, 1, 2.0, 2.0)  # imports and connects what is needed
            yield server, folder


def find_capacity(project: Project, cpus: float, model_at: str) -> dict[str, Any]:
    """Return what the most browsers cost that fit, and how many more were too many."""
    fitting, too_many, count = 0, 0, round(FIRST_GUESS * cpus)
    tried: dict[int, dict[str, Any]] = {}
    while not too_many or too_many - fitting > max(1, too_many // CLOSE):
        with task(project, cpus, model_at) as (server, folder):
            tried[count] = chat(project, server, folder, count, WINDOW, PAUSE)
        say(f"{cpus:g} vCPU, {count * PEOPLE} people: {tried[count]}")
        if tried[count]["fits"]:
            fitting = count
        else:
            too_many = count
        if not too_many:
            count *= 2
        else:
            count = (fitting + too_many) // 2
    if not fitting:
        sys.exit("Not even one person fits.")
    return tried[fitting] | {"people": fitting * PEOPLE, "too_many": too_many * PEOPLE}


def measure_idle_pages(project: Project, model_at: str) -> dict[str, float]:
    """Return what an open page costs on which nobody says anything."""
    with task(project, SIZES[0], model_at) as (server, folder):
        few = chat(project, server, folder, 1, WINDOW, 0.0)  # mostly health checks
        many = chat(project, server, folder, 1 + IDLE, WINDOW, 0.0)
    return {
        "memory": (many["memory"] - few["memory"]) / IDLE,
        "milliseconds_a_minute": (many["cpu"] - few["cpu"]) * MINUTE * 1000 / IDLE,
    }


def measure() -> dict[str, Any]:
    say("Rendering a project")
    project = render()
    with model() as model_at:
        say(f"Measuring {IDLE} open pages")
        figures: dict[str, Any] = {"idle": measure_idle_pages(project, model_at)}
        figures["sizes"] = {f"{cpus:g}": find_capacity(project, cpus, model_at) for cpus in SIZES}
    figures["machine"] = f"{os.cpu_count()} cores, {report.system()}"
    figures["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    return figures


def table(sizes: dict[str, Any]) -> str:
    rows = ["| vCPU | people | CPU | behind, s | health check, s | memory, MiB |"]
    rows.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for size, each in sizes.items():
        share = 100 * each["cpu"] / float(size)
        cells = (size, str(each["people"]), f"{share:.0f} %", f"{each['behind']:.2f}")
        rows.append(f"| {' | '.join(cells)} | {each['health']:.2f} | {each['memory']:.0f} |")
    return "\n".join(rows) + "\n"


def task_table(sizes: dict[str, Any]) -> str:
    rows = ["| vCPU | people | CPU | memory, MiB |", "| ---: | ---: | ---: | ---: |"]
    for size, each in sizes.items():
        share = 100 * each["cpu"] / float(size)
        rows.append(f"| {size} | {each['people']} | {share:.0f} % | {each['memory']:.0f} |")
    return "\n".join(rows)


def people_table(sizes: dict[str, Any]) -> str:
    head = (
        *("people", "chat at once", "tasks", "tasks and their addresses, $ a month"),
        *("tokens a minute", "writes to EFS a second"),
    )
    rows = [f"| {' | '.join(head)} |", f"|{' ---: |' * len(head)}"]
    smallest = sizes[f"{SIZES[0]:g}"]
    one_task = smallest["people"] * USED * SIZES[0] / smallest["cpu"]
    for people in CROWDS:
        chatting = people * CHATTING
        tasks = max(TASKS, math.ceil(chatting / one_task))
        cost = f'<< "{{:,.0f}}".format({tasks} * (task + address)) >>'
        cells = (f"{people:,}", f"{chatting:,.0f}", f"{tasks:,}", cost)
        more = (f"{chatting * TOKENS:,.0f}", f"{chatting * APPENDS / MINUTE:,.0f}")
        rows.append(f"| {' | '.join(cells + more)} |")
    return "\n".join(rows)


def write_project_page(sizes: dict[str, Any]) -> None:
    """Write the tables into the page that is rendered into projects."""
    page = TEMPLATE / "docs" / "capacity.md"
    text = page.read_text(encoding="utf-8")
    tables = {
        "one task: measured": task_table(sizes),
        "more people: arithmetic": people_table(sizes),
    }
    for name, rows in tables.items():
        place = re.compile(f"(<!-- {name} -->).*?(<!-- end -->)", re.DOTALL)
        text = place.sub(lambda found, rows=rows: f"{found[1]}\n{rows}\n{found[2]}", text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")


def span(values: list[float], unit: str = "") -> str:
    low, high = (f"{each:.0f}" for each in (min(values), max(values)))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def write(figures: dict[str, Any]) -> None:
    """Write docs/capacity.json, docs/capacity.md and the tables of the project's page."""
    sizes, idle = figures["sizes"], figures["idle"]
    used = [100 * each["cpu"] / float(size) for size, each in sizes.items()]
    pages = 100
    words = {
        "machine": figures["machine"],
        "date": figures["date"],
        "table": table(sizes),
        "next": ", ".join(f"{each['too_many']}" for each in sizes.values()),
        "idle_memory": max(0.0, idle["memory"]),
        "idle_cpu": idle["milliseconds_a_minute"],
        "pages": pages,
        "share": pages * idle["milliseconds_a_minute"] / (MINUTE * 10 * SIZES[0]),
        "cpu": span(used, " %"),
        "memory": span([each["memory"] for each in sizes.values()]),
        "target": 5 * round(min(used) * 2 / 3 / 5),
        "tokens": timed_model.TOKENS,
        "speed": round(1 / timed_model.EVERY),
        "stamp": timed_model.STAMP_EVERY,
        "behind": BEHIND,
        "health": HEALTH,
        "pause": PAUSE,
        "people": PEOPLE,
        "window": WINDOW,
        "messages": MESSAGES,
    }
    docs = ROOT / "docs"
    (docs / "capacity.json").write_text(json.dumps(figures, indent=2) + "\n")
    (docs / "capacity.md").write_text(TEXT.format(**words))
    write_project_page(sizes)
    print(words["table"])


def main() -> None:
    argparse.ArgumentParser(prog="dev.py benchmark capacity", description=__doc__).parse_args()
    if os.geteuid() != 0:
        sys.exit("Only root can limit the CPU of the server.")
    write(measure())


if __name__ == "__main__":
    main()
