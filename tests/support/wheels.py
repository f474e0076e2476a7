"""Whether what the rendered project pins has wheels for each Python on each kind of machine.

A lock has hashes, but no names of files, and pip decides what applies by the Python that runs it.
So `python3 dev.py wheels`, which runs this, has uv ask the package index for the names, and decides
by itself which lines apply where.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from support.paths import TEMPLATE

LOCKS = (
    "requirements.txt",
    "lean/requirements.txt",
    "lean/requirements-dev.txt",
    "requirements-audit.txt",
)
GLIBC = 28  # 2.28: Debian 10, Red Hat 8
MACOS = (13, 0)
_PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\\n((?:.*\\\n)*.*)", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """A line of a lock; `marker` says where it applies, or is ""."""

    name: NormalizedName
    version: str
    marker: str
    hashes: frozenset[str]

    def applies(self, target: "Target") -> bool:
        return not self.marker or Marker(self.marker).evaluate(target.environment)


@dataclass(frozen=True)
class Target:
    """A CPython such as "3.15" on a kind of machine: "linux" or "darwin", and its processor."""

    python: str
    system: str
    machine: str

    @property
    def environment(self) -> dict[str, str]:
        """What a marker may ask."""
        return {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.system.capitalize(),
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": self.system,
        }

    @property
    def tags(self) -> frozenset[Tag]:
        """Those of the wheels that it takes."""
        if self.system == "darwin":
            platforms = list(mac_platforms(MACOS, self.machine))
        else:
            names = [f"manylinux_2_{minor}" for minor in range(5, GLIBC + 1)]
            names += ["manylinux1", "manylinux2010", "manylinux2014", "linux"]
            platforms = [f"{name}_{self.machine}" for name in names]
        major, minor = map(int, self.python.split("."))
        interpreter = f"cp{major}{minor}"
        return frozenset(
            (
                *cpython_tags((major, minor), [interpreter], platforms),
                *compatible_tags((major, minor), interpreter, platforms),
            )
        )

    def __str__(self) -> str:
        return f"Python {self.python} on {self.system} ({self.machine})"


TARGETS = tuple(
    Target(f"3.{minor}", system, machine)
    for minor in range(11, 16)
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
)


Wheels = Mapping[str, str]  # of a version of a package: the hashes by the names of the files


def read_pins(text: str) -> list[Pin]:
    """Return the lines of a lock."""
    return [
        Pin(canonicalize_name(name), version, marker, frozenset(re.findall(r"sha256:(\w+)", more)))
        for name, version, marker, more in _PIN.findall(text)
    ]


def read_wheels(text: str) -> dict[tuple[str, str], Wheels]:
    """Return the wheels that a pylock.toml of uv's names, by package and version."""
    found: dict[tuple[str, str], Wheels] = {}
    for package in tomllib.loads(text)["packages"]:
        wheels = {
            unquote(wheel["url"].rpartition("/")[2]): wheel["hashes"]["sha256"]
            for wheel in package.get("wheels", [])
        }
        key = canonicalize_name(package["name"]), package["version"]
        found[key] = {**found.get(key, {}), **wheels}
    return found


def find_lacks(
    pins: Sequence[Pin],
    published: Mapping[tuple[str, str], Wheels],
    targets: Sequence[Target] = TARGETS,
) -> Iterator[str]:
    """Yield a sentence for each package that a target can't install from a wheel in the lock."""
    for target in targets:
        tags = target.tags
        for pin in pins:
            if not pin.applies(target):
                continue
            wheels = published.get((pin.name, pin.version), {})
            fitting = {name for name in wheels if tags & parse_wheel_filename(name)[3]}
            what = f"{pin.name} {pin.version}"
            if not fitting:
                yield f"{what} has no wheel for {target}"
            elif not any(wheels[name] in pin.hashes for name in fitting):
                yield f"{what} has a wheel for {target} whose hash is missing: make the file again"


def ask(lock: Path) -> str:
    """Return the pylock.toml that uv makes of a lock. Raises CalledProcessError."""
    command = ["uv", "pip", "compile", "--universal", "--python-version=3.11", "--no-deps"]
    command += ["--format=pylock.toml", "--no-header", "--quiet", str(lock)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Say which locks have all wheels, and what the others lack."""
    if not shutil.which("uv"):
        sys.exit("This needs uv: pip install uv")
    failed = False
    for name in LOCKS:
        pins = read_pins((TEMPLATE / name).read_text(encoding="utf-8"))
        try:
            lacks = list(find_lacks(pins, read_wheels(ask(TEMPLATE / name))))
        except subprocess.CalledProcessError:
            sys.exit(f"uv could not ask the package index about {name}; it says why above.")
        for lack in lacks:
            print(f"{name}: {lack}", file=sys.stderr)
        if not lacks:
            print(f"{name}: {len(pins)} lines, with wheels for {len(TARGETS)} kinds of Python")
        failed = failed or bool(lacks)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
