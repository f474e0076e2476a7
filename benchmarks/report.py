"""Writes the figures as a Markdown page, a picture and JSON."""

import json
import platform
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot

from benchmarks.quiet import LIMIT

NAMES = {"disk": "a local disk", "nfs": "NFS"}

TEXT = """# Benchmarks

This page compares the template with the approach that it builds on, the baseline: the whole
session is pickled at the end of each run and loaded at the beginning of the next, the page draws
every message, and the key is kept by the class `LocalStorage` of streamlit-local-storage. The
baseline was written for this comparison (`benchmarks/baseline.py`) and has everything that pip
installs. Both use the same demo model and the same Streamlit.

One run on one machine ({machine}), {date}. Times depend on the machine, so compare the ratios.
This command generates the page, in about 20 minutes on a machine that does nothing else:

```bash
python3 dev.py benchmark
```

![The figures below as a picture](benchmarks.svg)

**Shown** means that the page itself shows the newest message. **First sight** comes earlier: the
template sends the newest turns as plain text with the first file, and removes it when the page is
drawn.

{tables}
## Goals

Each ratio is this template's figure divided by the baseline's, unless it says otherwise.

{aims}
Most of the time until a page is shown goes to Streamlit's own files, which both apps load. The apps
differ in how these are sent, in how many messages the page draws, and in whether the script runs a
second time. In short conversations, saving costs the template more, because each piece of an answer
is on the disk before it is shown. But the cost does not grow with the conversation.

## How it is measured

Messages have 500 characters.

- **Saving a turn** means saving a prompt and an answer that takes a second. The template saves
  the answer in four pieces, each on the disk before it is shown; the baseline loads and saves the
  session once. Bytes are those of the process's system calls. Figures are medians of 15 turns.
  NFS is the Linux kernel's, with a round trip of 1.35 ms.
- **Both servers** run as in the image, so neither watches its source files for changes. Where
  Streamlit does that, as on a developer's machine, each run costs both the same time more.
- **Visits** are those of a person who already has a conversation. For a *new tab* and a *reload*
  of that tab, Chromium has the app's files in its cache; for a *cold* visit, its cache is empty.
  *Near* is the same machine. *Far* is behind a relay (`benchmarks/far.py`) with a round trip of
  40 ms and 10 Mbit/s each way. A script in the page checks each frame. Times run from the
  navigation until Chromium has painted the message.
- **A click** on another chat is measured near, in a page that is open. The figure is the median
  of 11.
- **Many chats** are measured without a browser, as the time of a processor: on the smallest task,
  which has a quarter of one, all takes four times as long. The first list and the first search are
  those of a new process; the others are medians of 9.
- **Rounds**: in each round, both apps are visited one after the other. Seconds are medians, and a
  ratio is the median of the rounds' ratios.
  There are {rounds}.
- **Quiet rounds**: a round counts if other programs used at most {limit:.0%} of the processors
  during it.
  {disturbed}
- **A run** is one run of the page's script, without a browser (AppTest). Figures are medians of
  7.
- **Memory** is the server's resident memory, with sessions that are open in a browser and have
  had an answer.
"""

SERIES = {  # name and colour in the picture
    "template": ("this template", "C0"),
    "baseline": ("baseline", "C1"),
    "first_sight": ("first sight of this template", "C2"),
}
KINDS = {"new": "new tab", "reload": "reload", "cold": "cold"}


def system() -> str:
    """Return the name of the operating system and Python's version."""
    release = platform.freedesktop_os_release()
    return f"{release['NAME']} {release.get('VERSION_ID', '')}, Python {platform.python_version()}"


def write(results: dict[str, Any], folder: Path) -> None:
    """Write benchmarks.json, benchmarks.svg and benchmarks.md to the folder."""
    words = {
        "machine": results["machine"],
        "date": results["date"],
        "tables": "".join(tables(results)),
        "aims": aims(results),
        "rounds": rounds(results),
        "limit": LIMIT,
        "disturbed": disturbed(results),
    }
    (folder / "benchmarks.json").write_text(json.dumps(results, indent=2) + "\n")
    picture(results, folder / "benchmarks.svg")
    (folder / "benchmarks.md").write_text(TEXT.format(**words))
    print(words["tables"], words["aims"], words["disturbed"], sep="\n")


