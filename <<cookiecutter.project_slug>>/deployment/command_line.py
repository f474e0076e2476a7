"""The command line: its verbs and options, and which belong together."""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from deployment.errors import UsageError
from deployment.project import TAKEN, Project, environments

ACTIONS = ("list", "find", "export", "erase")  # of people

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_WORD = re.compile(r'[^\s"\\]+')


@dataclass(frozen=True)
class Options:
    """What a person asks for.

    tag: of the image to roll back to, or "".
    source: the environment whose image is promoted, or "".
    environment: which one this is about; "" is the one that has no name, such as production.
    family: how the names of the stacks of all environments begin.
    action: of `people`, one of ACTIONS, or "".
    boundary_arn: the permissions boundary that the roles of the tasks get, or "".
    archive: of `restore`: a file, or the ARN of a recovery point, or "".
    poll_seconds: between two questions about the same thing.
    where: the options, as they were given, that say which stack this is about.
    """

    verb: str
    tag: str
    source: str
    action: str
    archive: str
    email: str
    environment: str
    family: str
    region: str
    profile: str
    role_arn: str
    boundary_arn: str
    group: str
    subject: str
    issuer: str
    dry_run: bool
    allow_dirty: bool
    yes: bool
    follow: bool
    keep_data: bool
    delete_data: bool
    with_deleted: bool
    poll_seconds: float
    where: tuple[str, ...]

    def stack_of(self, environment: str) -> str:
        """Return the name of an environment's stack."""
        return f"{self.family}-{environment}" if environment else self.family

    @property
    def stack_name(self) -> str:
        return self.stack_of(self.environment)


@dataclass(frozen=True)
class Verb:
    """A verb.

    help: how it is used, and what it does then.
    options: those that it has beside those of all verbs.
    """

    help: dict[str, str]
    options: frozenset[str]


def verbs(project: Project) -> dict[str, Verb]:
    """Return the verbs that make sense for this project, by name."""
    found = {
        "deploy": Verb(
            {
                "deploy": "deploy this commit, create what is missing, and print the address"
                " (the default)"
            },
            frozenset({"dry_run", "allow_dirty", "yes"}),
        ),
        "doctor": Verb(
            {"doctor": "find what would keep the chatbot from working, and say what to do"},
            frozenset(),
        ),
        "status": Verb({"status": "show what is running, and what is wrong with it"}, frozenset()),
        "logs": Verb({"logs": "show the logs of the last hour"}, frozenset({"follow"})),
        "rollback": Verb(
            {
                "rollback [TAG]": "return to the image that ran before the current one, or to the"
                " one with that tag"
            },
            frozenset({"dry_run"}),
        ),
        "promote": Verb(
            {"promote FROM": "deploy the very image that runs in the environment FROM"},
            frozenset({"dry_run", "yes"}),
        ),
    }
    if project.has_pool:
        found["invite"] = Verb(
            {"invite E-MAIL": "invite a person; again, if the person has not signed in yet"},
            frozenset({"group", "dry_run"}),
        )
        found["remove"] = Verb(
            {"remove E-MAIL": "let a person sign in no more"}, frozenset({"dry_run"})
        )
    if project.has_people:
        person = "E-MAIL" if project.has_pool else "--subject SUBJECT"
        found["people"] = Verb(
            {
                "people list": "show everyone who has asked something",
                f"people find {person}": "show what is kept about a person",
                f"people export {person}": "save what is kept about a person in a file",
                f"people erase {person}": "delete all that is kept about a person",
            },
            frozenset({"subject", "issuer", "dry_run", "yes"}),
        )
    who = {"export": "save all conversations in an archive"}
    if project.has_people:
        who[f"export {person}"] = "save those of one person"
    found["export"] = Verb(
        who, frozenset({"dry_run"} | ({"subject", "issuer"} if project.has_people else set()))
    )
    found["feedback"] = Verb(
        {"feedback": "save what people think of answers, as a CSV file"}, frozenset({"dry_run"})
    )
    found["restore"] = Verb(
        {
            "restore": "show the backups that AWS Backup has made",
            "restore FILE": "bring back what an export holds, beside what is there",
            "restore ARN": "bring back what a backup holds, beside what is there",
        },
        frozenset({"dry_run", "yes", "with_deleted"}),
    )
    people = " and the people" if project.has_pool else ""
    found["destroy"] = Verb(
        {"destroy": f"delete everything except the conversations{people}"},
        frozenset({"dry_run", "yes", "keep_data", "delete_data"}),
    )
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if found := re.fullmatch(r"argument (\S+?)(?:/\S+)?: expected one argument", message):
            raise UsageError(f"{found[1]} needs a value; --help shows how.")
        if found := re.fullmatch(r"argument (\S+?): ignored explicit argument '(.*)'", message):
            name = found[1].rpartition("/")[2]
            raise UsageError(f"There is no option {name}={found[2]}; --help lists the options.")
        raise UsageError(f"{message}; --help shows how.")


