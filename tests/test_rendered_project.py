"""A freshly rendered project passes its own checks, runs, and can be changed as it says."""

import ast
import os
import re
import shutil
import signal
import socket
import sys
import zipfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest

from support.options import MODELS
from support.projects import Project, share_environment
from support.provider import stand_in
from support.rendering import Bake
from support.serving import free_port, serve


def test_it_passes_its_own_linters_and_changes_nothing(bake: Bake) -> None:
    project = bake()
    (project.path / ".venv-audit").mkdir()
    (project.path / ".venv-audit" / "not_ours.py").write_text("import os\nx: int = ''\n")
    before = without_caches(project)
    done = project.dev("lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert without_caches(project) == before


def test_it_passes_its_own_tests_and_changes_nothing(bake: Bake) -> None:
    project = bake()
    before = project.files()
    done = project.dev("test", timeout=900)  # alone, it takes three minutes
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert without_caches(project) == before


@pytest.mark.parametrize("models", MODELS[1:])
def test_it_passes_its_own_tests_with_other_models(bake: Bake, models: str) -> None:
    names = ("tests/test_settings.py", "tests/test_page.py", "tests/test_answers.py", "-k", "model")
    done = bake(models=models).dev("test", *names)
    assert done.returncode == 0, done.stdout + done.stderr


EXAMPLES = """
import sys
from pathlib import Path
from streamlit.testing.v1 import AppTest
from chatbot.sessions import Session

FOLDER = Path("examples").absolute() / ("0" * 64)
session = Session(FOLDER)
page = AppTest.from_string(
    "from pathlib import Path; import streamlit as st; from chatbot.sessions import Session\\n"
    f"session = Session(Path({str(FOLDER)!r}))\\n" + sys.stdin.read()
).run()
page.selectbox[0].set_value("Legal").run()
assert not page.exception, page.exception
assert session["department"] == "Legal"
session["logo"] = session.attach(bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"))
page.run()
assert not page.exception, page.exception
assert page.selectbox[0].value == "Legal"
assert "image" in [child.type for child in page.main.children.values()]
"""


def test_the_examples_in_its_documents_work(bake: Bake) -> None:
    project = bake()
    share_environment(project.path)
    examples = re.findall(r"```python\n(.*?)```", project.read("docs/data.md"), re.DOTALL)
    assert [len(each.splitlines()) for each in examples] == [5, 5]
    python = str(project.path / ".venv" / "bin" / "python")
    done = project.run(python, "-c", EXAMPLES, said="\n".join(examples))
    assert done.returncode == 0, done.stderr


EXTEND = """
import sys
from chatbot.models import Cancellation, Finish, ModelError, Text, load_models
from tests_of_examples import *

def said(backend, question):
    [model, *_] = load_models().values()
    messages = [{"role": "user", "content": [{"text": question}]}]
    events = list(backend.stream(model, messages, "Be kind.", Cancellation()))
    assert isinstance(events[-1], Finish)
    return "".join(event.text for event in events if isinstance(event, Text))

class Told:
    def stream(self, model, messages, system, cancellation):
        self.system, self.messages = system, messages
        yield Text("Done." if len(messages) > 1 or not self.asks else "LOOK UP: the canteen")
        yield Finish("end_turn")

assert said(Shouter(), "hello there") == "HELLO THERE "
try:
    said(Shouter(), "!!")
except ModelError as error:
    assert error.code == "refused"
else:
    raise AssertionError
inner = Told()
inner.asks = False
assert said(WithPassages(inner, lambda question: [f"About {question}"]), "taxis") == "Done."
assert inner.system.startswith("Be kind.") and "About taxis" in inner.system
inner.asks = True
assert said(WithTool(inner, lambda what: f"{what}: noon"), "When?") == "Done."
assert inner.messages[-1]["content"][0]["text"] == "Found: the canteen: noon"
"""


def test_the_examples_of_extensions_work_and_have_types(bake: Bake) -> None:
    project = bake()
    examples = re.findall(r"```python\n(.*?)```", project.read("docs/extend.md"), re.DOTALL)
    assert len(examples) == 3
    code = "\n\n".join(examples)
    (project.path / "tests_of_examples.py").write_text(code, encoding="utf-8")
    project.dev("test", "--version")  # makes the environment
    python = str(project.path / ".venv" / "bin" / "python")
    done = project.run(python, "-c", EXTEND)
    assert done.returncode == 0, done.stderr
    done = project.run(python, "-m", "mypy", "tests_of_examples.py")
    assert done.returncode == 0, done.stdout


CHANGE = re.compile(r"At the end of `(\w+)`:\n\n```python\n(.*?)```", re.DOTALL)

VISIT = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("streamlit_app.py", default_timeout=20).run()
assert not page.exception, page.exception
assert any("travel policy" in each.value for each in page.main.markdown)
page.chat_input[0].set_value("Hello").run()
assert not page.exception, page.exception
[field] = [each for each in page.sidebar.text_input if each.label == "Department"]
field.set_value("Legal").run()
assert page.session_state["tab"].session["department"] == "Legal"
[button] = [button for button in page.main.button if button.label == "Report"]
button.click().run()
assert not page.exception, page.exception
assert "We will look at this answer" in page.toast[0].value
assert [each.value for each in page.sidebar.text_input if each.label == "Department"] == ["Legal"]
"""


def add_to_function(project: Project, name: str, code: str) -> None:
    """Add lines at the end of a function of streamlit_app.py."""
    source = project.read("streamlit_app.py")
    [function] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    lines = source.splitlines()
    lines[function.end_lineno : function.end_lineno] = [f"    {line}" for line in code.splitlines()]
    (project.path / "streamlit_app.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_each_example_of_a_change_is_five_lines_in_one_function_and_works(bake: Bake) -> None:
    project = bake()
    examples = CHANGE.findall(project.read("docs/change.md"))
    assert len(examples) == 3
    assert len({name for name, _ in examples}) == 3
    for name, code in examples:
        assert len(code.splitlines()) <= 5
        add_to_function(project, name, code)
    project.dev("test", "--version")  # makes the environment
    python = str(project.path / ".venv" / "bin" / "python")
    environment = {"CHATBOT_BACKEND": "demo", "CHATBOT_SESSIONS_DIR": "sessions"}
    done = project.run(python, "-c", VISIT, environment=environment)
    assert done.returncode == 0, done.stderr


def test_the_page_can_be_read_in_one_sitting(bake: Bake) -> None:
    assert len(bake().read("streamlit_app.py").splitlines()) <= 150


def without_caches(project: Project) -> dict[str, bytes]:
    ours = re.compile(r"(^|/)(__pycache__|\.\w+_cache|\.venv(-audit)?)(/|$)")
    return {name: data for name, data in project.files().items() if not ours.search(name)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_the_page_until_it_is_stopped(bake: Bake, how: signal.Signals) -> None:
    with serve(bake(), free_port()) as server:
        server.process.send_signal(how)
        said, _ = server.process.communicate(timeout=20)
    assert "Serving on http://127.0.0.1:" in said and "with the demo model" in said
    assert "Traceback" not in said


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
