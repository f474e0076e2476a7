"""Two tasks behind a real balancer over one folder, as in the cloud."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from support.browsing import hostname_of
from support.projects import Project
from support.serving import Server, free_port, start, unshare
from support.waiting import wait_until_healthy

HAPROXY = shutil.which("haproxy")
TASKS = ("task-one", "task-two")
SERVED_BY = "served-by"  # the cookie of a browser whose pages a certain task shall serve


class Cluster:
    """Two tasks and their balancer.

    address: the balancer's, where people go.
    folder: where the tasks keep the sessions.
    environment: the tasks' variables, when they start.
    """

    def __init__(self, project: Project, folder: Path, environment: Mapping[str, str]) -> None:
        self._port, self.https_port = free_port(), free_port()
        self.address = f"http://localhost:{self._port}"
        self.folder = folder / "sessions"
        self._project = project
        project.dev("test", "--version")  # makes the environment, which both would make at once
        self.environment = {**environment, "CHATBOT_SESSIONS_DIR": str(self.folder)}
        self._ports = {name: free_port() for name in TASKS}
        self._servers: dict[str, Server] = {}
        self._control = folder

    def start_tasks(self) -> None:
        """Start the tasks that do not run, and wait until all are healthy."""
        for name, port in self._ports.items():
            if name not in self._servers or self._servers[name].process.poll() is not None:
                own_name = unshare("uts", 'hostname "$0" && exec "$@"', name)
                self._servers[name] = start(self._project, port, self.environment, own_name)
        for server in self._servers.values():
            wait_until_healthy(server.address, server.process)

    def signal_task(self, name: str, number: signal.Signals) -> None:
        """Send the signal to a task; wait for its end if it is one that ends it."""
        process = self._servers[name].process
        process.send_signal(number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            process.wait(20)

    def process_of(self, name: str) -> subprocess.Popen[str]:
        """Return the process of a task."""
        return self._servers[name].process

    def other_than(self, page: Page) -> str:
        """Return the name of the task that does not serve the page."""
        [name] = set(TASKS) - {hostname_of(page)}
        return name

    def stop(self) -> None:
        for server in self._servers.values():
            server.process.kill()
            server.process.wait()

    @contextmanager
    def balanced(
        self,
        sticky: bool,
        target_group: Mapping[str, Any] | None = None,
        certificate: Path | None = None,
    ) -> Iterator[None]:
        """Run the balancer, with or without stickiness, until the block ends.

        The cookie SERVED_BY names the task that serves a browser's pages. Without stickiness, that
        is the one with the WebSocket; all other requests take their turns.

        target_group: the properties of the one on AWS, which the balancer then behaves like.
        certificate: a file with one, and its key; with it, https_port answers, as CloudFront does.
        """
        text = self._project.read("infra/haproxy.cfg")
        if not sticky:
            text = re.sub(r"\n *cookie .*", "", text)
        if certificate:
            text = text.replace(
                'bind "${LISTEN}"\n',
                f'bind "${{LISTEN}}"\n    bind 127.0.0.1:{self.https_port} ssl crt {certificate}\n'
                "    http-request set-header CloudFront-Forwarded-Proto https if { ssl_fc }\n"
                "    http-request del-header Cookie if { ssl_fc } { path_beg /static/ }\n",
            )
        if target_group:
            text = behaving_as_on_aws(text, target_group)
        for number, name in enumerate(TASKS, start=1):
            wanted = f"use-server task-{number} if {{ req.cook({SERVED_BY}) {name} }}"
            text += f"    {wanted}\n" if sticky else f"    {wanted} {{ path /_stcore/stream }}\n"
        configuration = self._control / "haproxy.cfg"
        configuration.write_text(text)
        one, two = (f"127.0.0.1:{each}" for each in self._ports.values())
        places = {"LISTEN": f"127.0.0.1:{self._port}", "TASK_1": one, "TASK_2": two}
        haproxy = subprocess.Popen(
            [str(HAPROXY), "-q", "-db", "-f", configuration], env=os.environ | places, text=True
        )
        try:
            wait_until_healthy(self.address, haproxy)
            yield
        finally:
            haproxy.terminate()
            haproxy.wait(20)


def behaving_as_on_aws(configuration: str, target_group: Mapping[str, Any]) -> str:
    """Return haproxy's configuration with the health checks of AWS's load balancer.

    That one lets the connections of an unhealthy task go on, and sends a request to one task only.
    """
    get = target_group.__getitem__
    checks = (
        f"check inter {get('HealthCheckIntervalSeconds')}s fall {get('UnhealthyThresholdCount')}"
        f" rise {get('HealthyThresholdCount')}"
    )
    for pattern, replacement in (
        (r"httpchk GET \S+", f"httpchk GET {get('HealthCheckPath')}"),
        (r"timeout check .*", f"timeout check {get('HealthCheckTimeoutSeconds')}s"),
        (r"default-server .*", f"default-server {checks}"),
        (r" *option redispatch 1\n", ""),
        (r" *retry-on .*\n", ""),
        (r"retries \d+", "retries 0"),
    ):
        configuration, changed = re.subn(pattern, replacement, configuration)
        assert changed == 1, pattern
    return configuration
