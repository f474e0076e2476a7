"""The figures as a page of Markdown, a picture and JSON."""

import json
import platform
from pathlib import Path
from typing import Any

COLOURS = {"template": "#2a7de1", "baseline": "#d9822b"}
STYLE = """<style>
text { font: 12px sans-serif; fill: #333 } .title { font-weight: bold }
line, rect { stroke: #999; fill: none }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }
</style>"""
WIDTH, HEIGHT, MARGIN = 330, 190, 45  # of a panel, in pixels

TEXT = """# Benchmarks

This template beside the approach that it carries on: a session that is pickled as a whole at the end
of each run and loaded at the beginning of the next, a page that draws every message, and
streamlit-local-storage's class `LocalStorage` (`benchmarks/baseline.py`, written for this
comparison). Both have the same demo model and the same versions of everything.

One run on one machine ({machine}), {date}. Times depend on the machine; the ratios are what matters.
The command that makes this page:

```bash
python3 dev.py benchmark
```

![The figures below as curves](benchmarks.svg)

{tables}
## What was aimed at

{aims}
## How it is measured

Messages have 500 characters. **Saving a turn** is a prompt and an answer that takes a second, which
this template saves in four pieces, each of them on the disk before it is shown; the baseline loads
and saves once. Bytes are those of the process's system calls; medians of 15 turns. NFS is the Linux
kernel's, with 1.35 ms for a round trip. **Reload** is the time from the navigation of a returning
visitor until Chromium shows the newest message, the two taken in turns; medians of 9, of 3 at 5,000
messages. **A run** is one run of the page's script, without a browser (AppTest); medians of 7.
**Memory** is the server's resident memory, with sessions that are open in a browser and have had an
answer.
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
    (folder / "benchmarks.svg").write_text(picture(results))
    (folder / "benchmarks.md").write_text(TEXT.format(**words))
    print(words["tables"], words["aims"], sep="\n")


def by_app(results: dict[str, Any], store: str, figure: str) -> dict[str, dict[str, float]]:
    """Return a figure of saving by size and app, as the other results are."""
    saved = results["save"][store]
    sizes = saved["template"]
    return {size: {app: saved[app][size][figure] for app in saved} for size in sizes}


def tables(results: dict[str, Any]) -> list[str]:
    found = []
    for store, name in (("disk", "a local disk"), ("nfs", "NFS")):
        if store in results["save"]:
            milliseconds = by_app(results, store, "milliseconds")
            found.append(table(f"Saving a turn on {name}, ms", "messages", milliseconds, 2))
    for figure, name in (("bytes_written", "written"), ("bytes_read", "read")):
        of_disk = by_app(results, "disk", figure)
        found.append(table(f"Bytes {name} for a turn", "messages", of_disk, 0))
    found.append(
        table("Reload until the newest message is shown, s", "messages", results["reload"], 2)
    )
    found.append(table("A run of the page's script, ms", "messages", results["rerun"], 0))
    memory = results["memory"]
    by_sessions = {
        count: {app: memory[app][count] for app in memory} for count in memory["template"]
    }
    found.append(table("Memory of the server, MiB", "sessions", by_sessions, 0))
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
    """Say of each aim whether this run met it."""
    rows = []

    def aim(words: str, figure: float, limit: float) -> None:
        met = "yes" if figure <= limit else "no"
        rows.append(f"| {words} | {limit:g} | {figure:.2f} | {met} |")

    for store, name in (("disk", "disk"), ("nfs", "NFS")):
        if store in results["save"]:
            save = by_app(results, store, "milliseconds")
            first, last = list(save.values())[0], list(save.values())[-1]
            words = f"time to save a turn in the longest conversation / in the shortest ({name})"
            aim(words, last["template"] / first["template"], 1.1)
            moved = [
                sum(by_app(results, store, figure)[size]["template"] for figure in BYTES)
                for size in (next(iter(save)), list(save)[-1])
            ]
            aim(f"bytes moved for a turn, likewise ({name})", moved[1] / moved[0], 1.1)
    for size, limit in (("10", 0.65), ("5000", 0.05)):
        if row := results["reload"].get(size):
            aim(
                f"reload at {int(size):,} messages / baseline",
                row["template"] / row["baseline"],
                limit,
            )
    memory = results["memory"]
    most = list(memory["template"])[-1]
    ratio = memory["template"][most] / memory["baseline"][most]
    aim(f"memory with {most} sessions / baseline", ratio, 0.6)
    return "\n".join(
        ["| ratio | at most | measured | met |", "| --- | ---: | ---: | --- |", *rows, ""]
    )


BYTES = ("bytes_read", "bytes_written")


def picture(results: dict[str, Any]) -> str:
    """Draw one panel for each kind of figure, as SVG."""
    import math

    store = "nfs" if "nfs" in results["save"] else "disk"
    memory = results["memory"]
    by_sessions = {
        count: {app: memory[app][count] for app in memory}
        for count in memory["template"]
        if count != "0"
    }
    panels = {
        f"Saving a turn, {'NFS' if store == 'nfs' else 'disk'} (ms)": by_app(
            results, store, "milliseconds"
        ),
        "Reload until shown (s)": results["reload"],
        "A run of the page (ms)": results["rerun"],
        "Memory of the server (MiB), by sessions": by_sessions,
    }
    parts = []
    for number, (title, rows) in enumerate(panels.items()):
        left, top = MARGIN + (number % 2) * (WIDTH + MARGIN), 30 + (number // 2) * (HEIGHT + 60)
        sizes = [math.log(float(size)) for size in rows]
        largest = max(max(row.values()) for row in rows.values())
        smallest = min(min(row.values()) for row in rows.values())
        logarithmic = largest / smallest > 20
        low = math.log(smallest / 1.5) if logarithmic else 0.0
        high = math.log(largest * 1.5) if logarithmic else largest * 1.15

        def x(size: float, left: int = left, sizes: list[float] = sizes) -> float:
            return left + WIDTH * (size - sizes[0]) / ((sizes[-1] - sizes[0]) or 1)

        def y(
            value: float,
            top: int = top,
            low: float = low,
            high: float = high,
            logarithmic: bool = logarithmic,
        ) -> float:
            at = math.log(value) if logarithmic else value
            return top + HEIGHT * (high - at) / (high - low)

        parts.append(f'<text class="title" x="{left}" y="{top - 10}">{title}</text>')
        parts.append(f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}"/>')
        for size, label in zip(sizes, rows, strict=True):
            parts.append(
                f'<text x="{x(size):.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">'
                f"{int(label):,}</text>"
            )
        for app, colour in COLOURS.items():
            values = [row[app] for row in rows.values()]
            points = [(x(size), y(value)) for size, value in zip(sizes, values, strict=True)]
            path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            )
            for value, (across, down) in zip(values, points, strict=True):
                text = f"{value:.2g}" if value < 10 else f"{value:,.0f}"
                parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>')
                parts.append(
                    f'<text x="{across:.0f}" y="{down - 7:.0f}" text-anchor="middle">{text}</text>'
                )
    height = 2 * (HEIGHT + 60) + 40
    width = 2 * (WIDTH + MARGIN) + MARGIN
    for number, (app, colour) in enumerate(COLOURS.items()):
        across = MARGIN + 150 * number
        name = "this template" if app == "template" else app
        parts.append(f'<circle cx="{across}" cy="{height - 15}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{across + 12}" y="{height - 11}">{name}</text>')
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = "\n".join([STYLE, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{body}\n</svg>\n'
