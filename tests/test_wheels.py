"""What is pinned suits each Python from 3.11 to 3.15, on Linux and macOS."""

import re
from collections import Counter
from importlib.metadata import Distribution, distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import TEMPLATE
from support.rendering import Bake
from support.wheels import LOCKS, TARGETS, Pin, Target, find_lacks, read_pins, read_wheels

LINUX, MAC = Target("3.15", "linux", "x86_64"), Target("3.15", "darwin", "arm64")


def pins_of(name: str) -> list[Pin]:
    text = (TEMPLATE / name).read_text(encoding="utf-8")
    found = read_pins(text)
    assert len(found) == len(re.findall("^[^ #]", text, re.MULTILINE))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_each_python_gets_one_version_of_each_package(name: str) -> None:
    pins = pins_of(name)
    forked = {name for name, count in Counter(pin.name for pin in pins).items() if count > 1}
    for target in TARGETS:
        found = Counter(pin.name for pin in pins if pin.applies(target))
        assert set(found.values()) == {1}, target
        assert forked <= set(found), target


@pytest.mark.parametrize("name", [name for name in LOCKS if "audit" not in name])
def test_each_python_gets_all_that_each_package_asks_for(bake: Bake, name: str) -> None:
    project = bake()
    project.dev("test", "--version")  # makes the environment
    [folder] = project.path.glob(".venv/lib/python3*/site-packages")
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(folder)])}
    left_out = re.findall(r'"([\w-]+)"', project.read("lean/pyproject.toml").rpartition("= [")[2])
    assert "streamlit" in installed and "pandas" in left_out
    for target in TARGETS:
        pinned = {pin.name: pin.version for pin in pins_of(name) if pin.applies(target)}
        for package in pinned.keys() & installed.keys():
            for asked in asked_by(installed[package], target):
                needed = canonicalize_name(asked.name)
                if needed in left_out and name != "requirements.txt":
                    continue
                assert needed in pinned, f"{package} needs {asked} for {target}"
                assert asked.specifier.contains(pinned[needed]), f"{asked} for {target}"


def asked_by(package: Distribution, target: Target) -> list[Requirement]:
    """Return what a package asks for, without what only its extras do."""
    found = map(Requirement, package.requires or ())
    return [each for each in found if not each.marker or each.marker.evaluate(target.environment)]


LOCK = """\
compiled==2.0 ; sys_platform != 'win32' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.in
plain==1.0 \\
    --hash=sha256:cc
"""
PUBLISHED = """
packages = [
  { name = "plain", version = "1.0", wheels = [
    { url = "x/plain-1.0-py3-none-any.whl", hashes = { sha256 = "cc" } },
  ] },
  { name = "compiled", version = "2.0", wheels = [
    { url = "x/LINUX.whl", hashes = { sha256 = "aa" } },
    { url = "x/compiled-2.0-cp311-abi3-macosx_11_0_arm64.whl", hashes = { sha256 = "bb" } },
  ] },
]
"""


@pytest.mark.parametrize(
    ("wheel", "lacks"),
    [
        ("compiled-2.0-cp315-cp315-manylinux_2_28_x86_64", ""),
        ("compiled-2.0-cp315-cp315-manylinux2014_x86_64.manylinux_2_17_x86_64", ""),
        ("compiled-2.0-cp314-cp314-manylinux_2_28_x86_64", "has no wheel for Python 3.15 on linux"),
        ("compiled-2.0-cp315-cp315t-manylinux_2_28_x86_64", "has no wheel"),
        ("compiled-2.0-cp315-cp315-manylinux_2_34_x86_64", "has no wheel"),
        ("compiled-2.0-cp315-cp315-musllinux_1_2_x86_64", "has no wheel"),
        ("compiled-2.0-cp315-cp315-manylinux_2_28_aarch64", "has no wheel"),
    ],
)
def test_a_package_without_a_wheel_is_named(wheel: str, lacks: str) -> None:
    published = read_wheels(PUBLISHED.replace("LINUX", wheel))
    found = list(find_lacks(read_pins(LOCK), published, [LINUX, MAC]))
    assert len(found) == bool(lacks)
    assert all(each.startswith("compiled 2.0 ") and lacks in each for each in found)


def test_a_wheel_that_is_newer_than_the_lock_is_named() -> None:
    wheel = "compiled-2.0-cp315-cp315-manylinux_2_28_x86_64"
    published = read_wheels(PUBLISHED.replace("LINUX", wheel))
    [found] = find_lacks(read_pins(LOCK.replace("sha256:aa", "sha256:dd")), published, [LINUX, MAC])
    assert found.startswith("compiled 2.0 has a wheel for Python 3.15 on linux (x86_64) whose hash")
    found_twice = list(find_lacks(read_pins(LOCK), {}, [MAC]))
    assert found_twice == [
        f"{name} has no wheel for {MAC}" for name in ("compiled 2.0", "plain 1.0")
    ]
