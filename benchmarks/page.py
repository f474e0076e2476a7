"""Both apps: serving them, their memory, and what a run of their scripts takes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.store import seed, seed_baseline
from support.browsing import CHROMIUM, FLAGS
from support.paths import BUILD
from support.projects import Project, clean_environment
from support.serving import free_port
from support.waiting import wait_until_healthy

# As in the image; else each run ends with a look at the files of all modules, which takes 0.2 s.
WATCHER = "STREAMLIT_SERVER_FILE_WATCHER_TYPE"
WAIT = 600_000  # milliseconds; a busy machine needs minutes for 5,000 messages


def key_of(messages: int) -> str:
    """Return the key of the session with a conversation of that many messages."""
    return f"k{messages:032x}"


@dataclass(frozen=True)
class App:
    """One of the two apps while it is served: address, process, and folder of its sessions."""

    name: str
    address: str
    process: int
    folder: Path

    def seed(self, messages: int) -> None:
        """Create a session with one conversation of that many messages."""
        key = key_of(messages)
        if self.name == "template":
            seed(self.folder, key, messages)
        else:
            seed_baseline(self.folder / key / "session.pickle", messages)

    def visitor(self, browser: Browser, key: str) -> BrowserContext:
        """Return a browser that has that key where the app looks for it."""
        cookie = {"name": "chatbot_session", "value": key, "url": self.address}
        item = {"name": "session_id", "value": f'{{"session_id": "{key}"}}'}
        origin = {"origin": self.address, "localStorage": [item]}
        state: Any = {"cookies": [], "origins": [origin]}
        context = browser.new_context(storage_state=state)
        context.add_cookies([cookie])  # type: ignore[list-item]
        context.set_default_timeout(WAIT)
        return context

    def memory(self) -> float:
        """Return the resident memory of the server in MiB."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        [line] = [line for line in lines if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024


def python_of(project: Project, name: str) -> Path:
    """Return an app's Python: the project's, or one with everything that pip installs."""
    folder = project.path / ".venv" if name == "template" else BUILD / "baseline-venv"
    return folder / "bin" / "python"


@contextmanager
def serve(project: Project, name: str, folder: Path) -> Iterator[App]:
    """Serve one of the apps with the demo model until the block ends."""
    script = "server.py" if name == "template" else Path(__file__).with_name("baseline.py")
    port = free_port()
    address = f"http://localhost:{port}"
    environment = clean_environment() | {
        "CHATBOT_SESSIONS_DIR": str(folder),
        "CHATBOT_BACKEND": "demo",
        "PYTHONPATH": str(project.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        WATCHER: "none",
    }
    process = subprocess.Popen(
        [python_of(project, name), "-m", "streamlit", "run", script, f"--server.port={port}"],
        cwd=project.path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_healthy(address, process)
        yield App(name, address, process.pid, folder)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def measure_memory(app: App, browser: Browser, counts: list[int]) -> dict[str, float]:
    """Return the server's memory in MiB by number of open sessions, each with one turn."""
    figures = {"0": app.memory()}
    open_sessions = []
    for number in range(1, max(counts) + 1):
        visitor = app.visitor(browser, f"k{number + 10**6:032x}")
        page = visitor.new_page()
        page.goto(app.address)
        box = page.get_by_test_id("stChatInputTextArea")
        box.fill("Hello")
        box.press("Enter")
        # The end of the demo model's answer.
        page.get_by_text("CHATBOT_BACKEND=bedrock").first.wait_for()
        open_sessions.append(visitor)
        if number in counts:
            figures[str(number)] = app.memory()
    for visitor in open_sessions:
        visitor.close()
    return figures


def measure_rerun(project: Project, app: App, messages: int) -> float:
    """Return how many milliseconds the server needs for one run of the page's script."""
    script = project.path / "streamlit_app.py"
    if app.name == "baseline":
        script = Path(__file__).with_name("baseline.py")
    environment = clean_environment() | {
        "CHATBOT_SESSIONS_DIR": str(app.folder),
        "CHATBOT_BACKEND": "demo",
        "PYTHONPATH": str(project.path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ran = subprocess.run(
        [
            python_of(project, app.name),
            Path(__file__).with_name("rerun.py"),
            script,
            key_of(messages),
        ],
        cwd=project.path,
        env=environment,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        sys.exit(f"The page could not be run:\n{ran.stderr}")
    return float(json.loads(ran.stdout)["milliseconds"])
