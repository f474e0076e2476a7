"""Measure what a long answer costs as it grows, in parts and drawn whole; write docs/stream.*."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.__main__ import render, say
from support.bedrock import bedrock_environment, stand_in
from support.paths import BUILD, ROOT
from support.projects import Project
from support.serving import free_port, serve

TOKENS = 4_000
TOKEN = 4  # characters
PACE = 0.02  # seconds between two tokens
WINDOW = 400  # tokens: the first such window begins at token 200, the last one ends at the end
LEAST = 0.01  # seconds of processor time that can be told apart

# What turns a project into one that draws the whole answer at each piece, and sends something each
# time it looks for the next one.
WHOLE = (
    ("chatbot/markdown.py", r"(?m)^PART_SIZE = .*", "PART_SIZE = 1_000_000_000"),
    ("chatbot/page/parts.py", r"(?m)^_SENT_A_SECOND = .*", "_SENT_A_SECOND = 1_000_000_000"),
    ("chatbot/page/messages.py", r"(?m)^( +)current_tab\(\).*", r"\1notice.empty()"),
)

TEXT = """# A long answer as it grows

This page says what an answer of {tokens:,} tokens costs while it streams. The page draws it in
parts, and sends only the last one again. This is compared with the same code, changed in three
lines: it draws the whole answer again at each piece, and sends a message each time it looks for
the next piece, 20 times a second.

One run on one machine ({machine}), {date}. Times depend on the machine, so compare the ratios.

This command generates the page:

```bash
python3 dev.py benchmark stream
```

| | in parts | drawn whole | ratio | aim | met |
| --- | ---: | ---: | ---: | --- | --- |
{table}

A token is {token} characters. A stand-in for Bedrock sends {pace:.0f} tokens a second: paragraphs,
headings, lists, tables and code. **Bytes** are those of the messages on the WebSocket, and
**processor time** is that of the server's process, both from the question until the end of the
script's run. Figures per token are means of {window} tokens: those around token 400, and the last
ones. Both servers run at the same time, and each has one visitor.
"""


def write_answer() -> tuple[str, list[int]]:
    """Return an answer in mixed Markdown, and at which token each of its numbered words begins."""
    numbers = count(1)

    def words(amount: int) -> str:
        return " ".join(f"w{next(numbers):05}" for _ in range(amount))

    blocks: tuple[Callable[[], str], ...] = (
        lambda: words(60),
        lambda: f"## {words(5)}\n\n{words(50)}",
        lambda: "\n".join(f"- **{words(1)}** {words(8)}" for _ in range(5)),
        lambda: f"| {words(1)} | {words(1)} |\n| --- | --- |\n| {words(3)} | {words(3)} |",
        lambda: "```python\n" + "\n".join(f"call({words(4)})" for _ in range(8)) + "\n```",
        lambda: words(80),
    )
    text = ""
    for block in cycle(blocks):
        text += block() + "\n\n"
        if len(text) > TOKENS * TOKEN:
            break
    text = text[: TOKENS * TOKEN]
    places = [found.start() // TOKEN for found in re.finditer(r"w\d{5}", text)]
    return text, [0, *places]


def draw_whole(project: Project) -> Project:
    """Return a copy of the project that redraws the whole answer at each piece."""
    copy = BUILD / "benchmark" / "whole"
    shutil.copytree(project.path, copy, symlinks=True)
    for name, pattern, replacement in WHOLE:
        text, found = re.subn(pattern, replacement, project.read(name))
        assert found == 1, name
        (copy / name).write_text(text, encoding="utf-8")
    return replace(project, path=copy)


def measure() -> dict[str, dict[str, float]]:
    say("Rendering a project")
    project = render()
    text, places = write_answer()
    steps: list[Any] = []
    for start in range(0, len(text), TOKEN):
        steps += [text[start : start + TOKEN], PACE]
    projects = {"parts": project, "whole": draw_whole(project)}
    say(f"Streaming {TOKENS:,} tokens in both ways, at {1 / PACE:.0f} tokens a second")
    client = Path(__file__).with_name("stream_client.py")
    with stand_in.bedrock_stand_in() as bedrock:
        environment = bedrock_environment(bedrock.url)
        with (
            serve(projects["parts"], free_port(), **environment) as parts,
            serve(projects["whole"], free_port(), **environment) as whole,
        ):
            python = str(project.path / ".venv" / "bin" / "python")
            clients = {}
            for name, server in (("parts", parts), ("whole", whole)):
                bedrock.reply(*steps)
                command = [python, str(client), server.address, str(server.process.pid)]
                clients[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            printed = {name: each.communicate()[0] for name, each in clients.items()}
    if any(each.returncode for each in clients.values()):
        sys.exit("A stream failed.")
    return {name: summarize(json.loads(each), places) for name, each in printed.items()}


def summarize(received: list[list[float]], places: list[int]) -> dict[str, float]:
    """Return bytes and milliseconds of processor time: in all, and per token early and late."""

    def reach(token: int) -> list[float]:
        return next(each for each in received if places[int(each[0])] >= token)

    figures = {
        "bytes": received[-1][1],
        "milliseconds": 1000 * (received[-1][2] - received[0][2]),
    }
    for name, first in (("early", 200), ("late", TOKENS - WINDOW - 20)):
        begun, ended = reach(first), reach(first + WINDOW)
        tokens = places[int(ended[0])] - places[int(begun[0])]
        figures[f"bytes {name}"] = (ended[1] - begun[1]) / tokens
        figures[f"milliseconds {name}"] = 1000 * max(LEAST, ended[2] - begun[2]) / tokens
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    parts, whole = figures["parts"], figures["whole"]
    rows = []
    for key, unit, digits in (("bytes", "bytes", 0), ("milliseconds", "processor time, ms", 2)):
        ratio = parts[key] / whole[key]
        aim, met = "", ""
        if key == "bytes":
            aim, met = "at most 0.2 of it", "yes" if ratio <= 0.2 else "no"
        rows.append(
            f"| {unit}, in all | {parts[key]:,.0f} | {whole[key]:,.0f} | {ratio:.2f} | {aim} "
            f"| {met} |"
        )
        for name, words in (("early", "around token 400"), ("late", f"at token {TOKENS:,}")):
            mine, others = parts[f"{key} {name}"], whole[f"{key} {name}"]
            rows.append(
                f"| {unit}, per token {words} | {mine:,.{digits}f} | {others:,.{digits}f} "
                f"| {mine / others:.2f} | | |"
            )
        mine, others = (each[f"{key} late"] / each[f"{key} early"] for each in (parts, whole))
        met = "yes" if mine <= 1.25 else "no"
        rows.append(
            f"| {unit}, at token {TOKENS:,} ÷ around token 400 | {mine:.2f} | {others:.2f} "
            f"| {mine / others:.2f} | at most 1.25 in parts | {met} |"
        )
    return "\n".join(rows)


def main() -> None:
    argparse.ArgumentParser(prog="dev.py benchmark stream", description=__doc__).parse_args()
    figures = measure()
    words = {
        "machine": f"{os.cpu_count()} cores, {report.system()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "table": table(figures),
        "tokens": TOKENS,
        "token": TOKEN,
        "pace": 1 / PACE,
        "window": WINDOW,
    }
    docs = ROOT / "docs"
    (docs / "stream.json").write_text(json.dumps(figures, indent=2) + "\n")
    (docs / "stream.md").write_text(TEXT.format(**words))
    print(words["table"])


if __name__ == "__main__":
    main()
