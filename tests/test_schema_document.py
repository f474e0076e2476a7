"""docs/sessions.md tells which fields each kind of record has, as chatbot/records.py does."""

import ast
import re
from dataclasses import fields

from chatbot.records import KINDS

from support.paths import ROOT, TEMPLATE

OLD = {"reason", "notice"}  # of an end that an older version wrote


def test_the_document_names_every_kind_of_record_and_its_fields() -> None:
    text = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| *([^|]*?) *\|", text, re.MULTILINE)
    told = {kind: re.findall(r"`(\w+)`", names) for kind, names in rows}
    kept = {
        kind: [field.name for field in fields(record) if field.name not in OLD]
        for kind, record in KINDS.items()
    }
    assert told == kept
    assert all(f"`{name}`" in text for name in OLD)


def test_no_record_is_written_as_a_dictionary() -> None:
    """Only what is not a record of this version may be spelled out, as JSON text."""
    for folder in (TEMPLATE, ROOT / "tests", ROOT / "benchmarks"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Dict):
                    names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
                    values = [each.value for each in node.values if isinstance(each, ast.Constant)]
                    whole_line = "v" in names  # of a newer version, which no class has
                    literal = "type" in names and set(map(str, values)) & set(KINDS)
                    assert whole_line or not literal, f"{file.name}:{node.lineno}"
