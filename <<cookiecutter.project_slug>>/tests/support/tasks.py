"""Two tasks that serve the page, as `streamlit run server.py` does, and a browser made of tests."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import cycle
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from chatbot.settings import ROOT

START = 60  # seconds


@contextmanager
def running_tasks(environment: Mapping[str, str], count: int = 2) -> Iterator[list[int]]:
    """Run tasks with these variables until the block ends; yield their ports."""
    ports = [_free_port() for _ in range(count)]
    tasks = [start_task(port, environment) for port in ports]
    try:
        for port, task in zip(ports, tasks, strict=True):
            _wait_until_healthy(port, task)
        yield ports
    finally:
        for task in tasks:
            task.kill()
            task.wait()


def start_task(port: int, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.address=127.0.0.1"]
    return subprocess.Popen(
        [*command, f"--server.port={port}", "--server.fileWatcherType=none"],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_until_healthy(port: int, task: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        assert task.poll() is None, task.stdout and task.stdout.read()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_stcore/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("The task does not get healthy.")


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of headers are in lower case."""

    status: int
    body: str
    headers: Mapping[str, str]
    set_cookies: list[str]

    @property
    def location(self) -> str:
        return self.headers.get("location", "")


@dataclass
class Browser:
    """Sends each request to the next task, as a balancer without stickiness does; keeps cookies.

    address: where the chatbot is, for the browser.
    """

    address: str
    ports: list[int]
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._turns = cycle(self.ports)

    def get(self, path: str, method: str = "GET", body: bytes = b"", **more: str) -> Answer:
        """Send a request; an underscore in a header's name stands for a hyphen."""
        host = urlsplit(self.address).netloc
        headers = {"host": host, "cookie": self.cookie}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        connection = http.client.HTTPConnection("127.0.0.1", next(self._turns), timeout=20)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        lines = response.headers.get_all("set-cookie") or []
        for line in lines:
            for name, morsel in SimpleCookie(line).items():
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        received = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, response.read().decode(), received, lines)
        connection.close()
        return answer

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def ask_provider(self, location: str) -> str:
        """Go where a redirect leads to; return where the provider leads to, within the chatbot."""
        url = urlsplit(location)
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
        connection.request("GET", f"{url.path}?{url.query}")
        leads_to = connection.getresponse().headers["location"]
        connection.close()
        return leads_to.removeprefix(self.address)

    def begin(self, query: str = "") -> str:
        """Click "Sign in"; return where the provider leads to."""
        login = self.get(f"/sign-in{query}").location
        return self.ask_provider(self.get(login).location)

    def sign_in(self, query: str = "") -> Answer:
        """Sign in; return the last answer, whose location is the page."""
        return self.get(self.begin(query))

    def connect(self, **changed: str) -> ClientConnection:
        """Open the page's WebSocket, as its script does."""
        if "_streamlit_xsrf" not in self.cookies:
            self.get("/_stcore/health")
        port = next(self._turns)
        return connect(
            f"{self.address.replace('http', 'ws', 1)}/_stcore/stream",
            sock=socket.create_connection(("127.0.0.1", port)),
            ssl=None,
            origin=Origin(changed.get("origin", self.address))
            if "no_origin" not in changed
            else None,
            subprotocols=[
                Subprotocol("streamlit"),
                Subprotocol(self.cookies.get("_streamlit_xsrf", "none")),
            ],
            additional_headers={"cookie": self.cookie},
            user_agent_header=None,
            max_size=None,
        )

    def page(self, query: str = "") -> str:
        """Run the page, and return all that it draws."""
        with self.connect() as stream:
            return run(stream, query)


def run(stream: ClientConnection, query: str = "") -> str:
    """Run the page over its WebSocket, and return all that it draws."""
    message = BackMsg()
    message.rerun_script.query_string = query
    stream.send(message.SerializeToString())
    return "".join(drawn(stream))


def ask(stream: ClientConnection, page: str, prompt: str) -> None:
    """Send a message with the input of a page that was drawn."""
    message = BackMsg()
    [box] = re.findall(r'chat_input \{\s*id: "([^"]*)"', page)
    message.rerun_script.widget_states.widgets.add(id=box).chat_input_value.data = prompt
    stream.send(message.SerializeToString())


def drawn(stream: ClientConnection) -> Iterator[str]:
    """Yield what a run of the page draws, until it ends."""
    while True:
        received = ForwardMsg.FromString(stream.recv(timeout=20, decode=False))
        if received.HasField("delta"):
            yield str(received.delta)
        if received.HasField("script_finished"):
            return
