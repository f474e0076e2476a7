"""What a rendered project's `dev.py` and `cluster.py` do, and say when something is missing."""

import os
import shutil
import signal
import socket
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest

from support.provider import stand_in
from support.rendering import Bake
from support.serving import free_port, serve


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_the_page_until_it_is_stopped(bake: Bake, how: signal.Signals) -> None:
    with serve(bake(), free_port()) as server:
        server.process.send_signal(how)
        said, _ = server.process.communicate(timeout=20)
    assert "Serving on http://127.0.0.1:" in said and "with the demo model" in said
    assert "Traceback" not in said


def test_run_says_where_the_page_is_and_no_more(bake: Bake) -> None:
    port = free_port()
    with serve(bake(), port) as server:
        server.process.terminate()
        said, _ = server.process.communicate(timeout=20)
    address = f"http://127.0.0.1:{port}"
    assert [line.strip() for line in said.splitlines() if line.strip()] == [
        f"> Serving on {address} with the demo model; Ctrl-C stops it",
        "You can now view your Streamlit app in your browser.",
        f"URL: {address}",
    ]


def test_run_lets_people_sign_in_with_the_settings_of_a_provider(bake: Bake) -> None:
    port = free_port()
    with stand_in.provider(f"http://127.0.0.1:{port}") as provider:
        settings = provider.environment()
        address = settings.pop("CHATBOT_ADDRESS")  # dev.py knows it
        with serve(bake(), port, **settings):
            browser = build_opener(HTTPCookieProcessor(), ProxyHandler({}))
            with pytest.raises(HTTPError, match="401"):
                browser.open(address)
            with browser.open(f"{address}/sign-in") as page:  # the provider knows who it is
                assert (page.status, page.url) == (200, f"{address}/")


def test_a_port_in_use_is_told_with_a_way_out(bake: Bake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = bake().dev("run", f"--port={port}")
    assert done.returncode == 1
    assert f"Port {port} of localhost can't be used" in done.stderr
    assert f"--port {port + 1}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_does_not_exist_is_told(bake: Bake) -> None:
    done = bake().dev("run", "--port=70000")
    assert done.returncode == 1
    assert "ports go from 0 to 65535" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_venv_is_told_what_to_install(bake: Bake, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'ensurepip' else find(name, *more)\n"
    )
    done = bake().run(sys.executable, "dev.py", "test", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_network_that_is_down_is_told_and_the_next_try_starts_afresh(bake: Bake) -> None:
    project = bake()
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_NO_CACHE_DIR": "1",
    }
    done = project.run(sys.executable, "dev.py", "test", environment=nowhere)
    assert done.returncode == 1
    assert "Is there a network?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.path / ".venv" / "requirements.sha256").exists()


MAKE = """
from pathlib import Path
import dev
print(dev.make_environment(Path("environment"), Path("tiny.txt")))
"""


def test_an_environment_that_another_tool_has_emptied_is_made_again(
    bake: Bake, tmp_path: Path
) -> None:
    """Also where a person's settings send all that pip installs elsewhere."""
    project = bake()
    wheel = project.path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {
            "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }.items():
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
    (project.path / "tiny.txt").write_text(f"./{wheel.name}\n")
    settings = {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "target")}
    for made_again in (True, False, True):
        done = project.run(sys.executable, "-c", MAKE, environment=settings)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("Installing tiny.txt" in done.stdout) == made_again
        [installed] = (project.path / "environment").glob("lib/*/site-packages/tiny-1.0.dist-info")
        if not made_again:  # as `uv sync` does with what it does not know
            shutil.rmtree(installed)


def test_two_that_make_an_environment_at_once_both_get_it(bake: Bake) -> None:
    project = bake()
    (project.path / "tiny.txt").write_text("")
    command = (sys.executable, "-c", MAKE)
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(project.run, *command) for _ in range(2)]
    said = ""
    for done in (each.result() for each in both):
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    assert said.count("Making the virtual environment") == 1


def test_what_pip_can_not_use_is_not_taken_for_a_network_that_is_down(bake: Bake) -> None:
    project = bake()
    (project.path / "tiny.txt").write_text("./nothing.whl\n")
    done = project.run(sys.executable, "-c", f"{MAKE.replace('print', '')}")
    assert "nothing.whl" in done.stdout + done.stderr
    assert "network" not in done.stdout + done.stderr
    assert "Correct what pip names" in done.stderr


def test_a_wrong_verb_is_answered_with_the_right_ones(bake: Bake) -> None:
    done = bake().run(sys.executable, "dev.py", "deploy-to-mars")
    assert done.returncode == 2
    assert all(verb in done.stderr for verb in ("run", "test", "lint"))


def test_a_cluster_without_a_balancer_is_told_where_to_get_one(bake: Bake) -> None:
    project = bake()
    done = project.run(sys.executable, "cluster.py", environment={"PATH": "/nowhere"})
    assert done.returncode == 1
    assert "sudo apt install haproxy" in done.stderr
    assert "docker compose up" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.path / ".venv").exists()


def test_an_old_python_is_told_the_whole_command_for_a_newer_one(bake: Bake) -> None:
    program = "import runpy, sys\nsys.version_info = (3, 10, 0)\nrunpy.run_path('dev.py')"
    words = ("deployment", "invite", "--group=two words")
    done = bake().run(
        sys.executable,
        "-c",
        f"import sys\nsys.argv = {['dev.py', *words]}\n{program}",
    )
    assert done.returncode == 1
    assert done.stderr.endswith("Try: python3.13 dev.py deployment invite '--group=two words'\n")
