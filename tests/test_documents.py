"""The documents are true: their commands are accepted, their links lead somewhere.

Each command in a block for a shell, and each one in a line that runs a program, is typed into a
shell: see support/commands.py for what runs then, and what only has its words checked.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chatbot.conversations import new_conversation_id
from chatbot.identity import Person, new_key, session_folder
from chatbot.records import Claim, End, Owner, Prompt, Record, Text
from chatbot.sessions import Session

from support.aws_emulator import CLI
from support.commands import OTHERS, PROGRAMS, Shell, refusal, refusals_of_ours
from support.diagram import draw
from support.documents import Command, Document, dead_links, documents, verbs_in
from support.options import CONTEXT, NOTHING_BY_DEFAULT, SIGN_INS
from support.paths import ROOT
from support.projects import Project, clean_environment
from support.rendering import Bake, InfrastructureRenderer
from support.yaml_reading import read_yaml

IN_TEMPLATE = ("*.md", ".github/*.md", "docs/*.md")
IN_PROJECT = ("**/*.md",)
VERSION = f"v{CONTEXT['_template_version']}"
# What a reader puts into a command, and what these tests put there.
PLACEHOLDERS = {
    "ARN": "arn:aws:backup:us-east-1:111122223333:recovery-point:1",
    "E-MAIL": "ann@example.com",
    "FILE": "all.tar.gz",
    "FOLDER": "../distribution",
    "FROM": "staging",
    "TAG": "0123abc",
}
OPTION = re.compile(r'"(--[a-z][a-z0-9-]*)"')  # as programs declare them
FIGURE = re.compile(r"\$\d|\d (people|browsers|[MG]i?B)\b|\d ?%")
SOURCE = re.compile(r"python3 dev\.py benchmark|costs\.md|[Pp]ric(e|ing)|by arithmetic")
# Sections whose figures are limits that the program keeps to, and that a team may change.
SETTINGS = {
    "docs/change.md": {"Colors, fonts and a logo"},
    "docs/data.md": {"Files", "Export and restore", "Keep something of your own"},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository, as it is now, whose origin is on this machine."""
    folder = tmp_path_factory.mktemp("clone") / "chatbot-template"
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    commit(folder)
    git(folder, "clone", "--quiet", "--bare", ".", f"{folder}.git")
    git(folder, "remote", "add", "origin", f"file://{folder}.git")
    return folder


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other distribution, in a repository of its own, with the tag of its version."""
    folder = tmp_path_factory.mktemp("distribution") / "chatbot-template"
    command = [sys.executable, "-B", "distribution.py", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    commit(folder)
    git(folder, "tag", VERSION)
    return folder


@pytest.fixture(scope="module")
def rendered(bake_to_keep: Bake) -> list[Project]:
    """Projects that have, together, all that the documents of a project may say."""
    others = NOTHING_BY_DEFAULT
    return [
        bake_to_keep(**(others if way == "none" else {}) | {"sign_in": way}) for way in SIGN_INS
    ]


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Team", "-c", "user.email=team@localhost")
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All")


def fill(command: str, address: Path) -> str:
    """Put something into the places of a command that a reader fills in."""
    values = PLACEHOLDERS | {"ADDRESS": str(address)}
    return re.sub(
        rf"(?<=[ =])({'|'.join(values)})(?=\s|$)", lambda found: values[found[0]], command
    )


def complaints(
    shell: Shell,
    found: list[Document],
    project: Project,
    address: Path,
    elsewhere: Path,
    seen: set[Command],
) -> Iterator[str]:
    """Run the commands in documents that were not seen before; yield what is wrong with each.

    project: the one whose deployment.sh is meant.
    elsewhere: the folder of programs that sentences may speak of, too.
    """
    lines: list[tuple[list[Path], list[str]]] = []
    places = []
    for document in found:
        for command in document.commands(PROGRAMS, verbs_in(found)):
            if command in seen:
                continue
            seen.add(command)
            place = f"{document.name}: {command.text}"
            if wrong := shell.run(fill(command.text, address), document.folder):
                yield f"{place}\n{wrong}"
            for folder, words in shell.take_notes():
                if not words[0].startswith("python"):
                    if wrong := refusal(words):
                        yield f"{place}\n{wrong}"
                    continue
                lines.append(([folder] if command.is_block else [folder, elsewhere], words[1:]))
                places.append(place)
    for place, wrong in zip(places, refusals_of_ours(project.path, lines), strict=True):
        if wrong:
            yield f"{place}\n{wrong}"


def prepare(project: Project, shell: Shell) -> None:
    """Make what documents speak of: an environment of Python, one for staging, and chats."""
    environment = project.path / ".venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(shell.programs / "python3")
    (project.path / "infra" / "parameters.staging.json").write_text("[]")
    person = Person("https://login.example.com", "0a1b2c", "Ann")
    for owner in (person, new_key()):
        session = Session(session_folder(project.path / "session_data", owner))
        lines: list[Record] = [Prompt("t1", "Who was Byron?"), Claim("t1", 1, "w", "nova")]
        lines += [Text("t1", 1, "A poet."), End("t1", 1, "complete", "end_turn")]
        session.conversation(new_conversation_id()).update(lambda: lines, create=True)  # noqa: B023
        whose: list[Record] = [Owner(person.issuer, person.subject, person.name)]
        if owner == person:
            session.usage.update(lambda: whose, create=True)  # noqa: B023


def test_the_templates_commands_are_accepted(
    template: Path, rendered: list[Project], distribution: Path, tmp_path: Path
) -> None:
    found = [each for each in documents(template, *IN_TEMPLATE) if each.name != "CHANGELOG.md"]
    shell = Shell(tmp_path)
    demo = template / "build" / "demo" / "team-chatbot"  # which `python3 dev.py demo` would render
    shutil.copytree(rendered[0].path, demo)
    project = rendered[0]
    wrong = list(complaints(shell, found, project, distribution, project.path, set()))
    assert not wrong, "\n\n".join(wrong)


def test_the_projects_commands_are_accepted(
    rendered: list[Project], distribution: Path, tmp_path: Path
) -> None:
    seen: set[Command] = set()
    wrong: list[str] = []
    for number, project in enumerate(rendered):
        shell = Shell(tmp_path / str(number))
        prepare(project, shell)
        found = documents(project.path, *IN_PROJECT)
        wrong += complaints(shell, found, project, distribution, ROOT, seen)
    assert not wrong, "\n\n".join(wrong)


def test_options_in_sentences_are_those_of_a_program(rendered: list[Project]) -> None:
    """Such as `--dry-run`, where the sentence has the rest of the command."""
    ours = (path for folder in (ROOT, rendered[0].path) for path in folder.glob("*.py"))
    packages = (rendered[0].path / name for name in ("chatbot", "deployment"))
    files = [*ours, *(path for package in packages for path in package.glob("*.py"))]
    known = {option for file in files for option in OPTION.findall(file.read_text("utf-8"))}
    known |= {
        each for program in OTHERS.values() for options in program.values() for each in options
    }
    named = {
        (document.name, option)
        for folder in (ROOT, *(project.path for project in rendered))
        for document in documents(folder, *IN_TEMPLATE)
        for option in re.findall(r"`(--[a-z][a-z0-9-]*)[^`]*`", document.text)
    }
    assert len(named) > 10
    assert not {(name, option) for name, option in named if option not in known}


@pytest.mark.aws
@pytest.mark.skipif(not CLI.exists(), reason="Debian's package awscli is not installed")
def test_the_aws_cli_accepts_its_command_lines(
    rendered: list[Project], programs: Path, tmp_path: Path
) -> None:
    """It reads them, with the values, and then finds nobody who answers."""
    shell = Shell(tmp_path)
    texts = {
        (command.text, project.path)
        for project in rendered
        for document in documents(project.path, *IN_PROJECT)
        for command in document.commands(PROGRAMS)
        if "aws " in command.text
    }
    for text, folder in texts:
        shell.run(text, folder)
    environment = clean_environment() | {
        "AWS_CLI_SOCKET": str(programs.parent / "aws.socket"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    lines = {(folder, tuple(words)) for folder, words in shell.take_notes() if words[0] == "aws"}
    newer = ("configure", "sso")  # than some version of the CLI in Debian
    for folder, (_, *words) in lines:
        if words[0] not in newer:
            command = [str(programs / "aws"), *words]
            done = subprocess.run(
                command, cwd=folder, env=environment, input="secret", capture_output=True, text=True
            )
            # It asked AWS; or another command's output is missing; or the line is only a name.
            known = "Could not connect|Invalid length for parameter|arguments are required"
            assert re.search(known, done.stderr), (words, done.stderr)
    assert len(lines) > 8


def test_the_templates_links_lead_somewhere(template: Path) -> None:
    """Those of projects: test_render.py."""
    for document in documents(template, *IN_TEMPLATE):
        assert not dead_links(document), document.name


def test_the_figures_in_the_readme_are_those_that_were_measured(rendered: list[Project]) -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    crowd, capacity, image = map(measured, ("crowd", "capacity", "image"))
    people = capacity["sizes"]["0.25"]["people"]
    megabytes = 10 * round(image["template"]["packages"] / 10)
    assert round(image["template"]["start"]) == 2
    one, two = total(rendered[0])
    for said in (
        f"One task of 0.25 vCPU answers {people} people who chat at once",
        f"takes in {max(map(int, crowd['template']))} browsers",
        f"An image with about {megabytes} MB of packages that starts in two seconds",
        f"starts at ${one:.0f} a month with one small task, and ${two:.0f} with the two",
    ):
        assert said in readme, f"The README has another figure; it should say: {said}"


def measured(subject: str) -> Any:
    return json.loads((ROOT / "docs" / f"{subject}.json").read_text(encoding="utf-8"))


def total(project: Project) -> list[float]:
    """Return what the project's document says that it costs, with one task and with two."""
    [row] = re.findall(r"^\| total \|(.*)\|$", project.read("docs/costs.md"), re.MULTILINE)
    return [float(each) for each in row.split("|")]