def rounds(results: dict[str, Any]) -> str:
    """Return how many rounds there are for each number of messages."""
    counts = {int(size): each["rounds"] for size, each in results["near"].items()}
    near = ", ".join(f"{count} with {size:,} messages" for size, count in counts.items())
    [far] = results["far"].values()
    return f"{near}, and {far['rounds']} from afar"


def disturbed(results: dict[str, Any]) -> str:
    """Return how quiet the machine was during the visits."""
    measured = [*results["near"].values(), *results["far"].values()]
    kept, thrown_away, loud = (
        sum(each[key] for each in measured) for key in ("rounds", "thrown_away", "loud")
    )
    words = f"Of {kept + thrown_away} rounds, {thrown_away} were thrown away."
    if loud:
        words += f"""
  **The machine was not quiet for long enough**: {loud} of the {kept} rounds that are left were
  disturbed too, so the figures of visits are unreliable."""
    return words


def by_app(results: dict[str, Any], store: str, figure: str) -> dict[str, dict[str, float]]:
    """Return one figure of saving, by size and app like the other results."""
    saved = results["save"][store]
    sizes = saved["template"]
    return {size: {app: saved[app][size][figure] for app in saved} for size in sizes}


def by_sessions(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    memory = results["memory"]
    return {count: {app: memory[app][count] for app in memory} for count in memory["template"]}


def tables(results: dict[str, Any]) -> list[str]:
    found = []
    shortest = next(iter(results["far"]))
    found.append(visits_table(f"Visits to {shortest} messages, s", "visit", by_visit(results)))
    for kind in ("new", "reload"):
        rows = {f"{int(size):,}": row for size, row in by_size(results, kind).items()}
        found.append(visits_table(f"{KINDS[kind].capitalize()}, near, s", "messages", rows))
    for store, name in NAMES.items():
        if store in results["save"]:
            milliseconds = by_app(results, store, "milliseconds")
            found.append(table(f"Saving a turn on {name}, ms", "messages", milliseconds, 2))
    for figure, name in (("bytes_written", "written"), ("bytes_read", "read")):
        of_disk = by_app(results, "disk", figure)
        found.append(table(f"Bytes {name} for a turn", "messages", of_disk, 0))
    found.append(table("A run of the page's script, ms", "messages", results["rerun"], 0))
    found.append(table("Memory of the server, MiB", "sessions", by_sessions(results), 0))
    if "chats" in results:
        found.append(chats_table(results["chats"]))
    for size, seconds in results.get("clicks", {}).items():
        words = f"A click on another chat of {int(size):,} messages shows it after {seconds:.2f} s."
        found.append(f"{words}\n\n")
    return found


def chats_table(figures: dict[str, float]) -> str:
    """Return what the list of chats costs, which the baseline does not have."""
    lines = [
        "**A person with 1,000 chats of 20 messages**\n",
        "| | ms of a processor |",
        "| --- | ---: |",
    ]
    lines += [f"| {name} | {figure:,.1f} |" for name, figure in figures.items()]
    return "\n".join(lines) + "\n\n"


def by_visit(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the waits of visits to the shortest conversation, by kind and distance."""
    [(size, far)] = results["far"].items()
    measured = {"near": results["near"][size], "far": far}
    return {
        f"{name}, {distance}": each["waits"][kind]
        for distance, each in measured.items()
        for kind, name in KINDS.items()
    }


def by_size(results: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the waits of one kind of visit from nearby, by size."""
    return {size: each["waits"][kind] for size, each in results["near"].items()}


def visits_table(title: str, column: str, rows: dict[str, dict[str, Any]]) -> str:
    heads = (column, "baseline", "shown", "ratio", "first sight", "ratio")
    lines = [f"**{title}**\n", f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * 5]
    for name, row in rows.items():
        shown, sight = row["page"], row["first_sight"]
        figures = [shown[each] for each in ("baseline", "template", "ratio")]
        figures += [sight[each] for each in ("template", "ratio")]
        lines.append(f"| {name} | {' | '.join(f'{each:.2f}' for each in figures)} |")
    return "\n".join(lines) + "\n\n"


def table(title: str, unit: str, rows: dict[str, dict[str, float]], digits: int) -> str:
    lines = [f"**{title}**\n", f"| {unit} | this template | baseline | ratio |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    for key, row in rows.items():
        ours, theirs = row["template"], row["baseline"]
        ratio = f"{ours / theirs:.2f}" if theirs else ""
        lines.append(f"| {int(key):,} | {ours:,.{digits}f} | {theirs:,.{digits}f} | {ratio} |")
    return "\n".join(lines) + "\n\n"


def aims(results: dict[str, Any]) -> str:
    """Return a table of the goals that says which ones this run met."""
    found = []
    for store, name in NAMES.items():
        if store in results["save"]:
            save = list(by_app(results, store, "milliseconds").values())
            words = f"time to save a turn on {name}, longest conversation / shortest"
            found.append((words, save[-1]["template"] / save[0]["template"], 1.1))
    visits, shortest = by_visit(results), next(iter(results["far"]))
    for name, limit in (("reload, near", 0.5), ("reload, far", 0.5), ("cold, far", 0.55)):
        words = f"{name}, until shown, {shortest} messages"
        found.append((words, visits[name]["page"]["ratio"], limit))
    reload = by_size(results, "reload")
    if longest := reload.get("5000"):
        words = "reload, near, until shown, 5,000 messages"
        found.append((words, longest["page"]["ratio"], 0.05))
    waits = [*visits.values(), *reload.values(), *by_size(results, "new").values()]
    words = "first sight, highest ratio of all visits"
    found.append((words, max(each["first_sight"]["ratio"] for each in waits), 0.25))
    for size, seconds in results.get("clicks", {}).items():
        words = f"a click on another chat of {int(size):,} messages, until shown, s"
        found.append((words, seconds, 0.3))
    if "chats" in results:
        words = "the list of 1,000 chats in a run of the page, s of a processor"
        found.append((words, results["chats"]["each further one"] / 1000, 0.02))
        words = "the first search in 1,000 chats, s on a quarter of a processor"
        found.append((words, 4 * results["chats"]["the first search"] / 1000, 1))
    most, memory = list(by_sessions(results).items())[-1]
    words = f"memory with {most} sessions"
    found.append((words, memory["template"] / memory["baseline"], 0.6))
    rows = ["| goal | at most | measured | met |", "| --- | ---: | ---: | --- |"]
    for words, figure, limit in found:
        met = "yes" if figure <= limit else "no"
        rows.append(f"| {words} | {limit:g} | {figure:.2f} | {met} |")
    return "\n".join([*rows, ""])


def picture(results: dict[str, Any], file: Path) -> None:
    """Draw one panel for each kind of figure."""
    store = "nfs" if "nfs" in results["save"] else "disk"
    memory = by_sessions(results)
    del memory["0"]  # zero has no place on a logarithmic axis
    reload = by_size(results, "reload")
    reload_rows = {
        size: row["page"] | {"first_sight": row["first_sight"]["template"]}
        for size, row in reload.items()
    }
    saving = f"Saving a turn on {NAMES[store]}, ms"
    panels = {
        "Reload, near, s": ("messages", reload_rows),
        saving: ("messages", by_app(results, store, "milliseconds")),
        "Bytes written for a turn": ("messages", by_app(results, "disk", "bytes_written")),
        "A run of the page's script, ms": ("messages", results["rerun"]),
        "Memory of the server, MiB": ("sessions", memory),
    }
    # Identical figures give identical bytes; text stays text.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9}
    figure, axes = pyplot.subplots(2, 3, figsize=(13, 6.5), layout="constrained")
    bars, *others = axes.flat
    draw_visits(bars, results)
    for panel, (title, (unit, rows)) in zip(others, panels.items(), strict=True):
        sizes = [int(size) for size in rows]
        for key, (name, color) in SERIES.items():
            if key in next(iter(rows.values())):
                values = [row[key] for row in rows.values()]
                panel.plot(sizes, values, marker="o", color=color, label=name)
        panel.set(title=title, xlabel=unit, xscale="log", yscale="log")
        if unit == "sessions":
            panel.set(yscale="linear", ylim=(0, None))
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.yaxis.set_major_formatter("{x:,.7g}")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    bars.legend()
    figure.savefig(file, metadata={"Date": None})


def draw_visits(panel: Any, results: dict[str, Any]) -> None:
    """Draw bars for the kinds of visits to the shortest conversation."""
    visits = by_visit(results)
    for number, (key, (name, color)) in enumerate(SERIES.items()):
        seconds = [
            row["first_sight"]["template"] if key == "first_sight" else row["page"][key]
            for row in visits.values()
        ]
        places = [place + 0.27 * (number - 1) for place in range(len(visits))]
        panel.barh(places, seconds, 0.25, color=color, label=name)
    panel.set(title=f"Visits to {next(iter(results['far']))} messages, s")
    panel.set_yticks(range(len(visits)), visits)
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.3)
