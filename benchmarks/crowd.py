"""Measure what it costs when many browsers come back at once; write docs/crowd.*."""

import argparse
import json
import os
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chatbot.identity import new_key

from benchmarks import page, report
from benchmarks.__main__ import render, say
from benchmarks.image import record, send_visitors
from benchmarks.small_task import Server, serve
from benchmarks.store import seed
from support.paths import BUILD, ROOT
from support.projects import Project

CROWDS = (20, 60, 150)  # browsers
MESSAGES = 10  # in the conversation of each
CPUS = 0.25
APPS = {"template": Path("server.py"), "plain page": Path(__file__).with_name("plain.py")}

TEXT = """# A crowd

This page measures many browsers that come back at once to one task with {cpus} vCPU, each with its
own conversation of {messages} messages. Each sends what Chromium sent when it opened the page with
the page's files in its cache, and waits for the end of the script's run. A task gets such a crowd
when another one ends, or at nine o'clock.

One run on one machine ({machine}), {date}. Times depend on the machine, so compare the ratios.

This command generates the page in about three minutes, on Linux, as root, with Debian's package
chromium:

```bash
python3 dev.py benchmark crowd
```

{table}
**CPU** is the processor time of the server. **Half** and **last** are the times until half of the
browsers, and the last one, have their page. **Health check** is the slowest answer to the load
balancer's question meanwhile. **Memory** is the most that the server used.

The plain page is a chat page without sessions, with Streamlit's own settings. Both run as in the
image, without a watcher for changed files.

| with {most} browsers | this template | aim | met |
| --- | ---: | --- | --- |
{aims}

Two things keep the cost of a crowd proportional to its size, and the health check fast:
`.streamlit/config.toml` turns off Streamlit's search for garbage, which goes through all sessions
after each run; and `chatbot/web/admission.py` lets a few browsers at a time begin, the first one
first.
"""


def visit(
    project: Project, server: Server, folder: Path, recording: Path, count: int
) -> dict[str, float]:
    """Let so many browsers come back at once; return what it costs."""
    keys = [new_key() for _ in range(count)]
    for key in keys:
        seed(folder / "sessions", key, MESSAGES)
    file = folder / "keys.json"
    file.write_text(json.dumps(keys))
    before = server.cpu_seconds()
    server.health.clear()
    seconds = send_visitors(project, server.address, recording, count, file)
    return {
        "cpu": server.cpu_seconds() - before,
        "half": statistics.median(seconds),
        "last": seconds[-1],
        "health": max(server.health, default=0.0),
        "memory": server.memory("VmHWM"),
    }


def record_return(server: Server, folder: Path, recording: Path) -> None:
    """Record what Chromium sends that comes back, without the files that it has in its cache."""
    app = page.App("template", server.address, server.process, folder / "sessions")
    key = new_key()
    seed(app.folder, key, MESSAGES)
    with page.open_browser() as browser:
        record(server.address, app.visitor(browser, key), recording)
    events = json.loads(recording.read_text())
    recording.write_text(json.dumps([each for each in events if "/static/" not in each[1]]))


def measure() -> dict[str, Any]:
    say("Rendering a project")
    project = render()
    figures: dict[str, Any] = {name: {} for name in APPS}
    recording = BUILD / "crowd.json"
    for name, script in APPS.items():
        with TemporaryDirectory() as root:
            folder = Path(root)
            own = {"CHATBOT_SESSIONS_DIR": str(folder / "sessions"), "CHATBOT_BACKEND": "demo"}
            with serve(project, script, 1.0, **own) as server:
                record_return(server, folder, recording)
            for count in CROWDS:
                say(f"{count} browsers come back to: {name}")
                with serve(project, script, CPUS, **own) as server:
                    visit(project, server, folder, recording, 1)  # which imports what is needed
                    figures[name][str(count)] = visit(project, server, folder, recording, count)
    return figures


def table(figures: dict[str, Any]) -> str:
    head = "| | browsers | CPU, s | half, s | last, s | health check, s | memory, MiB |"
    rows = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for name, crowds in figures.items():
        for count, each in crowds.items():
            cells = [f"{each[key]:.1f}" for key in ("cpu", "half", "last", "health")]
            rows.append(f"| {' | '.join([name, count, *cells])} | {each['memory']:.0f} |")
    return "\n".join(rows) + "\n"


def aims(figures: dict[str, Any]) -> str:
    few, many = (str(count) for count in (CROWDS[0], CROWDS[-1]))
    ours = figures["template"]
    of_one = {count: ours[count]["cpu"] / int(count) for count in (few, many)}
    share = ours[many]["half"] / ours[many]["last"]
    rows = (
        ("slowest health check, s", ours[many]["health"], 2.0, "2"),
        ("half of them have their page, as a part of the time of the last", share, 0.6, "0.6"),
        ("memory, MiB", ours[many]["memory"], 400.0, "400"),
        (f"CPU for each, compared with {few} browsers", of_one[many] / of_one[few], 1.25, "1.25"),
    )
    return "\n".join(
        f"| {name} | {value:.{0 if value > 10 else 2}f} | at most {text} | "
        f"{'yes' if value <= most else 'no'} |"
        for name, value, most, text in rows
    )


def main() -> None:
    argparse.ArgumentParser(prog="dev.py benchmark crowd", description=__doc__).parse_args()
    if os.geteuid() != 0:
        sys.exit("Only root can limit the CPU of the server.")
    figures = measure()
    words = {
        "machine": f"{os.cpu_count()} cores, {report.system()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "table": table(figures),
        "aims": aims(figures),
        "cpus": CPUS,
        "messages": MESSAGES,
        "most": CROWDS[-1],
    }
    docs = ROOT / "docs"
    (docs / "crowd.json").write_text(json.dumps(figures, indent=2) + "\n")
    (docs / "crowd.md").write_text(TEXT.format(**words))
    print(words["table"], words["aims"], sep="\n")


if __name__ == "__main__":
    main()
