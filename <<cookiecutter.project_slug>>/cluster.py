#!/usr/bin/env python3
"""Serve the page with two tasks behind a load balancer, as on AWS, so that you can kill a task.

`python3 cluster.py` needs haproxy. compose.yaml makes the same cluster out of containers.
"""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock, Thread

from dev import (
    ENVIRONMENT,
    REQUIREMENTS,
    ROOT,
    DevError,
    backend_name,
    call,
    check_port,
    make_environment,
    page_command,
    page_environment,
    say,
)

TASKS = 2  # as many as infra/haproxy.cfg lists


class Task:
    """A server of the page that can be killed and started again.

    name: the hostname that the page shows.
    address: where the load balancer connects to it.
    """

    def __init__(
        self, number: int, python: Path, port: int, environment: Mapping[str, str]
    ) -> None:
        self.name = f"task-{number}"
        self.address = f"127.0.0.1:{port}"
        self._command = page_command(python, "127.0.0.1", port)
        self._environment = {**environment, "CHATBOT_HOSTNAME": self.name}
        self._lock, self._stopped = Lock(), False
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints its own address, not the load balancer's
        )

    def wait_until_healthy(self) -> None:
        """Raise DevError if the task ends before it is healthy."""
        wait_until_healthy(self.name, self.address, self._process)

    def kill_or_start(self) -> None:
        """Kill the task if it runs, else start it."""
        with self._lock:
            if self._stopped:
                return
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
                say(f"{self.name} is dead, as if its machine had failed; its number starts it")
            else:
                self._start()
                say(f"{self.name} starts again")

    def stop(self) -> None:
        """Stop the task; it can't be started again."""
        with self._lock:
            self._stopped = True
            self._process.terminate()
            self._process.wait()


def wait_until_healthy(name: str, address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the address answers the health check; raise DevError if the process ends."""
    while process.poll() is None:
        connection = HTTPConnection(address, timeout=1)  # this class uses no proxy
        with suppress(OSError, HTTPException), closing(connection):
            connection.request("GET", "/_stcore/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise DevError(f"{name} has ended. Its output above says why.")


def serve_cluster(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, and kill or start the tasks whose numbers are typed."""
    haproxy = shutil.which("haproxy")
    if haproxy is None:
        raise DevError(
            "The load balancer haproxy is not installed. On Debian and Ubuntu:\n"
            "  sudo apt install haproxy\n"
            "On macOS:\n"
            "  brew install haproxy\n"
            "With Docker or Podman, you don't need it:\n"
            "  docker compose up"
        )
    for port in range(options.port, options.port + TASKS + 1):
        check_port("127.0.0.1", port, "cluster.py")
    python = make_environment(ENVIRONMENT, REQUIREMENTS)
    # SIGHUP is sent when the terminal is closed. Both are handled as Ctrl-C is.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)
    address = f"http://localhost:{options.port}"
    # Both tasks sign cookies with the same secret, so each knows who signed in at the other.
    shared = {"CHATBOT_ADDRESS": address, "STREAMLIT_SERVER_COOKIE_SECRET": secrets.token_hex()}
    environment = shared | page_environment()
    with ExitStack() as running:
        tasks = []
        for number in range(1, TASKS + 1):
            tasks.append(Task(number, python, options.port + number, environment))
            running.callback(tasks[-1].stop)
        addresses = {f"TASK_{number}": task.address for number, task in enumerate(tasks, 1)}
        balancer = subprocess.Popen(
            [haproxy, "-q", "-db", "-f", ROOT / "infra" / "haproxy.cfg"],
            env=os.environ | addresses | {"LISTEN": f"127.0.0.1:{options.port}"},
            stdin=subprocess.DEVNULL,
        )
        running.callback(balancer.terminate)
        for task in tasks:
            task.wait_until_healthy()
        # It finds out about the tasks by its own checks, once a second.
        wait_until_healthy("The load balancer", f"127.0.0.1:{options.port}", balancer)
        model = backend_name(environment)
        say(f"Two tasks behind a load balancer serve on {address} with {model}; Ctrl-C stops them")
        say("The page shows its task. Type that task's number, 1 or 2, and Enter to kill it")
        if sys.stdin and not in_background():
            Thread(target=read_numbers, args=[tasks], daemon=True).start()
        balancer.wait()
        raise DevError("The load balancer has ended. Its output above says why.")


def in_background() -> bool:
    """Return whether this is a background process of the terminal, which reading would suspend."""
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp()


def read_numbers(tasks: Sequence[Task]) -> None:
    """Kill or start the task whose number is typed, until the input ends."""
    by_number = {str(number): task for number, task in enumerate(tasks, 1)}
    for line in sys.stdin:
        number = line.strip()
        if number in by_number:
            by_number[number].kill_or_start()
        elif number:
            say("Type 1 or 2 and Enter to kill that task, or to start it again")


def main() -> None:
    parser = argparse.ArgumentParser(prog="cluster.py", description=__doc__)
    parser.add_argument("--port", type=int, default=8501, help="default: 8501")
    parser.set_defaults(action=serve_cluster)
    call(parser)


if __name__ == "__main__":
    main()