def test_the_cluster_of_containers_takes_every_setting(rendered: list[Project]) -> None:
    """But for the folder, which is the image's, and the hostname: each container has its own."""
    for project in rendered:
        told = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", project.read("docs/settings.md")))
        task = read_yaml(project.read("compose.yaml"))["services"]["task"]
        own = {"CHATBOT_SESSIONS_DIR", "CHATBOT_HOSTNAME"}
        assert told - own <= task["environment"].keys(), project.path.name
        assert len(told) > 10


def test_the_costs_are_the_sum_of_their_rows(rendered: list[Project]) -> None:
    for project in rendered:
        table = project.read("docs/costs.md").partition("| total |")[0]
        rows = re.findall(r"^\| .*\| (\d+\.\d\d) \| (\d+\.\d\d) \|$", table, re.MULTILINE)
        assert [round(sum(map(float, each)), 2) for each in zip(*rows, strict=True)] == total(
            project
        )


def test_what_costs_by_the_gb_or_the_account_is_named_beside_the_sum(
    rendered: list[Project],
) -> None:
    named = {
        "BackupPolicy: { Status: ENABLED }": "AWS Backup",
        "AWS::ECR::Repository": "images in ECR",
        "AWS::CloudWatch::Dashboard": "the dashboard",
        "AWS::EFS::FileSystem": "conversations",
        "AWS::Logs::LogGroup": "logs",
    }
    for project in rendered:
        made = project.read("infra/template.yml") + project.read("infra/registry.yml")
        rest = project.read("docs/costs.md").partition("Not included:")[2]
        for resource, what in named.items():
            assert resource in made and f"- {what}" in rest


