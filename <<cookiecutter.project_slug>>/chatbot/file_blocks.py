"""The files of a conversation as Converse wants them, with names that it never refuses."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chatbot.conversations import Turn
from chatbot.file_kinds import MEGABYTE, File, FileLimits, to_text
from chatbot.models import Message, Model, ModelError
from chatbot.storage import StorageError

Load = Callable[[str], bytes]  # from the hash of a content to the content; raises StorageError

LENGTH = 200  # characters of a name
LOOK_EVERY = 0.2  # seconds until who waits for memory looks if it is still wanted
_LOST = ("attachment_missing", "attachment_damaged")


@dataclass
class Blocks:
    """The files that a model is sent.

    by_turn: Converse's blocks, by the turns' ids.
    left_out: how many files there was no room for, or that the model does not take.
    missing: how many files can't be read any more.
    """

    by_turn: dict[str, list[Message]] = field(default_factory=dict)
    left_out: int = 0
    missing: int = 0


def name_documents(files: Sequence[File]) -> list[str]:
    """Return the name under which a model is sent each file.

    Converse takes letters, digits, single spaces, hyphens, brackets and underscores, and each name
    once in a conversation, whatever the kind. A name depends only on the files before it, so it
    stays the same while the conversation grows: otherwise no cache would know what comes behind it.
    """
    taken: set[str] = set()
    names = []
    for file in files:
        stem = file.name.rpartition(".")[0] or file.name
        plain = " ".join(re.sub(r"[^A-Za-z0-9()\[\]_-]+", " ", stem).split())
        plain = plain if re.search("[A-Za-z0-9]", plain) else "file"
        name, number = plain[:LENGTH].strip(), 1
        while name.lower() in taken:
            number += 1
            ending = f" {number}"
            name = plain[: LENGTH - len(ending)].strip() + ending
        taken.add(name.lower())
        names.append(name)
    return names


def make_blocks(turns: Sequence[Turn], sent: int, model: Model, load: Load) -> Blocks:
    """Return the files of the newest turns, as many of these as are sent.

    If there are more than the model takes, the oldest are left out, and a text says so to it.
    Raises ModelError if the storage fails.
    """
    blocks = Blocks()
    names = iter(name_documents([file for turn in turns for file in turn.files]))
    named = {turn.id: [(file, next(names)) for file in turn.files] for turn in turns}
    chosen = _choose([turn.files for turn in turns[-sent:]], model.files)
    for turn, places in zip(turns[-sent:], chosen, strict=True):
        if turn.files:
            made = blocks.by_turn[turn.id] = []
            for number, (file, name) in enumerate(named[turn.id]):
                made += _make(file, name, number in places, blocks, load)
    return blocks


def _choose(files: Sequence[Sequence[File]], limits: FileLimits) -> list[set[int]]:
    """Return which files of each turn are sent: the newest ones, as far as the limits reach."""
    room = {True: limits.images, False: limits.count}
    size = limits.total_megabytes * MEGABYTE
    chosen: list[set[int]] = [set() for _ in files]
    for turn in reversed(range(len(files))):
        for number in reversed(range(len(files[turn]))):
            file = files[turn][number]
            if file.kind not in limits.kinds or file.size > limits.limit_of(file.kind) * MEGABYTE:
                continue
            if room[file.is_image] and file.size <= size:
                room[file.is_image] -= 1
                size -= file.size
                chosen[turn].add(number)
            else:  # so that it is always the oldest that are left out
                room[file.is_image] = 0
    return chosen


def _make(file: File, name: str, is_sent: bool, blocks: Blocks, load: Load) -> Iterator[Message]:
    """Yield the blocks for a file: itself, and a text where the model has to know more."""
    if not is_sent:
        blocks.left_out += 1
        yield {"text": f"[The file {file.name} was attached here, but is not sent.]"}
        return
    try:
        content = load(file.hash)
    except StorageError as error:
        if error.code not in _LOST:
            raise ModelError("files", error=error.code) from error
        blocks.missing += 1
        yield {"text": f"[The file {file.name} was attached here, but is lost.]"}
        return
    if len(content) != file.size:  # somebody else wrote the record
        blocks.missing += 1
        return
    if file.is_image:
        yield {"image": {"format": file.kind, "source": {"bytes": content}}}
        return
    if name != file.name.rpartition(".")[0]:
        yield {"text": f"[The document {name} is the file {file.name}.]"}
    text = to_text(content) if file.kind in ("csv", "html", "txt", "md") else None
    content = content if text is None else text.encode()
    yield {"document": {"format": file.kind, "name": name, "source": {"bytes": content}}}


class Memory:
    """How many bytes of files may be on their way to models at once.

    On its way, a request is in memory several times: as it is kept, in base64, and as it is sent.
    A small task would be ended for that, with all that it does for other people.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def take(self, size: int, is_given_up: Callable[[], bool]) -> bool:
        """Wait until there is room; return whether there is, unless it is given up.

        A request that is larger than the limit gets its room when there is no other.
        """
        with self._changed:
            while self._used and self._used + size > self._limit:
                if is_given_up():
                    return False
                self._changed.wait(LOOK_EVERY)
            self._used += size
        return True

    def give_back(self, size: int) -> None:
        """Let the next ones have the room."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


memory = Memory(30 * MEGABYTE)


def count_bytes(turns: Sequence[Turn], model: Model) -> int:
    """Return how many bytes of files `make_blocks` would have of these turns."""
    files = [turn.files for turn in turns]
    chosen = _choose(files, model.files)
    return sum(files[turn][each].size for turn, places in enumerate(chosen) for each in places)
