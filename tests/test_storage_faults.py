"""What people see when the storage has a fault, and when it is well again."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.bedrock import bedrock_environment
from support.browsing import (
    SCREENSHOTS,
    expect_texts,
    messages,
    needs_browser,
    open_page,
    prompt_box,
    say,
    sidebar,
)
from support.projects import Project
from support.serving import free_port, serve, unshare
from support.waiting import is_healthy, wait_until

pytestmark = needs_browser
NAMESPACES = subprocess.run(unshare("mount", "true"), capture_output=True).returncode == 0
STRACE = shutil.which("strace")
MOUNT = 'mount -t tmpfs -o size=512k tmpfs "$0" && mkdir "$0/sessions" && exec "$@"'
CAREFUL = " ".join(["My careful words, too many for the last block of a full disk."] * 100)


class Storage:
    """A small file system that only the chatbot has mounted, and what happens to it."""

    def __init__(self, address: str, process: int, place: Path) -> None:
        self.address = address
        self.process = process
        self._place = place
        self.folder = Path(f"/proc/{process}/root") / place.relative_to("/")

    @contextmanager
    def missing(self) -> Iterator[None]:
        (self.folder / "sessions").rename(self.folder / "away")
        yield
        (self.folder / "away").rename(self.folder / "sessions")

    @contextmanager
    def read_only(self) -> Iterator[None]:
        self._remount("ro")
        yield
        self._remount("rw")

    @contextmanager
    def full(self) -> Iterator[None]:
        filler = self.folder / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", 0) as file:
            while True:
                file.write(bytes(1024))
        yield
        filler.unlink()

    def _remount(self, option: str) -> None:
        enter = ["nsenter", "-t", str(self.process), "-m", "--"]
        subprocess.run([*enter, "mount", "-o", f"remount,{option}", self._place], check=True)

    @contextmanager
    def delayed(self, microseconds: int) -> Iterator[None]:
        """Delay each of the chatbot's calls to its files by so much."""
        calls = "flock,pread64,pwrite64,fsync,openat,mkdir"
        command = [str(STRACE), "-f", "-q", "-o", "/dev/null", "-p", str(self.process)]
        command += ["-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter={microseconds}"]
        for path in [self.folder / "sessions", *(self.folder / "sessions").rglob("*")]:
            command += ["-P", str(self._place / path.relative_to(self.folder))]
        with subprocess.Popen(command) as strace:
            wait_until(lambda: f"TracerPid:\t{strace.pid}" in self._status(), "strace")
            yield
            strace.kill()  # it would wait for those that it delays

    def _status(self) -> str:
        return Path(f"/proc/{self.process}/status").read_text()


@pytest.fixture
def storage(project: Project, tmp_path: Path, bedrock: Any) -> Iterator[Storage]:
    if not NAMESPACES:
        pytest.skip("this machine gives no mount namespaces")
    place = tmp_path / "mounted"
    place.mkdir()
    environment = bedrock_environment(bedrock.url)
    environment["CHATBOT_SESSIONS_DIR"] = str(place / "sessions")
    with serve(project, free_port(), unshare("mount", MOUNT, str(place)), **environment) as server:
        yield Storage(server.address, server.process.pid, place)


def take_picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"fault-{name}.png")


@pytest.mark.parametrize(
    ("fault", "sentence", "readable"),
    [
        ("missing", "is missing", False),
        ("read_only", "can only be read", True),
        ("full", "no room left", True),
    ],
)
def test_a_message_waits_until_it_can_be_kept(
    storage: Storage, visitor: BrowserContext, fault: str, sentence: str, readable: bool
) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Before")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    with getattr(storage, fault)():
        say(page, CAREFUL)
        expect(page.get_by_text(sentence).first).to_be_visible()
        expect(messages(page).last).to_contain_text(CAREFUL)
        prompt_box(page).fill("A draft of the next one")
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text(sentence).first).to_be_visible()
        take_picture(page, fault)
        other = open_page(visitor, page.url)
        for each, count in ((page, 3), (other, 2)):  # what the task has read stays on the page
            expect(messages(each)).to_have_count(count)
            expect(messages(each).nth(0)).to_contain_text("Before")
        expect(sidebar(page).get_by_role("button", name="Before", exact=True)).to_be_visible()
        if not readable:
            expect(other.get_by_text(sentence).first).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(0)).to_contain_text("Before")
    expect(prompt_box(page)).to_have_value("A draft of the next one")
    expect(messages(page).nth(2)).to_contain_text(CAREFUL)
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    expect(page.get_by_text(sentence)).to_have_count(0)
    other.reload()
    expect(messages(other)).to_have_count(4)


def test_a_message_that_could_not_be_saved_outlives_its_page_unless_it_is_discarded(
    storage: Storage, visitor: BrowserContext
) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Before")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    with storage.full():
        say(page, CAREFUL)
        expect(page.get_by_text("no room left").first).to_be_visible()
        page.reload()
        expect(prompt_box(page)).to_have_value(CAREFUL)
        prompt_box(page).press("Enter")
        expect(messages(page)).to_have_count(3)
        page.get_by_role("button", name="Discard").click()
        expect(messages(page)).to_have_count(2)
        say(page, "Another")
        expect(messages(page)).to_have_count(3)
        page.reload()
        expect(prompt_box(page)).to_have_value("Another")
    page.evaluate(SOMEBODY_ELSES)
    page.reload()
    expect(messages(page)).to_have_count(2)
    expect(prompt_box(page)).to_have_value("")
    assert page.evaluate("sessionStorage.getItem('chatbot_sent')") is None
    assert page.evaluate("sessionStorage.getItem('chatbot_drafts')") is None


