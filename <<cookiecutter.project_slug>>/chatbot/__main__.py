"""Commands for whoever runs the chatbot: `python -m chatbot --help` lists them."""

import argparse
import contextlib
import gzip
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO, cast

from chatbot import archives, buckets, feedback, people, restoring
from chatbot.archives import Entry
from chatbot.errors import ChatbotError
from chatbot.identity import Person
from chatbot.page import wording
from chatbot.people import Kept, NobodyError
from chatbot.settings import Settings, load_settings
from chatbot.storage import MEBIBYTE, storage_errors
from chatbot.text import clean


def main() -> int:
    """Do what the command line says; return the exit code."""
    arguments = _parse()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have any letters
    try:
        _run(arguments, load_settings())
        sys.stdout.flush()
    except NobodyError:
        print(wording.NOBODY, file=sys.stderr)
    except ChatbotError as error:
        print(wording.error(error), file=sys.stderr)
    except BrokenPipeError:  # whoever reads it has enough
        with contextlib.suppress(OSError):
            sys.stdout.close()
    except OSError as error:
        is_read = arguments.command == "restore"
        sentence = wording.unread if is_read else wording.unwritten
        print(sentence(error.strerror), file=sys.stderr)
    else:
        return 0
    return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m chatbot", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_export(commands)
    _add_restore(commands)
    text = "write what people think of answers to the standard output, as CSV"
    ratings = commands.add_parser("feedback", help=text, description=text)
    ratings.add_argument(
        "--to", default="", help="write a .csv.gz file to S3 instead, as export does"
    )
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
    if arguments.command == "export":
        if bool(arguments.issuer) != bool(arguments.subject):
            parser.error("--issuer and --subject belong together")
        if not arguments.to and sys.stdout.isatty():
            parser.error("a terminal can't show the archive: add > FILE.tar.gz")
    elif arguments.command == "restore":
        if bool(arguments.source) == bool(arguments.backup):
            parser.error("restore needs an archive, or --backup")
    elif (arguments.command, getattr(arguments, "action", "")) == ("people", "export"):
        is_shown = not arguments.base64 and sys.stdout.isatty()
        if is_shown:
            persons.error("a terminal can't show the file: add > FILE.tar.gz, or --base64")
    return arguments


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "write all sessions, or one person's, to the standard output, as a .tar.gz file"
    export = commands.add_parser("export", help=text, description=text)
    export.add_argument("--issuer", default="", help="the person's sign-in provider")
    export.add_argument("--subject", default="", help="the provider's name of the person")
    export.add_argument("--to", default="", help="write to S3 instead, such as s3://bucket/name")


def _add_restore(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "bring back what is in an export, beside what is there"
    restore = commands.add_parser("restore", help=text, description=text)
    add = restore.add_argument
    add("source", nargs="?", default="", help="a .tar.gz file, also in S3: s3://bucket/name")
    add(
        "--backup",
        metavar="FOLDER",
        help="bring back what AWS Backup restored into the file system at this folder last, and"
        " delete that there",
    )
    add(
        "--with-deleted",
        action="store_true",
        help="also bring back what people have deleted since, and operators have erased",
    )
    add("--dry-run", action="store_true", help="only say what would be done")


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    if arguments.command == "export":
        _export_sessions(arguments, settings)
    elif arguments.command == "restore":
        _restore(arguments, settings)
    elif arguments.command == "feedback":
        _write_feedback(arguments, settings)
    else:
        _run_people(arguments, settings.sessions_dir)


def _export_sessions(arguments: argparse.Namespace, settings: Settings) -> None:
    root, session = settings.sessions_dir, ""
    if arguments.subject:
        person = Person(clean(arguments.issuer), clean(arguments.subject))
        session = people.find(root, person).session
    entries = archives.read_sessions(root, session)
    if arguments.to:
        with buckets.write_object(arguments.to, settings.region) as file:
            sessions, chats = archives.write_archive(entries, file)
        print(f"Exported: {sessions} sessions with {chats} chats")
    else:
        archives.write_archive(entries, sys.stdout.buffer)


def _write_feedback(arguments: argparse.Namespace, settings: Settings) -> None:
    lines = feedback.to_csv(feedback.read_feedback(settings.sessions_dir))
    if not arguments.to:
        for line in lines:
            sys.stdout.write(line)
        return
    ratings = -1  # the first line names the columns
    with (
        buckets.write_object(arguments.to, settings.region) as file,
        gzip.GzipFile("", "wb", fileobj=cast(IO[bytes], file)) as packed,
    ):
        for line in lines:
            packed.write(line.encode())
            ratings += 1
    print(f"Ratings: {ratings}")


def _restore(arguments: argparse.Namespace, settings: Settings) -> None:
    root = settings.sessions_dir
    options = {"with_deleted": arguments.with_deleted, "dry_run": arguments.dry_run}
    if arguments.backup:
        backup = archives.find_backup(Path(arguments.backup))
        too_large: list[Path] = []
        entries = archives.read_sessions(backup / archives.FOLDER, too_large=too_large)
        _print_report(restoring.restore(root, entries, **options))
        if too_large:
            megabytes = archives.LIMIT // MEBIBYTE
            print(f"Left out:    {len(too_large)} larger than {megabytes} MB; {backup} stays")
        elif not arguments.dry_run:
            with storage_errors():
                shutil.rmtree(backup)
        return
    with _open_archive(
        arguments.source, settings.region
    ) as entries:  # so that a bad archive changes nothing
        for _ in entries:
            pass
    with _open_archive(arguments.source, settings.region) as entries:
        _print_report(restoring.restore(root, entries, **options))


@contextmanager
def _open_archive(source: str, region: str | None) -> Iterator[Iterator[Entry]]:
    if source.startswith(buckets.SCHEME):
        with buckets.read_object(source, region) as opened:
            yield archives.read_archive(opened)
    else:
        with Path(source).open("rb") as file:
            yield archives.read_archive(file)


def _print_report(report: restoring.Report) -> None:
    print(f"Sessions:    {len(report.sessions)}, of which {len(report.new)} were not there")
    for name, kind in (("Chats:", restoring.CHAT), ("Other files:", restoring.OTHER)):
        words = {
            "added": restoring.ADDED,
            "continued": restoring.CONTINUED,
            "left as they are": restoring.LEFT,
        }
        counts = [f"{report.count(outcome, kind)} {word}" for word, outcome in words.items()]
        print(f"{name:<12} {', '.join(counts)}")
    deleted, damaged = report.count(restoring.DELETED), report.count(restoring.DAMAGED)
    how = "; --with-deleted brings these back" if deleted else ""
    print(f"Not brought back: {damaged} damaged, {deleted} deleted on purpose{how}")


def _run_people(arguments: argparse.Namespace, root: Path) -> None:
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
