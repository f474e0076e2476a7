"""What saving a turn costs: `python store.py FOLDER` prints it as JSON. Standard library only.

A turn is a prompt and an answer that takes a second; this template saves the answer in four pieces.
"""

import json
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chatbot.conversations import new_conversation_id
from chatbot.identity import new_key, session_folder
from chatbot.records import Claim, End, Prompt, Record, Text
from chatbot.sessions import Session

TEXT = "x" * 500  # characters of a message
NEWEST = "This is the newest message."  # how the last message begins
PIECES = 4  # the template saves four times a second
REPETITIONS = 15

Figures = dict[str, float]


def records(turn: str, answer: str = TEXT) -> list[Record]:
    """Return the records of a turn, in the order in which they are written."""
    size = len(answer) // PIECES
    pieces = [Text(turn, 1, answer[each * size :][:size]) for each in range(PIECES)]
    return [
        Prompt(turn, TEXT, "nova-2-lite"),
        Claim(turn, 1, "host/00000000", "nova-2-lite"),
        *pieces,
        End(turn, 1, "complete", "end_turn"),
    ]


def newest() -> str:
    """Return the last message, which is as long as the others."""
    return NEWEST + TEXT[len(NEWEST) :]


def seed(root: Path, key: str, messages: int) -> None:
    """Create a session with one conversation of that many messages."""
    conversation = Session(session_folder(root, key)).conversation(new_conversation_id())
    answers = [TEXT] * (messages // 2 - 1) + [newest()]
    lines = [line for turn, text in enumerate(answers) for line in records(f"t{turn}", text)]
    conversation.update(lambda: lines, create=True)


def save_turn(root: Path, messages: int) -> Callable[[int], None]:
    """Return a function that saves a turn as this template does, given the turn's number."""
    key = new_key()
    seed(root, key, messages)
    session = Session(session_folder(root, key))
    conversation = session.conversation(session.conversations()[0].id)
    conversation.refresh()

    def save(number: int) -> None:
        prompt, claim, *pieces, last, end = records(f"new-{number}")
        for lines in ([prompt, claim], *([piece] for piece in pieces), [last, end]):
            conversation.update(lambda lines=lines: lines)  # type: ignore[misc]

    return save


def seed_baseline(file: Path, messages: int) -> None:
    roles = ("user", "assistant")
    # Each text is a new object, because pickle stores repeated objects as references.
    texts = [*(f"{number:05}{TEXT[5:]}" for number in range(messages - 1)), newest()]
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps({"messages": said}))


def save_turn_in_baseline(root: Path, messages: int) -> Callable[[int], None]:
    """Return a function that saves a turn as the baseline does: loads all, and saves all."""
    file = root / "baseline" / f"{messages}.pickle"
    seed_baseline(file, messages)

    def save(_number: int) -> None:
        state = pickle.loads(file.read_bytes())
        state["messages"] += [{"role": role, "content": TEXT} for role in ("user", "assistant")]
        file.write_bytes(pickle.dumps(state))

    return save


def measure(save: Callable[[int], None]) -> Figures:
    """Return the bytes read and written by a turn, and its median time in milliseconds."""
    save(0)
    before, times = bytes_moved(), []
    for number in range(1, REPETITIONS + 1):
        begun = time.perf_counter()
        save(number)
        times.append(time.perf_counter() - begun)
    read, written = (after - was for after, was in zip(bytes_moved(), before, strict=True))
    return {
        "bytes_read": read / REPETITIONS,
        "bytes_written": written / REPETITIONS,
        "milliseconds": 1000 * statistics.median(times),
    }


def bytes_moved() -> tuple[int, int]:
    """Return how many bytes this process has read and written through system calls."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"]), int(lines["wchar"])


def main(root: Path, sizes: list[int]) -> None:
    apps = {"template": save_turn, "baseline": save_turn_in_baseline}
    results = {
        app: {messages: measure(prepare(root, messages)) for messages in sizes}
        for app, prepare in apps.items()
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(os.environ.get("MOUNT_A", sys.argv[1])), [int(size) for size in sys.argv[2:]])