SOMEBODY_ELSES = """
const sent = [{ text: "Theirs", chat: location.search, before: 0, unsent: false }];
sessionStorage.setItem("chatbot_sent", JSON.stringify({ owner: "another person", sent }));
const drafts = { [new URLSearchParams(location.search).get("chat")]: "Theirs" };
sessionStorage.setItem("chatbot_drafts", JSON.stringify({ owner: "another person", drafts }));
"""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("missing", "is missing"), ("read_only", "can only be read"), ("full", "no room left")],
)
def test_an_answer_waits_for_the_storage(
    storage: Storage, visitor: BrowserContext, bedrock: Any, fault: str, sentence: str
) -> None:
    more = Event()
    bedrock.reply("Once upon ", more, "a time. " + "x" * 8000)
    page = open_page(visitor, storage.address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("Once upon")
    with getattr(storage, fault)():
        more.set()
        expect(page.get_by_text(sentence).first).to_be_visible()
        expect(page.get_by_text("as soon as it can be saved")).to_be_visible()
        expect(messages(page).nth(1)).to_contain_text("Once upon")
        take_picture(page, f"{fault}-in-answer")
    expect(messages(page).nth(1)).to_contain_text("Once upon a time.")
    expect(page.get_by_text(sentence)).to_have_count(0)
    assert len(bedrock.requests) == 1


def test_a_full_disk_can_be_relieved_by_deleting(storage: Storage, visitor: BrowserContext) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Old " + "words " * 5000)
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    with storage.full():
        page.locator("[class*=st-key-menu-] button").first.click()
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(messages(page)).to_have_count(0)
        say(page, "New words")
        expect(messages(page).nth(1)).to_contain_text("An answer.")


@pytest.mark.skipif(STRACE is None, reason="Debian's package strace is not installed")
def test_a_slow_storage_is_no_obstacle(storage: Storage, visitor: BrowserContext) -> None:
    with storage.delayed(2_000):
        page = open_page(visitor, storage.address)
        for number in range(3):
            say(page, f"Message {number}")
            expect(messages(page).nth(2 * number + 1)).to_contain_text("An answer.")
        page.reload()
        expect(messages(page)).to_have_count(6)


@pytest.mark.skipif(STRACE is None, reason="Debian's package strace is not installed")
def test_nothing_said_while_the_storage_stalls_is_lost(
    storage: Storage, visitor: BrowserContext
) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Before")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    with storage.delayed(60_000_000):
        say(page, "First")
        expect(page.get_by_text("storage of conversations is slow")).to_be_visible()
        say(page, "Second")
        assert is_healthy(storage.address)
        expect(page.get_by_text("storage of conversations is slow")).to_be_visible()
        take_picture(page, "stalled")
    expect(messages(page)).to_have_count(6)
    expect(messages(page).nth(5)).to_contain_text("An answer.")
    expect(page.get_by_text("storage of conversations is slow")).to_have_count(0)
    page.reload()
    expect(messages(page).nth(5)).to_contain_text("An answer.")
    answered = ["Before", "An answer.", "First", "An answer.", "Second", "An answer."]
    expect_texts(messages(page), *answered)


def test_what_can_be_read_is_shown_and_nothing_is_overwritten(
    storage: Storage, visitor: BrowserContext
) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Before")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    [file] = (storage.folder / "sessions").glob("*/2*.jsonl")
    newer = json.dumps({"v": 3, "at": "2030-01-01T00:00:00+00:00", "type": "hologram"})
    damaged = b'\xff\xfe\x00 not JSON\n[1, 2]\n{"v": 1, "type": "prompt"}\n'
    torn = b'{"v":1,"at":"2026-11-24T09:00:00+00:00","type":"prompt","turn":"t9","text":"Half a li'
    with file.open("ab") as conversation:
        conversation.write(damaged + newer.encode() + b"\n" + torn)
    foreign = file.with_name("notes.txt"), file.parent.parent / "lost+found"
    for each in foreign:
        each.write_text("not ours")
    before = file.read_bytes()
    page.reload()
    expect(messages(page)).to_have_count(2)
    expect(page.get_by_text("3 damaged lines")).to_be_visible()
    expect(page.get_by_text("newer version")).to_be_visible()
    take_picture(page, "damaged")
    say(page, "After")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    page.reload()
    expect(messages(page)).to_have_count(4)
    expect(messages(page).filter(has_text="Half a li")).to_have_count(0)
    assert file.read_bytes().startswith(before)
    assert [each.read_text() for each in foreign] == ["not ours", "not ours"]


def test_a_conversation_of_which_nothing_can_be_read_is_told_and_kept(
    storage: Storage, visitor: BrowserContext
) -> None:
    page = open_page(visitor, storage.address)
    say(page, "Before")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    [file] = (storage.folder / "sessions").glob("*/2*.jsonl")
    file.write_bytes(b"\0" * 5000 + b"\n")
    page.reload()
    expect(page.get_by_text(re.compile("1 damaged line"))).to_be_visible()
    say(page, "After")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    assert file.read_bytes().startswith(b"\0" * 5000 + b"\n")
