"""Commands for whoever runs the chatbot: `python -m chatbot --help` lists them."""

import argparse
import contextlib
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from chatbot import people
from chatbot.errors import ChatbotError
from chatbot.identity import Person
from chatbot.page import wording
from chatbot.people import Kept, NobodyError
from chatbot.settings import load_settings
from chatbot.text import clean


def main() -> int:
    """Do what the command line says; return the exit code."""
    arguments = _parse()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have any letters
    try:
        _run(arguments, load_settings().sessions_dir)
        sys.stdout.flush()
    except NobodyError:
        print(wording.NOBODY, file=sys.stderr)
    except ChatbotError as error:
        print(wording.error(error), file=sys.stderr)
    except BrokenPipeError:  # whoever reads it has enough
        with contextlib.suppress(OSError):
            sys.stdout.close()
    except OSError as error:
        print(wording.unwritten(error.strerror), file=sys.stderr)
    else:
        return 0
    return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m chatbot", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="people")
    description = "What is kept of people who have signed in. CHATBOT_SESSIONS_DIR tells where."
    persons = commands.add_parser("people", help="find, export or erase", description=description)
    actions = persons.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="list everybody who has asked something")
    for name, explanation in (
        ("find", "say what is kept of a person"),
        ("export", "write what is kept of a person to the standard output, as a .tar.gz file"),
        ("erase", "delete everything of a person, for good and without a question"),
    ):
        action = actions.add_parser(name, help=explanation, description=explanation)
        action.add_argument("--issuer", required=True, help="the sign-in provider's name of itself")
        action.add_argument("--subject", required=True, help="the provider's name of the person")
        if name == "export":
            action.add_argument("--base64", action="store_true", help="write text, in long lines")
    arguments = parser.parse_args()
    if arguments.action == "export" and not arguments.base64 and sys.stdout.isatty():
        persons.error("a terminal can't show the file: add > FILE.tar.gz, or --base64")
    return arguments


def _run(arguments: argparse.Namespace, root: Path) -> None:
    if arguments.action == "list":
        for owner, used in people.list_people(root):
            words = map(_on_one_line, (owner.issuer, owner.subject, owner.name))
            print(*words, _time(used), sep="\t")
        return
    person = Person(clean(arguments.issuer), clean(arguments.subject))
    if arguments.action == "export":
        _export(root, person, is_text=arguments.base64)
    elif arguments.action == "erase":
        erased = people.erase(root, person)
        print("Erased:")
        _print(erased)
    else:
        _print(people.find(root, person))


def _export(root: Path, person: Person, *, is_text: bool) -> None:
    if not is_text:
        people.export(root, person, sys.stdout.buffer)
        return
    people.find(root, person)  # so that the mark at the beginning promises something
    lines = people.Base64Lines(sys.stdout.buffer)
    people.export(root, person, lines)
    lines.complete()


def _print(kept: Kept) -> None:
    total = kept.total
    print(f"Session:   {kept.session}")
    print(f"Chats:     {kept.chats}")
    print(f"Files:     {kept.files}, {kept.size} bytes")
    print(f"Last used: {_time(kept.used)}")
    print(f"Answers:   {total.answers}")
    print(f"Tokens:    {total.sent} sent, {total.written} written")
    if total.cost:
        print(f"Cost:      {total.cost:.2f} US dollars")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _on_one_line(text: str) -> str:
    """Return the text without what could break the line, or do something to a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)


if __name__ == "__main__":
    sys.exit(main())