def test_a_gateway_would_cost_what_the_document_says(rendered: list[Project]) -> None:
    costs = rendered[0].read("docs/costs.md")
    [gateway] = re.findall(r"a NAT gateway .* \| (\d+\.\d\d) \|", costs)
    [addresses] = re.findall(r"their public IPv4 addresses \| .* \| (\d+\.\d\d) \|", costs)
    _, two = total(rendered[0])
    instead = two + float(gateway) - float(addresses)
    aws = " ".join((ROOT / "docs" / "aws.md").read_text(encoding="utf-8").split())
    assert f"costs about ${two:.0f} a month; with a gateway in" in aws
    assert f"their addresses, ${instead:.0f} (by the prices" in aws


@pytest.mark.parametrize("subject", sorted(path.stem for path in ROOT.glob("docs/*.json")))
def test_what_is_generated_begins_with_its_command(subject: str) -> None:
    document = Document(ROOT, ROOT / "docs" / f"{subject}.md")
    beginning, table, _ = document.text.partition("\n| ")
    assert table
    name = "" if subject == "benchmarks" else f" {subject}"
    assert f"```bash\npython3 dev.py benchmark{name}\n```" in beginning


def test_figures_say_who_measured_them_or_what_they_follow_from(rendered: list[Project]) -> None:
    """Each section with money, people or memory names a command, or a list of prices."""
    for document in (*documents(ROOT, *IN_TEMPLATE), *documents(rendered[0].path, *IN_PROJECT)):
        beginning, *sections = re.split(r"^(?=##)", document.text, flags=re.MULTILINE)
        for section in sections or [beginning]:
            said = section if SOURCE.search(beginning) is None else ""
            if FIGURE.search(re.sub(r"```.*?```", "", said, flags=re.DOTALL)):
                heading = section.splitlines()[0].strip("# ")
                is_named = SOURCE.search(section) or heading in SETTINGS.get(document.name, ())
                assert is_named, f"{document.name}, {heading}: name the command"


def test_the_diagram_is_what_the_template_deploys(
    render_infrastructure: InfrastructureRenderer,
) -> None:
    committed = (ROOT / "docs" / "pictures" / "stack.svg").read_text(encoding="utf-8")
    again = "it is out of date: python3 dev.py pictures"
    assert draw(render_infrastructure()) == committed, again


def test_the_diagram_leaves_nothing_out(render_infrastructure: InfrastructureRenderer) -> None:
    infrastructure = render_infrastructure()
    infrastructure.template["Resources"]["Queue"] = {"Type": "AWS::SQS::Queue"}
    with pytest.raises(ValueError, match="No box stands for Queue"):
        draw(infrastructure)
