"""A freshly rendered project passes its own checks, and can be changed as its documents say."""

import ast
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.options import MODELS
from support.projects import Project, share_environment
from support.rendering import Bake


def test_it_passes_its_own_linters_and_changes_nothing(bake: Bake) -> None:
    project = bake()
    (project.path / ".venv-audit").mkdir()
    (project.path / ".venv-audit" / "not_ours.py").write_text("import os\nx: int = ''\n")
    before = without_caches(project)
    done = project.dev("lint")
    assert done.returncode == 0, done.stdout + done.stderr
    assert without_caches(project) == before


def test_it_passes_its_own_tests_and_changes_nothing(bake: Bake) -> None:
    """A quarter of them beside each other, as they wait as long as they compute."""
    project = bake()
    before = project.files()
    project.dev("test", "--version")  # makes the environment
    names = sorted(each.as_posix() for each in Path(project.path).glob("tests/test_*.py"))
    with ThreadPoolExecutor() as pool:
        quarters = [pool.submit(project.dev, "test", *names[n::4], timeout=900) for n in range(4)]
    for done in (quarter.result() for quarter in quarters):
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"\d+ passed", done.stdout)
    assert without_caches(project) == before


@pytest.mark.parametrize("models", MODELS[1:])
def test_it_passes_its_own_tests_with_other_models(bake: Bake, models: str) -> None:
    names = ("tests/test_settings.py", "tests/test_page.py", "-k", "model")
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
