"""A server with the processor time of a small task, and what the load balancer sees of it."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from urllib.error import URLError
from urllib.request import urlopen

from support.projects import Project, clean_environment
from support.serving import free_port
from support.waiting import wait_until_healthy

GROUP = Path("/sys/fs/cgroup/cpu/chatbot-benchmark")  # of Linux's control groups, version 1
GROUP_2 = Path("/sys/fs/cgroup/chatbot-benchmark")  # version 2
PERIOD = 100_000  # microseconds in which a group may use its share
TICKS = os.sysconf("SC_CLK_TCK")  # of a process's CPU time, a second
ASK_EVERY = 0.2  # seconds between two health checks
PATIENCE = 300  # seconds
ENVIRONMENT = {  # as in the image
    "PYTHONDONTWRITEBYTECODE": "1",
    "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",
    "STREAMLIT_BROWSER_SERVER_ADDRESS": "localhost",
}


@dataclass
class Server:
    """A server with a limited share of a processor, from its start to its end.

    health: how long each health check took, in seconds.
    """

    address: str
    process: int
    health: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, line: str = "VmRSS") -> float:
        """Return the server's resident memory in MiB; "VmHWM" is the most that it ever was."""
        status = Path(f"/proc/{self.process}/status").read_text().splitlines()
        [value] = [each for each in status if each.startswith(line)]
        return int(value.split()[1]) / 1024


@contextmanager
def share_of_processor(cpus: float) -> Iterator[list[str]]:
    """Make a group of processes with so many processors; yield the words that enter it."""
    first = GROUP.parent.is_dir()
    group = GROUP if first else GROUP_2
    group.mkdir(exist_ok=True)
    quota = int(cpus * PERIOD)
    if first:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    else:
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
    try:
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        group.rmdir()


@contextmanager
def serve(project: Project, script: Path | str, cpus: float, **own: str) -> Iterator[Server]:
    """Serve a script with so many processors until the block ends, asking for its health.

    own: what its environment has besides.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    python = str(project.path / ".venv" / "bin" / "python")
    with share_of_processor(cpus) as words:
        command = [*words, python, "-m", "streamlit", "run", str(script)]
        process = subprocess.Popen(
            [*command, f"--server.port={port}", "--server.headless=true"],
            cwd=project.path,
            env=clean_environment() | ENVIRONMENT | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            wait_until_healthy(address, process)
            server = Server(address, process.pid)
            with _health_checks(server):
                yield server
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _health_checks(server: Server) -> Iterator[None]:
    enough = Event()

    def ask() -> None:
        while not enough.wait(ASK_EVERY):
            begun = time.perf_counter()
            try:
                with urlopen(f"{server.address}/_stcore/health", timeout=PATIENCE) as answer:
                    answer.read()
            except URLError:
                pass  # what it took is what counts
            server.health.append(time.perf_counter() - begun)

    asking = Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        enough.set()
        asking.join()
