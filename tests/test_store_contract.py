"""What the store promises to tasks on two machines that share a folder.

MOUNT_A and MOUNT_B name the folder as each machine sees it; test_store_on_nfs.py sets them. Without
them, both are one folder of this machine.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.paths import TEMPLATE

CLIENT = Path(__file__).parent / "support" / "store_client.py"
CONVERSATION = "20261124T090000000000-00000000"
# On NFS a call takes fifty times as long; without its lock, a tenth of the appends is lost.
ON_NFS = "MOUNT_A" in os.environ
APPENDS = 500 if ON_NFS else 2500  # of each of four writers
ROUNDS = 20 if ON_NFS else 50  # of what must hold each time


class Side:
    """A task on one of the machines."""

    def __init__(self, root: Path, key: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-B", CLIENT, root, key],
            env=os.environ | {"PYTHONPATH": str(TEMPLATE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, *command: Any) -> None:
        """Have it do something, without waiting for it."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        """Wait for what it does, and return what that returned."""
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def do(self, *command: Any) -> Any:
        self.begin(*command)
        return self.end()


NewSide = Callable[[str], Side]


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    local = str(tmp_path_factory.mktemp("store"))
    return {side: Path(os.environ.get(f"MOUNT_{side}", local)) for side in ("A", "B")}


@pytest.fixture
def new_side(mounts: dict[str, Path]) -> Iterator[NewSide]:
    """Start tasks that share a session which nobody else has."""
    name, key = secrets.token_hex(4), f"k{secrets.token_hex(16)}"
    (mounts["A"] / name).mkdir()
    assert mounts["B"] / name in mounts["B"].iterdir()  # so that it is no news for that machine
    with ExitStack() as stack:

        @contextmanager
        def running(mount: Path) -> Iterator[Side]:
            side = Side(mount / name, key)
            try:
                yield side
            finally:
                side.process.kill()
                side.process.communicate()

        yield lambda side: stack.enter_context(running(mounts[side]))


@pytest.fixture
def a(new_side: NewSide) -> Side:
    return new_side("A")


@pytest.fixture
def b(new_side: NewSide) -> Side:
    return new_side("B")


def test_appends_of_four_writers_on_both_sides_lose_nothing(new_side: NewSide) -> None:
    writers = {name: new_side(name[0].upper()) for name in ("a-", "b-", "aa-", "bb-")}
    for prefix, writer in writers.items():
        writer.begin("append", CONVERSATION, prefix, APPENDS)
    for writer in writers.values():
        assert writer.end() == APPENDS
    orders = [new_side(side).do("read", CONVERSATION) for side in ("A", "B")]
    orders += [writer.do("read", CONVERSATION) for writer in writers.values()]
    prompts = orders[0]["prompts"]
    for prefix in writers:  # each writer's own in the order in which they were written
        own = [prompt for prompt in prompts if prompt.startswith(prefix)]
        assert own == [f"{prefix}{number}" for number in range(APPENDS)]
    assert len(prompts) == len(writers) * APPENDS
    assert all(order == {"prompts": prompts, "missing": False, "damaged": 0} for order in orders)


def test_what_one_side_has_acknowledged_the_other_sees(a: Side, b: Side) -> None:
    for number in range(2 * ROUNDS):
        writer, reader = (a, b) if number % 2 else (b, a)
        writer.do("append", CONVERSATION, f"{number}-", 1)
        assert reader.do("read", CONVERSATION)["prompts"][-1] == f"{number}-0"


def test_a_file_that_was_looked_for_in_vain_is_seen_once_it_is_there(a: Side, b: Side) -> None:
    for number in range(ROUNDS):
        conversation = f"20261124T090000000000-{number:08x}"
        assert b.do("read", conversation)["missing"]
        a.do("append", conversation, "t", 1)
        assert b.do("read", conversation)["prompts"] == ["t0"]
        assert conversation in b.do("list")
    assert b.do("get", "team") is None
    a.do("put", "team", "Sales")
    assert b.do("get", "team") == "Sales"


def test_a_deleted_conversation_is_deleted_on_both_sides(a: Side, b: Side) -> None:
    for number in range(ROUNDS):
        conversation = f"20261124T090000000000-{number:08x}"
        a.do("append", conversation, "t", 1)
        assert not b.do("read", conversation)["missing"]
        a.do("delete", conversation)
        assert b.do("read", conversation)["missing"]
        assert b.do("add", conversation, "late") == {"error": "DeletedError"}
        assert conversation not in b.do("list")
        assert conversation not in a.do("list")


def test_a_file_that_was_replaced_is_read_anew(a: Side, b: Side) -> None:
    """As when somebody brings back a backup."""
    a.do("append", CONVERSATION, "t", 3)
    [file] = a.root.glob(f"*/{CONVERSATION}.jsonl")
    backup = file.read_bytes().splitlines(keepends=True)
    for number in range(ROUNDS):
        assert len(b.do("read", CONVERSATION)["prompts"]) in (1, 2, 3)
        copy = file.with_name("copy")
        copy.write_bytes(b"".join(backup[: number % 3 + 1]))
        copy.rename(file)
        expected = [f"t{line}" for line in range(number % 3 + 1)]
        assert b.do("read", CONVERSATION)["prompts"] == expected
    assert b.do("add", CONVERSATION, "new")
    assert a.do("read", CONVERSATION)["prompts"][-1] == "new"


def test_of_two_that_claim_an_attempt_one_has_it(a: Side, b: Side) -> None:
    a.do("append", CONVERSATION, "t", 1)
    won = []
    for attempt in range(1, 2 * ROUNDS + 1):
        for side in (a, b):
            side.begin("claim", CONVERSATION, "t0", attempt)
        won.append((a.end(), b.end()))
    assert set(won) <= {(True, False), (False, True)}


def test_both_sides_delete_at_once(a: Side, b: Side) -> None:
    for number in range(ROUNDS):
        conversation = f"20261124T090000000000-{number:08x}"
        a.do("append", conversation, "t", 1)
        b.do("read", conversation)
        for side in (a, b):
            side.begin("delete", conversation)
        assert (a.end(), b.end()) == (None, None)
        assert a.do("list") == b.do("list") == []


def test_values_and_attachments_are_seen_on_the_other_side(a: Side, b: Side) -> None:
    for number in range(ROUNDS):
        a.do("put", "count", number)
        assert b.do("get", "count") == number
        b.do("put", "other", [number])
        assert a.do("get", "other") == [number]
    name = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    assert b.do("attachment", name) == {"error": "AttachmentError"}
    assert a.do("attach", "hello world") == name
    assert b.do("attachment", name) == "hello world"


def test_a_removed_conversation_and_a_deleted_file_are_gone_for_the_other_side_at_once(
    a: Side, b: Side
) -> None:
    a.do("append", CONVERSATION, "a", 1)
    kept = b.do("attach", "Hello")
    assert not b.do("is_removed", CONVERSATION) and b.do("has_attachment", kept)
    a.do("remove", CONVERSATION)
    assert b.do("is_removed", CONVERSATION)
    a.do("delete_attachment", kept)
    assert not b.do("has_attachment", kept)


def test_everything_is_deleted_and_the_session_goes_on(a: Side, b: Side) -> None:
    for number in range(ROUNDS // 5):
        a.do("append", CONVERSATION.replace("09", f"{number:02}"), "t", 1)
        a.do("put", "team", "Sales")
        a.do("attach", "hello")
        assert b.do("get", "team") == "Sales"
        b.do("delete_everything")
        assert a.do("list") == []
        assert a.do("get", "team") is None
        assert [each.name for each in b.root.iterdir()] == [".deleted"]


def test_one_side_sweeps(a: Side, b: Side) -> None:
    a.do("append", CONVERSATION, "t", 1)
    for side in (a, b):
        side.begin("sweep")
    assert sorted([a.end(), b.end()], key=str) == [0, None]


def test_the_lock_of_a_task_that_died_does_not_stay(a: Side, b: Side, new_side: NewSide) -> None:
    a.do("append", CONVERSATION, "t", 1)
    for side in ("A", "B"):
        dying = new_side(side)
        dying.do("hold", CONVERSATION)
        b.begin("add", CONVERSATION, f"after-{side}")
        dying.process.kill()
        assert b.end() is True
    assert a.do("read", CONVERSATION)["prompts"] == ["t0", "after-A", "after-B"]


def test_a_lock_that_is_never_given_back_is_told(a: Side, b: Side, new_side: NewSide) -> None:
    a.do("append", CONVERSATION, "t", 1)
    holder = new_side("A")
    holder.do("hold", CONVERSATION)
    b.do("lose_patience")
    assert b.do("add", CONVERSATION, "refused") == {"error": "StorageError"}
    holder.process.kill()
    assert b.do("add", CONVERSATION, "again") is True
    assert a.do("read", CONVERSATION)["prompts"] == ["t0", "again"]
