"""The project's image and compose.yaml, built and run by buildah and podman without a registry."""

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from support.paths import BUILD
from support.waiting import wait_until, wait_until_healthy

FOLDER = BUILD / "containers"  # nothing outside is touched: images, volumes and networks are here
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap", "iptables")
HELPERS = ("/usr/lib/podman/netavark", "/usr/lib/podman/aardvark-dns")
MISSING = [name for name in PROGRAMS if not shutil.which(name)]
MISSING += [Path(path).name for path in HELPERS if not Path(path).exists()]
if os.geteuid() != 0:
    MISSING.append("the rights of root")

SIOCGIFHWADDR, SIOCSIFHWADDR = 0x8927, 0x8924  # of linux/sockios.h
SUBNET = "10.89.77.0/24"
GATEWAY = "10.89.77.1"  # this machine, as containers see it
CPUS, MEMORY = 0.25, 512 * 2**20  # processors and bytes of a task, of the smallest size on AWS

CONFIGURATIONS = {
    "containers.conf": f"""
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_config_dir = "{FOLDER}/networks"
""",
    "storage.conf": f"""
[storage]
driver = "overlay"
graphroot = "{FOLDER}/storage"
runroot = "{FOLDER}/run"
""",
    # Debian's Python in the place of Docker's. Both come without the standard library compiled.
    "Base": """
FROM scratch
ADD base.tar /
ADD certificates.pem /certificates.pem
ENV PIP_CERT=/certificates.pem
""",
    "Balancer": """
FROM docker.io/library/python:3.13-slim
USER 99
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
""",
}
IMAGES = {"Base": "docker.io/library/python:3.13-slim", "Balancer": "docker.io/library/haproxy:3.2"}
IN_BASE = "python3,python3-venv,python3-pip,ca-certificates,haproxy"

ENVIRONMENT = {
    "BUILDAH_FORMAT": "docker",  # the one with a health check
    "BUILDAH_ISOLATION": "chroot",
    "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
    "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
    "DISABLE_HC_SYSTEMD": "true",
}


def run(
    *command: str, cwd: Path = FOLDER, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of containers, and return how it ended."""
    own = os.environ | ENVIRONMENT | dict(environment or {})
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, timeout=300)


def podman(*words: str) -> str:
    """Return what podman prints."""
    done = run("podman", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compose(project: Path, *words: str, **environment: str) -> str:
    """Run compose in a project, in an environment with these variables."""
    program = Path(sys.executable).with_name("podman-compose")
    done = run(str(program), *words, cwd=project, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_base_images() -> None:
    """Make what the project's images begin with, unless it is there from a run before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in CONFIGURATIONS.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    if all(run("podman", "image", "exists", image).returncode == 0 for image in IMAGES.values()):
        return
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", FOLDER / "certificates.pem")
    made = run(
        "mmdebstrap",
        "--variant=minbase",
        f"--include={IN_BASE}",
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "locale", "man")),
        '--customize-hook=ln -s python3 "$1/usr/bin/python"',
        '--customize-hook=find "$1/usr/lib" -name "*.pyc" -delete',
        "trixie",
        "base.tar",
    )
    assert made.returncode == 0, made.stderr
    for name, image in IMAGES.items():
        podman("build", "--quiet", "--tag", image, "--file", name, ".")


def inspect(name: str) -> Any:
    """Return what podman knows of a container."""
    [found] = json.loads(podman("inspect", name))
    return found


def address_of(name: str) -> str:
    """Return where the page of a container is, within this machine."""
    [network] = inspect(name)["NetworkSettings"]["Networks"].values()
    return f"http://{network['IPAddress']}:8501"


def keep_gateway(network: str) -> None:
    """Have this machine keep the hardware address that the network's containers know it by.

    A bridge whose address was not set has the lowest of its ports', so it changes with the
    containers. Those that are left would look for this machine at the old one for up to 45 seconds.
    """
    [found] = json.loads(podman("network", "inspect", network))
    name = struct.pack("40s", found["network_interface"].encode())
    with socket.socket() as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFHWADDR, name)
        fcntl.ioctl(any_socket, SIOCSIFHWADDR, answer)


def wait_for_page(address: str) -> None:
    """Wait until a container, or a balancer in front of containers, is ready for people."""
    wait_until_healthy(address, explain=lambda: podman("ps", "--all"))


def wait_for_tasks(balancer: str, count: int) -> None:
    """Wait until the balancer sends people to so many tasks: its cookie tells one from another."""
    cookies = set()

    def all_serve() -> bool:
        with suppress(OSError), urlopen(f"{balancer}/_stcore/health", timeout=5) as answer:
            cookies.add(answer.headers["Set-Cookie"])
        return len(cookies) == count

    what = f"the balancer sends people to {count} tasks"
    wait_until(all_serve, what, 120, lambda: podman("ps", "--all"))
