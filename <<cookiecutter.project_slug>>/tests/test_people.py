"""What is kept of a person is found, exported and erased by a command, and nothing else is."""

import base64
import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bedrock import BedrockStandIn
from support.store import append, new_session

from chatbot import people, usage
from chatbot.__main__ import main
from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.models import load_models
from chatbot.records import Claim, End, Owner, Prompt, Record, Text, Used
from chatbot.sessions import Session
from chatbot.settings import ROOT

ADA = Person("https://login.example.com", "-ada", "Ada\tLovelace\x1b[31m")
ADA_IN_WORDS = (f"--issuer={ADA.issuer}", f"--subject={ADA.subject}")

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command as an operator does."""

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "chatbot", "people", *words]
        environment = os.environ | {"CHATBOT_SESSIONS_DIR": str(tmp_path / "sessions")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    return run


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Ada's session, with a chat, a file, a value and usage."""
    session = Session(session_folder(tmp_path / "sessions", ADA))
    chat = session.conversation(new_conversation_id())
    append(chat, Prompt("t1", "Who was Byron?"), Claim("t1", 1, "w", "nova"))
    append(chat, Text("t1", 1, "A poet."), End("t1", 1, "complete", "max_tokens"))
    session["team"] = "Engines"
    session.attach(b"a picture")
    records: list[Record] = [Owner(ADA.issuer, ADA.subject, ADA.name)]
    records += [Used("2026-11-26", "nova", 1000, 234, 0.5)]
    session.usage.update(lambda: records, create=True)
    return session


@pytest.fixture
def other(session: Session) -> Session:
    """Somebody else's session."""
    other = new_session(session.folder.parent)
    append(other.conversation(new_conversation_id()), Prompt("t1", "Not yours"))
    other.attach(b"their picture")
    return other


def test_what_is_kept_is_found(run: Run, session: Session) -> None:
    done = run("find", *ADA_IN_WORDS)
    assert done.returncode == 0
    told = done.stdout.decode()
    size = sum(each.stat().st_size for each in session.folder.rglob("*") if each.is_file())
    for line in (
        f"Session:   {session.id}",
        "Chats:     1",
        f"Files:     4, {size} bytes",
        "Answers:   1",
        "Tokens:    1000 sent, 234 written",
        "Cost:      0.50 US dollars",
    ):
        assert line in told.splitlines()


def test_everybody_who_has_asked_is_listed_on_one_line_each(
    run: Run, session: Session, other: Session
) -> None:
    done = run("list")
    [line] = done.stdout.decode().splitlines()
    assert line.split("\t")[:3] == [ADA.issuer, "-ada", "Ada Lovelace [31m"]
    assert "Byron" not in line