def _make_parser(project: Project, known: Mapping[str, Verb]) -> argparse.ArgumentParser:
    usages = {usage: text for verb in known.values() for usage, text in verb.help.items()}
    width = max(map(len, usages))
    lines = [f"  {usage:<{width}}  {text}" for usage, text in usages.items()]
    parser = _Parser(
        prog="./deployment.sh",
        usage="./deployment.sh [verb] [options]",
        description="\n".join(["verbs:", *lines]),
        formatter_class=partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=width + 4, width=110
        ),
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    add = parser.add_argument
    add(
        "--stack-name",
        metavar="NAME",
        help=f"the stack; by default STACK_NAME, or {project.stack_name}",
    )
    add(
        "--environment",
        metavar="NAME",
        help="an environment such as staging: its own stack, with infra/parameters.NAME.json",
    )
    add(
        "--region",
        metavar="REGION",
        help=f"the region; by default AWS_REGION, AWS_DEFAULT_REGION, or {project.region}",
    )
    add(
        "--profile",
        metavar="NAME",
        help="the AWS profile with the credentials; by default AWS_PROFILE",
    )
    add(
        "--role-arn",
        metavar="ARN",
        help="the role for CloudFormation to use; by default CLOUDFORMATION_ROLE_ARN, or none",
    )
    changing = ", ".join(name for name, verb in known.items() if "dry_run" in verb.options)
    add(
        "--dry-run",
        action="store_true",
        help=f"{changing}: run the checks and show each step, but change nothing",
    )
    add(
        "--allow-dirty",
        action="store_true",
        help="deploy: include uncommitted changes, under an image tag that says so",
    )
    erase = ", people erase" if project.has_people else ""
    add(
        "--yes",
        action="store_true",
        help="deploy, promote: allow the file system to be replaced;"
        f" destroy, restore{erase}: do not ask",
    )
    add(
        "--with-deleted",
        action="store_true",
        help="restore: also bring back what people have deleted, and operators erased",
    )
    add("-f", "--follow", action="store_true", help="logs: keep printing new lines")
    if project.has_pool:
        add(
            "--group",
            metavar="NAME",
            help="invite: also put the person into this group, which is made if there is none",
        )
    if project.has_people:
        who = "in the user pool, in place of the e-mail address" if project.has_pool else ""
        who = who or "at the provider, as people list shows it"
        add("--subject", metavar="SUBJECT", help=f"people, export: the person's ID {who}")
        add(
            "--issuer",
            metavar="ISSUER",
            help="people, export: an earlier issuer of the subject; by default that of the stack",
        )
    pool = " and the user pool" if project.has_pool else ""
    add(
        "--keep-data",
        action="store_true",
        help=f"destroy: keep the file system with the conversations{pool} (the default)",
    )
    add(
        "--delete-data",
        action="store_true",
        help=f"destroy: delete the file system with the conversations{pool} too",
    )
    return parser


def read_command_line(
    arguments: Sequence[str], project: Project, environment: Mapping[str, str] = os.environ
) -> Options:
    """Return what is asked for. Raises UsageError; ends the program after --help."""
    known = verbs(project)
    parser = _make_parser(project, known)
    found, unknown = parser.parse_known_intermixed_args(arguments)
    for option in unknown:
        raise UsageError(f"There is no option {option}; --help lists the options.")
    given = vars(found)
    words = given.pop("words")
    if "help" in words:
        parser.print_help()
        parser.exit()
    for name in _WITH_VALUE:
        if given.get(name) == "":
            raise UsageError(f"{_option(name)} needs a value; --help shows how.")
    verb = words.pop(0) if words else "deploy"
    if verb not in known:
        *names, last = known
        raise UsageError(f'There is no verb "{verb}"; use {", ".join(names)} or {last}.')
    _check_options(verb, known, {name for name, value in given.items() if value})
    operands = _read_operands(verb, words, project, known)
    return _check(
        Options(
            verb=verb,
            tag=operands.get("tag", ""),
            source=operands.get("source", ""),
            action=operands.get("action", ""),
            archive=operands.get("archive", ""),
            email=operands.get("email", ""),
            environment=given["environment"] or "",
            family=given["stack_name"] or environment.get("STACK_NAME") or project.stack_name,
            region=given["region"]
            or environment.get("AWS_REGION")
            or environment.get("AWS_DEFAULT_REGION")
            or project.region,
            profile=given["profile"] or environment.get("AWS_PROFILE", ""),
            role_arn=given["role_arn"] or environment.get("CLOUDFORMATION_ROLE_ARN", ""),
            boundary_arn=environment.get("PERMISSIONS_BOUNDARY_ARN", ""),
            group=given.get("group") or "",
            subject=given.get("subject") or "",
            issuer=given.get("issuer") or "",
            dry_run=given["dry_run"],
            allow_dirty=given["allow_dirty"],
            yes=given["yes"],
            follow=given["follow"],
            keep_data=given["keep_data"],
            delete_data=given["delete_data"],
            with_deleted=given["with_deleted"],
            poll_seconds=_seconds(environment.get("POLL_SECONDS") or "5"),
            where=tuple(f"{_option(name)}={given[name]}" for name in _WHERE if given[name]),
        ),
        project,
    )


