"""What the languages' files lack: `python3 -m chatbot.sentences` compares them with the code.

It needs no package, and changes nothing unless you add `--update`: then each file has all the
sentences, in the code's order, and those to be translated are empty. They are English until then.
"""

import argparse
import ast
import json
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chatbot.languages import FOLDER, Language, LanguageError, read_language

ROOT = FOLDER.parent
_SAY = {"say": 1, "mark": 1, "say_count": 2}  # how many sentences each of these begins with


@dataclass
class Sentences:
    """The sentences in the code, in its order.

    single: those of `say` and `mark`.
    counts: those of `say_count`, for any number but one.
    faults: places in the code whose sentences can't be found, or lack facts.
    """

    single: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass
class Comparison:
    """How a language's file differs from the code.

    missing: sentences without a translation.
    unknown: translated sentences that are not in the code.
    wrong: translations with other facts, or without a plural form.
    """

    missing: list[str]
    unknown: list[str]
    wrong: list[str]


def collect(root: Path = ROOT) -> Sentences:
    """Return all sentences in the application's code."""
    found = Sentences()
    files = [root / "streamlit_app.py", root / "server.py", *sorted(root.glob("chatbot/**/*.py"))]
    for file in files:
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
            if isinstance(call.func, ast.Name) and call.func.id in _SAY:
                place = f"{file.relative_to(root)}, line {call.lineno}"
                _add(found, call, call.func.id, place)
    found.single = list(dict.fromkeys(found.single))
    found.counts = list(dict.fromkeys(found.counts))
    return found


def _add(found: Sentences, call: ast.Call, name: str, place: str) -> None:
    literals = [
        argument.value
        for argument in call.args[: _SAY[name]]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    if len(literals) < _SAY[name]:
        found.faults.append(f"{place}: {name} needs its sentence written out")
        return
    given = {keyword.arg for keyword in call.keywords}
    if name == "say_count":
        given.add("count")
        found.counts.append(literals[-1])
    else:
        found.single.append(literals[0])
    for literal in literals:
        if not _is_format(literal):
            found.faults.append(f"{place}: a brace in {literal!r} is no fact's")
        elif name != "mark" and not {_name(fact) for fact in facts(literal)} <= given:
            found.faults.append(f"{place}: a fact of {literal!r} is not given")


def compare(sentences: Sentences, language: Language) -> Comparison:
    """Return how a language differs from the code."""
    single = {text: said for text, said in language.sentences.items() if said}
    counts = {text: forms for text, forms in language.counts.items() if any(forms.values())}
    expected = {*language.plurals, "other"}
    wrong = [
        text
        for text, said in single.items()
        if not _is_format(said) or set(facts(said)) != set(facts(text))
    ]
    for text, forms in counts.items():
        others = set(facts(text)) - {"count"}
        if set(forms) != expected or not all(
            said and _is_format(said) and others <= set(facts(said)) <= {*others, "count"}
            for said in forms.values()
        ):
            wrong.append(text)
    return Comparison(
        missing=[text for text in sentences.single if text not in single]
        + [text for text in sentences.counts if text not in counts],
        unknown=[text for text in language.sentences if text not in sentences.single]
        + [text for text in language.counts if text not in sentences.counts],
        wrong=wrong,
    )


def facts(text: str) -> list[str]:
    """Return what is in the braces of a sentence. Raises ValueError if braces don't match."""
    return [
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in string.Formatter().parse(text)
        if name is not None
    ]


def _name(fact: str) -> str:
    return fact.partition("!")[0].partition(":")[0]


def _is_format(text: str) -> bool:
    try:
        return all(_name(fact).isidentifier() for fact in facts(text))
    except ValueError:
        return False


def update(path: Path, sentences: Sentences) -> None:
    """Write a language's file anew, with all sentences; what stands above them stays as it is.

    Raises LanguageError, and OSError.
    """
    language = read_language(path)
    above, _, _ = path.read_text(encoding="utf-8").partition("[sentences]")
    path.write_text(above + "\n".join(_draw(language, sentences)), encoding="utf-8")


def _draw(language: Language, sentences: Sentences) -> Iterator[str]:
    yield "[sentences]"
    for text in sentences.single:
        yield f"{_quote(text)} = {_quote(language.sentences.get(text, ''))}"
    for text in sentences.counts:
        yield f"\n[counts.{_quote(text)}]"
        for form in (*language.plurals, "other"):
            yield f"{form} = {_quote(language.counts.get(text, {}).get(form, ''))}"
    yield ""


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # as TOML's basic strings are


def main() -> int:
    """Compare each file, or those of the languages named; return 1 if one differs."""
    parser = argparse.ArgumentParser("python3 -m chatbot.sentences", description=__doc__)
    parser.add_argument("codes", nargs="*", help="languages, such as de; all if none is named")
    parser.add_argument("--update", action="store_true", help="write the files anew")
    arguments = parser.parse_args()
    sentences = collect()
    faults = list(sentences.faults)
    names = arguments.codes or sorted(path.stem for path in FOLDER.glob("*.toml"))
    for path in (FOLDER / f"{name}.toml" for name in names):
        try:
            if arguments.update:
                update(path, sentences)
            comparison = compare(sentences, read_language(path))
        except (LanguageError, OSError) as error:
            faults.append(str(error))
            continue
        for problem, texts in vars(comparison).items():
            faults += [f"{path.name}, {problem}: {_quote(text)}" for text in texts]
    print(*(faults or ["Each sentence has its translations."]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
