"""What many chats cost: `python chats.py FOLDER` prints it as JSON. Standard library only.

A person has 1,000 chats of 20 messages, a quarter of them in a language with accents, and one of
1,000 messages. On the smallest task, with a quarter of a processor, all this takes four times as
long as the processor's time.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chatbot import search
from chatbot.conversations import new_conversation_id
from chatbot.identity import new_key, session_folder
from chatbot.sessions import Session, stamp_of

from benchmarks.store import records, seed

CHATS, TURNS = 1_000, 10
REPETITIONS = 9
WORDS = ["Die", "Größe", "der", "Rechnung", "über", "the", "size", "of", "the", "invoice;"]


def seed_chats(root: Path, key: str) -> Session:
    """Create the session."""
    session = Session(session_folder(root, key))
    for number in range(CHATS):
        words = WORDS if number % 4 == 0 else WORDS[5:]
        text = " ".join(words[each % len(words)] for each in range(100))[:500]
        lines = [line for turn in range(TURNS) for line in records(f"t{turn}", text)]
        conversation = session.conversation(new_conversation_id())
        conversation.update(lambda lines=lines: lines, create=True)  # type: ignore[misc]
    return session


def milliseconds(action: Callable[[], object]) -> float:
    """Return how much of the processor's time an action takes, in milliseconds; the median."""
    times = []
    for _ in range(REPETITIONS):
        begun = time.process_time()
        action()
        times.append(time.process_time() - begun)
    return 1000 * statistics.median(times)


def measure(root: Path) -> dict[str, float]:
    session = seed_chats(root, new_key())
    begun = time.process_time()
    chats = session.conversations()
    first_list = 1000 * (time.process_time() - begun)
    begun = time.process_time()
    found = search.find(session, chats, "grosse rechnung")
    first_search = 1000 * (time.process_time() - begun)
    assert len(found) == CHATS // 4
    long_key = new_key()
    seed(root, long_key, 1_000)
    long = Session(session_folder(root, long_key))

    def read_long() -> None:
        long.conversation(long.newest_conversation()).refresh()

    def search_again() -> None:
        search.find(session, session.conversations(), "size invoice")

    def show_matches() -> None:
        for chat in chats[:20]:
            search.show_match(session, chat, "size")

    return {
        "the first list": first_list,
        "each further one": milliseconds(session.conversations),
        "a stamp of what is in it": milliseconds(lambda: stamp_of(chats)),
        "the first search": first_search,
        "each further one, with a list": milliseconds(search_again),
        "where 20 of the chats match": milliseconds(show_matches),
        "reading another chat, of 1,000 messages": milliseconds(read_long),
    }


def main(root: Path) -> None:
    print(json.dumps(measure(root), indent=1))


if __name__ == "__main__":
    main(Path(os.environ.get("MOUNT_A", sys.argv[1])))
