"""Serving a rendered project on a free port, as `python3 dev.py run` does."""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.bedrock import bedrock_environment, stand_in
from support.projects import Project, clean_environment, share_environment
from support.waiting import wait_until_healthy


@dataclass(frozen=True)
class Server:
    """A server that answers at an address."""

    address: str
    process: subprocess.Popen[str]


@dataclass(frozen=True)
class Chatbot:
    """A chatbot that is served, for many tests.

    project: what is served.
    folder: of everybody's sessions.
    bedrock: what stands in for Bedrock.
    """

    address: str
    project: Project
    folder: Path
    bedrock: Any


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of so many free ports in a row, below those that connections get.

    One of those may be another process's by the time a server begins.
    """
    while True:
        first = random.randrange(20_000, 30_000)  # noqa: S311
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def unshare(kind: str, *command: str) -> list[str]:
    """Return the words that run a command in a namespace of its own, and what follows them in it.

    The command, for the shell, knows the words after it as "$0" and "$@".
    """
    own = ["unshare", f"--{kind}", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*own, "sh", "-c", *command]


@contextmanager
def serve(
    project: Project, port: int, wrapper: Sequence[str] = (), **environment: str
) -> Iterator[Server]:
    """Serve the project until the block ends."""
    server = start(project, port, environment, wrapper)
    try:
        wait_until_healthy(server.address, server.process)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


@contextmanager
def serve_chatbot(project: Project, folder: Path, **environment: str) -> Iterator[Chatbot]:
    """Serve the project with a stand-in for Bedrock until the block ends."""
    with stand_in.bedrock_stand_in() as bedrock:
        environment = bedrock_environment(bedrock.url) | environment
        environment |= {"CHATBOT_SESSIONS_DIR": str(folder)}
        with serve(project, free_port(), **environment) as server:
            yield Chatbot(server.address, project, folder, bedrock)


def start(
    project: Project, port: int, environment: dict[str, str], wrapper: Sequence[str] = ()
) -> Server:
    """Start to serve the project, with the wrapper's words before the command."""
    share_environment(project.path)
    serve = [sys.executable, "dev.py", "run", f"--port={port}", "--address=127.0.0.1"]
    command = [*wrapper, *serve]
    process = subprocess.Popen(
        command,
        cwd=project.path,
        env=clean_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Server(f"http://localhost:{port}", process)