def open_archive(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        assert all(each.isreg() for each in archive)
        files = {each: archive.extractfile(each) for each in archive.getnames()}
        return {name: file.read() for name, file in files.items() if file}


def test_an_export_has_the_files_as_they_are_and_the_chats_to_read(
    run: Run, session: Session, other: Session
) -> None:
    done = run("export", *ADA_IN_WORDS)
    assert done.returncode == 0
    files = open_archive(done.stdout)
    kept = {
        f"files/{each.relative_to(session.folder)}": each.read_bytes()
        for each in session.folder.rglob("*")
        if each.is_file()
    }
    [chat] = session.conversations()
    text = files.pop(f"chats/{chat.id}.md").decode()
    assert files == kept
    for words in ("# Who was Byron?", "## Question", "A poet.", "limit of length"):
        assert words in text


def test_an_export_as_text_is_the_same_between_two_marks(run: Run, session: Session) -> None:
    session.attach(os.urandom(50_000))
    begin, *lines, end = run("export", "--base64", *ADA_IN_WORDS).stdout.decode().splitlines()
    assert (begin, end) == ("-----BEGIN EXPORT-----", "-----END EXPORT-----")
    assert {len(line) for line in lines[:-1]} == {8000}
    content = b"".join(map(base64.b64decode, lines))
    assert open_archive(content) == open_archive(run("export", *ADA_IN_WORDS).stdout)


def test_an_export_leads_to_nothing_that_is_somebody_elses(
    run: Run, session: Session, other: Session
) -> None:
    secret = other.folder / f"{other.conversations()[0].id}.jsonl"
    link = "20260101T000000000000-00000000"
    (session.folder / f"{link}.jsonl").symlink_to(secret)
    (session.folder / "20260101T000000000000-00000001.jsonl").mkdir()
    (session.folder / "attachments" / "link").symlink_to(other.folder)
    os.mkfifo(session.folder / "pipe")
    (session.folder / "line\nfeed").write_text("odd")
    files = open_archive(run("export", *ADA_IN_WORDS).stdout)
    assert not [name for name in files if "link" in name or "pipe" in name or link in name]
    assert b"Not yours" not in b"".join(files.values())
    assert files["files/line\nfeed"] == b"odd"
    assert b"Chats:     1\n" in run("find", *ADA_IN_WORDS).stdout


def test_an_export_that_fails_has_no_mark_at_its_end(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setattr("chatbot.storage.LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(sys, "argv", ["chatbot", "people", "export", "--base64", *ADA_IN_WORDS])
    [chat] = session.conversations()
    with (session.folder / f"{chat.id}.jsonl").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main() == 1
    output = capsysbinary.readouterr()
    assert b"did not answer in time" in output.err
    assert b"BEGIN EXPORT" in output.out and b"END EXPORT" not in output.out


def test_a_terminal_gets_no_archive(session: Session, tmp_path: Path) -> None:
    main, terminal = os.openpty()
    try:
        command = [sys.executable, "-m", "chatbot", "people", "export", *ADA_IN_WORDS]
        done = subprocess.run(command, cwd=ROOT, stdout=terminal, stderr=subprocess.PIPE)
    finally:
        os.close(main)
        os.close(terminal)
    assert done.returncode == 2
    assert b"--base64" in done.stderr


def test_all_of_a_person_is_erased_and_nothing_of_others(
    run: Run, session: Session, other: Session
) -> None:
    (session.folder / "notes.txt").write_text("not the chatbot's")
    chat = f"{other.conversations()[0].id}.jsonl"
    (session.folder / "20260101T000000000000-00000000.jsonl").symlink_to(other.folder / chat)
    shutil.rmtree(session.folder / "attachments")
    (session.folder / "attachments").symlink_to(other.folder / "attachments")
    before = {each: each.read_bytes() for each in other.folder.rglob("*") if each.is_file()}
    done = run("erase", *ADA_IN_WORDS)
    assert done.returncode == 0
    assert done.stdout.decode().startswith("Erased:\n")
    assert "Chats:     1" in done.stdout.decode()
    assert not session.folder.exists()
    after = {each: each.read_bytes() for each in other.folder.rglob("*") if each.is_file()}
    assert after == before
    for action in ("find", "export", "erase"):
        again = run(action, *ADA_IN_WORDS)
        assert (again.returncode, again.stdout) == (1, b"")
        assert again.stderr == b"Nothing is kept of that person.\n"


def test_nothing_of_an_answer_comes_back_that_is_erased_while_it_is_written(
    run: Run, session: Session, bedrock: BedrockStandIn
) -> None:
    assistant = Assistant(Bedrock("us-east-1"), load_models(), "Be kind.")
    more = threading.Event()
    bedrock.reply("One ", more, "two.")
    chat: Conversation = session.conversation(new_conversation_id())
    turn = assistant.ask(chat, "Hello", "")
    next(each for each in assistant.follow(chat, turn) if each.turn.answer)
    assert run("erase", *ADA_IN_WORDS).returncode == 0
    more.set()
    usage.remember(session.folder, ADA)
    assistant.close()
    assert not session.folder.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("find",), b"--issuer"),
        (("find", "--issuer=x"), b"--subject"),
        (("forget", *ADA_IN_WORDS), b"invalid choice"),
    ],
)
def test_a_wrong_command_is_explained(run: Run, words: tuple[str, ...], complaint: bytes) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_storage_that_is_missing_is_not_taken_for_an_empty_one(run: Run, tmp_path: Path) -> None:
    done = run("find", *ADA_IN_WORDS)
    assert done.returncode == 1
    assert b"storage has a problem" in done.stderr
    assert b"storage has a problem" in run("list").stderr
    (tmp_path / "sessions").write_text("a file where the folder should be")
    assert b"storage has a problem" in run("erase", *ADA_IN_WORDS).stderr


def test_the_command_starts_without_streamlit_and_boto3() -> None:
    code = "import sys, chatbot.__main__; print({'streamlit', 'boto3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_an_export_for_a_log_is_written_no_faster_than_the_log_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("chatbot.people.time.sleep", waited.append)
    log = io.BytesIO()
    lines = people.Base64Lines(log)
    lines.write(bytes(3 * people.LINE + 1))
    lines.complete()
    assert len(log.getvalue().splitlines()) == 6  # with the two marks
    assert waited == [people.LINE_EVERY] * 4
