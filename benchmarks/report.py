"""Writes the figures as a Markdown page, a picture and JSON."""

import json
import platform
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot

NAMES = {"disk": "a local disk", "nfs": "NFS"}

TEXT = """# Benchmarks

This page compares the template with the approach that it builds on, the baseline: the whole
session is pickled at the end of each run and loaded at the beginning of the next, the page draws
every message, and the key is kept by the class `LocalStorage` of streamlit-local-storage. The
baseline was written for this comparison (`benchmarks/baseline.py`) and has everything that pip
installs. Both use the same demo model and the same Streamlit.

One run on one machine ({machine}), {date}. Times depend on the machine, so compare the ratios.
This command generates the page:

```bash
python3 dev.py benchmark
```

![The figures below as curves](benchmarks.svg)

{tables}
## Goals

{aims}
Most of a reload is Streamlit's own page, which both load and draw in the same way. They differ in
how many messages they draw and in whether the script runs a second time. In short conversations,
saving costs the template more, because each piece of an answer is on the disk before it is shown.
But the cost does not grow with the conversation.

## How it is measured

Messages have 500 characters.

- **Saving a turn** means saving a prompt and an answer that takes a second. The template saves
  the answer in four pieces, each on the disk before it is shown; the baseline loads and saves the
  session once. Bytes are those of the process's system calls. Figures are medians of 15 turns.
  NFS is the Linux kernel's, with a round trip of 1.35 ms.
- **Reload** is the time from a returning visitor's navigation until Chromium shows the newest
  message. The two apps take turns. Figures are medians of 9 reloads, and of 3 at 5,000 messages.
- **A run** is one run of the page's script, without a browser (AppTest). Figures are medians of
  7.
- **Memory** is the server's resident memory, with sessions that are open in a browser and have
  had an answer.
"""


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
    }
    (folder / "benchmarks.json").write_text(json.dumps(results, indent=2) + "\n")
    picture(results, folder / "benchmarks.svg")
    (folder / "benchmarks.md").write_text(TEXT.format(**words))
    print(words["tables"], words["aims"], sep="\n")


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
    for store, name in NAMES.items():
        if store in results["save"]:
            milliseconds = by_app(results, store, "milliseconds")
            found.append(table(f"Saving a turn on {name}, ms", "messages", milliseconds, 2))
    for figure, name in (("bytes_written", "written"), ("bytes_read", "read")):
        of_disk = by_app(results, "disk", figure)
        found.append(table(f"Bytes {name} for a turn", "messages", of_disk, 0))
    reload = results["reload"]
    found.append(table("Reload until the newest message is shown, s", "messages", reload, 2))
    found.append(table("A run of the page's script, ms", "messages", results["rerun"], 0))
    found.append(table("Memory of the server, MiB", "sessions", by_sessions(results), 0))
    return found


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
    for size, limit in (("10", 0.65), ("5000", 0.05)):
        if row := results["reload"].get(size):
            words = f"reload at {int(size):,} messages, this template / baseline"
            found.append((words, row["template"] / row["baseline"], limit))
    most, memory = list(by_sessions(results).items())[-1]
    words = f"memory with {most} sessions, this template / baseline"
    found.append((words, memory["template"] / memory["baseline"], 0.6))
    rows = ["| ratio | at most | measured | met |", "| --- | ---: | ---: | --- |"]
    for words, figure, limit in found:
        met = "yes" if figure <= limit else "no"
        rows.append(f"| {words} | {limit:g} | {figure:.2f} | {met} |")
    return "\n".join([*rows, ""])


def picture(results: dict[str, Any], file: Path) -> None:
    """Draw one panel for each kind of figure."""
    store = "nfs" if "nfs" in results["save"] else "disk"
    memory = by_sessions(results)
    del memory["0"]  # zero has no place on a logarithmic axis
    saving = f"Saving a turn on {NAMES[store]}, ms"
    panels = {
        saving: ("messages", by_app(results, store, "milliseconds")),
        "Reload until shown, s": ("messages", results["reload"]),
        "A run of the page's script, ms": ("messages", results["rerun"]),
        "Memory of the server, MiB": ("sessions", memory),
    }
    # Identical figures give identical bytes; text stays text.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9}
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    for panel, (title, (unit, rows)) in zip(axes.flat, panels.items(), strict=True):
        sizes = [int(size) for size in rows]
        for app, name in (("template", "this template"), ("baseline", "baseline")):
            panel.plot(sizes, [row[app] for row in rows.values()], marker="o", label=name)
        panel.set(title=title, xlabel=unit, xscale="log", yscale="log")
        if unit == "sessions":
            panel.set(yscale="linear", ylim=(0, None))
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[0][0].legend()
    figure.savefig(file, metadata={"Date": None})
