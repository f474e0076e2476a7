"""Quiet rounds: those during which hardly anything else uses this machine's processors."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

LIMIT = 0.05  # share of all processors that others may use during a round
TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds

Figures = TypeVar("Figures")


@dataclass(frozen=True)
class Rounds(Generic[Figures]):
    """The rounds that count, how many were thrown away, and how many of the rest were loud."""

    figures: list[Figures]
    thrown_away: int
    loud: int


def measure_in_quiet(wanted: int, measure_round: Callable[[], Figures]) -> Rounds[Figures]:
    """Measure until so many rounds were quiet, but at most half as many more; keep the quietest."""
    rounds: list[tuple[float, Figures]] = []
    while len(rounds) < 3 * wanted // 2 and sum(load <= LIMIT for load, _ in rounds) < wanted:
        begun, before = time.monotonic(), seconds_of_others()
        figures = measure_round()
        passed, used = time.monotonic() - begun, seconds_of_others() - before
        rounds.append((used / passed / (os.cpu_count() or 1), figures))
    rounds.sort(key=lambda each: each[0])
    kept, rest = rounds[:wanted], rounds[wanted:]
    loud = sum(load > LIMIT for load, _ in kept)
    return Rounds([figures for _, figures in kept], len(rest), loud)


def seconds_of_others() -> float:
    """Return the processor time that was not used by this process and its descendants.

    It counts from an unknown moment, so only differences mean something.
    """
    line = Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _idle, _waiting, _irq, _softirq, stolen = map(int, line.split()[1:9])
    return (user + nice + system + stolen - ticks_of_ours()) * TICK


def ticks_of_ours() -> int:
    """Return the time of this process and its descendants, with those that have ended."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(") ")[2].split()
        except OSError:  # it has ended
            continue
        process = int(file.parent.name)
        children.setdefault(int(fields[1]), []).append(process)
        ticks[process] = sum(map(int, fields[11:15]))
    found, total = [os.getpid()], 0
    while found:
        process = found.pop()
        found += children.get(process, [])
        total += ticks.get(process, 0)
    return total
