"""What docs/change.md of a project shows works as it is written: few lines, in one place."""

import ast
import re

from support.projects import Project, share_environment
from support.rendering import Bake

EXAMPLE = re.compile(r"At the end of `(\w+)`:\n\n```python\n(.*?)```", re.DOTALL)

VISIT = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("streamlit_app.py", default_timeout=20).run()
assert not page.exception, page.exception
assert "travel policy" in page.main.markdown[0].value
page.chat_input[0].set_value("Hello").run()
assert not page.exception, page.exception
[field] = page.sidebar.text_input
field.set_value("Legal").run()
assert page.session_state["tab"].session["department"] == "Legal"
[button] = [button for button in page.main.button if button.label == "Report"]
button.click().run()
assert not page.exception, page.exception
assert "We will look at this answer" in page.toast[0].value
assert page.sidebar.text_input[0].value == "Legal"
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
    examples = EXAMPLE.findall(project.read("docs/change.md"))
    assert len(examples) == 3
    assert len({name for name, _ in examples}) == 3
    for name, code in examples:
        assert len(code.splitlines()) <= 5
        add_to_function(project, name, code)
    share_environment(project)
    python = str(project.path / ".venv" / "bin" / "python")
    environment = {"CHATBOT_BACKEND": "demo", "CHATBOT_SESSIONS_DIR": "sessions"}
    done = project.run(python, "-c", VISIT, environment=environment)
    assert done.returncode == 0, done.stderr


def test_the_page_can_be_read_in_one_sitting(bake: Bake) -> None:
    assert len(bake().read("streamlit_app.py").splitlines()) <= 150