_WHERE = ["stack_name", "environment", "region", "profile"]
_WITH_VALUE = [*_WHERE, "role_arn", "group", "subject", "issuer"]
_OF_SOME_VERBS = {"dry_run", "allow_dirty", "yes", "follow", "keep_data", "delete_data"}
_OF_SOME_VERBS |= {"group", "subject", "issuer", "with_deleted"}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_options(verb: str, known: Mapping[str, Verb], given: set[str]) -> None:
    for name in sorted(given & _OF_SOME_VERBS - known[verb].options):
        raise UsageError(f"{verb} has no option {_option(name)}; --help shows which verb has it.")


def _read_operands(
    verb: str, words: list[str], project: Project, known: Mapping[str, Verb]
) -> dict[str, str]:
    """Return what the words after the verb mean."""
    names = {
        "promote": ["source"],
        "rollback": ["tag"],
        "invite": ["email"],
        "remove": ["email"],
        "people": ["action", "email"] if project.has_pool else ["action"],
        "export": ["email"] if project.has_pool else [],
        "restore": ["archive"],
    }.get(verb, [])
    for word in words[len(names) :]:
        if word in known:
            raise UsageError(f"One verb at a time: {verb} or {word}?")
        raise UsageError(f'{verb} does not know what to do with "{word}"; --help shows how.')
    return dict(zip(names, words, strict=False))


def _check(options: Options, project: Project) -> Options:
    if options.keep_data and options.delete_data:
        raise UsageError("Either --keep-data or --delete-data, not both.")
    for name in filter(None, (options.environment, options.source)):
        if name not in environments():
            raise UsageError(
                f'There is no environment "{name}". To make one, write what differs in it into'
                f" infra/parameters.{name}.json; [] is enough."
            )
        if name in TAKEN:
            raise UsageError(
                f'An environment can\'t be named "{name}", as another stack has that name.'
            )
    # "-access-logs" adds twelve characters, and 128 are allowed.
    if not re.fullmatch("[a-zA-Z][a-zA-Z0-9-]{0,115}", options.stack_name):
        raise UsageError(
            f'A stack can\'t be named "{options.stack_name}"; use a letter, then letters, digits'
            " and hyphens, 116 characters at most."
        )
    if options.verb == "promote" and not options.source:
        raise UsageError("promote needs the environment to take the image from, such as staging.")
    if options.verb == "promote" and options.source == options.environment:
        raise UsageError(f"{options.source} can't be promoted to itself.")
    if not re.fullmatch("[a-z]+(-[a-z]+)+-[0-9]+", options.region):
        raise UsageError(f'"{options.region}" is not an AWS region; for example: eu-central-1.')
    if options.verb in ("invite", "remove") and not _ADDRESS.fullmatch(options.email):
        raise UsageError(f"{options.verb} needs an e-mail address, such as ann@example.com.")
    if options.verb == "people":
        _check_people(options, project)
    if options.verb == "export":
        _check_export(options)
    if options.with_deleted and not options.archive:
        raise UsageError("--with-deleted needs an archive, or a recovery point, to restore.")
    for value in (options.group, options.subject, options.issuer):
        if value and not _WORD.fullmatch(value):
            raise UsageError(f'"{value}" must have no spaces, quotes or backslashes.')
    return options


def _check_export(options: Options) -> None:
    if options.issuer and not options.subject:
        raise UsageError("--issuer needs --subject.")
    _check_person(options)


def _check_person(options: Options) -> None:
    if options.email and not _ADDRESS.fullmatch(options.email):
        raise UsageError(
            f'"{options.email}" is not an e-mail address; for example: ann@example.com.'
        )
    if options.email and options.subject:
        raise UsageError("Either an e-mail address or --subject, not both.")


def _check_people(options: Options, project: Project) -> None:
    person = options.email or options.subject
    if options.action not in ACTIONS:
        raise UsageError("people needs one of list, find, export and erase; --help shows how.")
    if options.yes and options.action != "erase":
        raise UsageError(f"people {options.action} has no option --yes; it deletes nothing.")
    if options.action == "list" and person:
        raise UsageError("people list shows everyone, and takes no person.")
    if options.action != "list" and not person:
        way = (
            "an e-mail address, or --subject if the person was removed"
            if project.has_pool
            else "--subject, which people list shows"
        )
        raise UsageError(f"people {options.action} needs {way}.")
    _check_person(options)


def _seconds(value: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise UsageError(f'POLL_SECONDS must be a number of seconds, not "{value}".')
    return float(value)
