"""Sessions leave in an archive and come back; what is there stays, and so does a deletion."""

import gzip
import io
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.page import OpenPage
from support.store import append, new_session, reread_turns

from chatbot import archives, deletions
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.identity import Person, new_key, session_folder
from chatbot.records import Claim, Delete, End, Owner, Prompt, Text
from chatbot.retention import DAY, sweep
from chatbot.sessions import Session
from chatbot.settings import ROOT

ADA = Person("https://login.example.com", "ada", "Ada")
BOB = Person("https://login.example.com", "bob", "Bob")

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of all sessions."""
    return tmp_path / "sessions"


@pytest.fixture
def run(root: Path) -> Run:
    """Run the command as an operator does."""

    def run(*words: str, at: Path = root, **options: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "chatbot", *words]
        environment = os.environ | {"CHATBOT_SESSIONS_DIR": str(at)}
        options = {"stdout": subprocess.PIPE} | options
        done = subprocess.run(  # type: ignore[call-overload]
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, **options
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done  # type: ignore[no-any-return]

    return run


@pytest.fixture
def ada(root: Path) -> Session:
    """Ada's session, with all that a session may hold."""
    session = Session(session_folder(root, ADA))
    ask(session, "Who was Byron?", "A poet.")
    session["team"] = "Engines"
    session["picture"] = session.attach(b"a picture")
    session.end_sign_in("s1")
    session.usage.update(lambda: [Owner(ADA.issuer, ADA.subject, ADA.name)], create=True)
    return session


def ask(session: Session, prompt: str, answer: str = "An answer.") -> Conversation:
    chat = session.conversation(new_conversation_id())
    append(chat, Prompt("t1", prompt), Claim("t1", 1, "w", "nova"))
    append(chat, Text("t1", 1, answer), End("t1", 1, "complete"))
    return chat


def content_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return all files in the folder with their content and time."""
    return {
        str(each.relative_to(folder)): (each.read_bytes(), int(each.stat().st_mtime))
        for each in folder.rglob("*")
        if each.is_file()
    }


def export(run: Run, file: Path, *words: str) -> Path:
    done = run("export", *words)
    assert done.returncode == 0, done.stderr.decode()
    file.write_bytes(done.stdout)
    return file


def restore(run: Run, file: Path, *words: str) -> list[str]:
    """Restore from the archive, and return what that says."""
    done = run("restore", str(file), *words)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def prompts(root: Path, person: Person) -> list[str]:
    """Return what the person asked, as the page of another process would list it."""
    return [each.title for each in Session(session_folder(root, person)).conversations()]


# Round trips


def test_what_was_exported_and_lost_comes_back_as_it_was(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    bob = Session(session_folder(root, BOB))
    for age, prompt in enumerate(("The newest", "The second", "The third")):
        chat = ask(bob, prompt)
        os.utime(chat.path, (time.time() - age * 60,) * 2)
    file = export(run, tmp_path / "all.tar.gz")
    before = content_of(root)
    shutil.rmtree(root)
    assert restore(run, file) == [
        "Sessions:    2, of which 2 were not there",
        "Chats:       4 added, 0 continued, 0 left as they are",
        "Other files: 4 added, 0 continued, 0 left as they are",
        "Not brought back: 0 damaged, 0 deleted on purpose",
    ]
    assert content_of(root) == before
    again = Session(session_folder(root, ADA))
    assert [
        turn.answer for turn in reread_turns(ada.conversation(again.newest_conversation()))
    ] == ["A poet."]
    assert again["team"] == "Engines" and again.attachment(again["picture"]) == b"a picture"
    assert again.has_ended("s1")
    assert prompts(root, BOB) == ["The newest", "The second", "The third"]


def test_an_unpacked_archive_is_a_folder_of_sessions_and_of_nothing_else(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    kept = {f"sessions/{name}": content for name, (content, _) in content_of(root).items()}
    ask(ada, "Deleted").delete()
    for name in (".retention", ".clock", "notes.txt", "0123/session.jsonl"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("not a session's")
    (ada.folder / "attachments" / f"{'0' * 64}.12345678").write_text("unfinished")
    (ada.folder / "notes.txt").write_text("not the chatbot's")
    (ada.folder / f"{new_conversation_id()}.jsonl").symlink_to("/etc/passwd")
    append(ask(ada, "Is just being deleted"), Delete())
    file = export(run, tmp_path / "all.tar.gz")
    shutil.unpack_archive(file, root)  # as tar would
    unpacked = root / "sessions"
    found = {f"sessions/{name}": content for name, (content, _) in content_of(unpacked).items()}
    assert found == kept
    assert prompts(unpacked, ADA) == ["Who was Byron?"]


def test_one_persons_session_is_exported_alone(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    ask(Session(session_folder(root, BOB)), "Not hers")
    words = (f"--issuer={ADA.issuer}", f"--subject={ADA.subject}")
    file = export(run, tmp_path / "ada.tar.gz", *words)
    shutil.rmtree(root)
    restore(run, file)
    assert [each.name for each in root.iterdir()] == [ada.id]
    done = run("export", f"--issuer={ADA.issuer}", "--subject=nobody")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"Nothing is kept of that person.\n"


# What is there


def test_a_chat_that_went_on_stays_and_one_that_was_cut_is_completed(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    cut, other = ask(ada, "Cut"), ask(ada, "Written by hand")
    file = export(run, tmp_path / "all.tar.gz")
    [byron] = [each for each in ada.conversations() if each.title == "Who was Byron?"]
    went_on = ada.conversation(byron.id)
    append(went_on, Prompt("t2", "And Ada?"))
    whole = cut.path.read_bytes()
    cut.path.write_bytes(whole[: len(whole) // 2])
    follower = Conversation(cut.path)
    follower.refresh()
    other.path.write_bytes(other.path.read_bytes().replace(b"hand", b"foot"))
    before = content_of(root)
    assert restore(run, file)[1] == "Chats:       0 added, 1 continued, 2 left as they are"
    changed = {name for name, each in content_of(root).items() if before[name] != each}
    assert changed == {f"{ada.id}/{cut.path.name}"}
    assert cut.path.read_bytes() == whole
    follower.refresh()  # as a task that has read the beginning
    assert (follower.damaged, [turn.state for turn in follower.turns]) == (0, ["complete"])
    assert [turn.prompt for turn in reread_turns(went_on)] == ["Who was Byron?", "And Ada?"]


@pytest.mark.parametrize("words", [[], ["--with-deleted"]])
def test_a_file_of_a_deleted_chat_comes_back_only_with_it(
    run: Run, root: Path, tmp_path: Path, ada: Session, words: list[str]
) -> None:
    both, one = ada.attach(b"of both"), ada.attach(b"of one")
    deleted, kept = ask(ada, "Deleted"), ask(ada, "Kept")
    for chat, names in ((deleted, [both, one]), (kept, [both])):
        files = [{"hash": name, "name": "a.txt", "kind": "txt", "size": 6} for name in names]
        append(chat, Prompt("t2", "Read", files=files))
    file = export(run, tmp_path / "all.tar.gz")
    ada.delete_conversation(deleted.id)
    for name in (both, ada["picture"]):
        (ada.folder / "attachments" / name).unlink()
    for more in (["--dry-run"], []):
        told = restore(run, file, *words, *more)
        others, rest = ("3", 0) if words else ("2", 2)
        assert told[2].startswith(f"Other files: {others} added")
        assert f"{rest} deleted on purpose" in told[-1]
    assert ada.has_attachment(both) and ada.has_attachment(ada["picture"])
    assert ada.has_attachment(one) == deleted.path.exists() == bool(words)


def test_a_restore_that_is_repeated_changes_nothing(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    file = export(run, tmp_path / "all.tar.gz")
    before = content_of(root)
    assert restore(run, file) == [
        "Sessions:    1, of which 0 were not there",
        "Chats:       0 added, 0 continued, 1 left as they are",
        "Other files: 0 added, 0 continued, 4 left as they are",
        "Not brought back: 0 damaged, 0 deleted on purpose",
    ]
    assert content_of(root) == before


def test_a_dry_run_counts_and_changes_nothing(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    ask(ada, "Lost")
    file = export(run, tmp_path / "all.tar.gz")
    lost = ada.folder / f"{ada.newest_conversation()}.jsonl"
    lost.unlink()
    before = content_of(root)
    assert restore(run, file, "--dry-run")[1] == (
        "Chats:       1 added, 0 continued, 1 left as they are"
    )
    assert content_of(root) == before
    shutil.rmtree(root)
    assert restore(run, file, "--dry-run")[0] == "Sessions:    1, of which 1 were not there"
    assert not root.exists()


def test_what_comes_back_is_not_deleted_by_the_next_sweep(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    for file in ada.folder.rglob("*"):
        os.utime(file, (time.time() - 91 * DAY,) * 2)
    archive = export(run, tmp_path / "all.tar.gz")
    os.utime(ada.folder, (time.time() - 91 * DAY,) * 2)
    assert sweep(root, 90, lambda _: None) == 1
    restore(run, archive)
    (root / ".retention").unlink()
    assert sweep(root, 90, lambda _: None) == 0
    assert prompts(root, ADA) == ["Who was Byron?"]


def test_a_time_in_the_future_does_not_keep_a_session_for_ever(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    for file in ada.folder.rglob("*"):
        os.utime(file, (time.time() + 1000 * DAY,) * 2)
    archive = export(run, tmp_path / "all.tar.gz")
    shutil.rmtree(root)
    restore(run, archive)
    assert all(each.stat().st_mtime <= time.time() for each in ada.folder.rglob("*"))


# What was deleted


def test_a_deleted_chat_comes_back_only_if_that_is_asked_for(
    run: Run, root: Path, tmp_path: Path, open_page: OpenPage, key: str
) -> None:
    session = Session(session_folder(root, key))
    kept, unwanted = ask(session, "Keep this"), ask(session, "Forget this")
    file = export(run, tmp_path / "all.tar.gz")
    page = open_page()
    page.menu_button(key=f"menu-{unwanted.id}").set_value("delete").run()
    page.button(key="delete-chat").click().run()
    session.finish_removals(time.time() + 1)
    assert not unwanted.path.exists()
    kept.path.unlink()  # by an accident
    assert restore(run, file)[-1] == (
        "Not brought back: 0 damaged, 1 deleted on purpose; --with-deleted brings these back"
    )
    assert [each.title for each in session.conversations()] == ["Keep this"]
    restore(run, file, "--with-deleted")
    assert {each.title for each in session.conversations()} == {"Keep this", "Forget this"}


def test_a_title_and_a_pin_come_back_with_their_chat_and_go_with_it(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    kept, unwanted = ask(ada, "Keep this"), ask(ada, "Forget this")
    for chat in (kept, unwanted):
        ada.rename_conversation(chat.id, f"My {chat.id}")
        ada.pin_conversation(chat.id, True)
    file = export(run, tmp_path / "all.tar.gz")
    ada.delete_conversation(unwanted.id)
    marks = root.rename(tmp_path / "old") / ".deleted"
    root.mkdir()
    marks.rename(root / ".deleted")
    restore(run, file)
    titles = {chat.title: chat.pinned for chat in ada.conversations()}
    assert titles[f"My {kept.id}"]
    assert f"My {unwanted.id}" not in titles
    assert not list(root.rglob(f"{unwanted.id}*.jsonl"))


@pytest.mark.parametrize("by", ["person", "operator"])
def test_of_who_deleted_everything_only_what_came_later_comes_back(
    run: Run, root: Path, tmp_path: Path, ada: Session, by: str
) -> None:
    for file in [each for each in ada.folder.rglob("*") if each.is_file()]:
        os.utime(file, (time.time() - 60,) * 2)
    early = export(run, tmp_path / "early.tar.gz")
    if by == "person":
        ada.delete()
    else:
        words = (f"--issuer={ADA.issuer}", f"--subject={ADA.subject}")
        assert run("people", "erase", *words).returncode == 0
    assert "--with-deleted brings these back" in restore(run, early)[-1]
    assert prompts(root, ADA) == []
    os.utime(root / deletions.FOLDER / ada.id, (time.time() - 30,) * 2)
    ask(ada, "A new life")
    late = export(run, tmp_path / "late.tar.gz")
    shutil.rmtree(ada.folder)
    restore(run, early)
    restore(run, late)
    assert prompts(root, ADA) == ["A new life"]
    restore(run, early, "--with-deleted")
    assert set(prompts(root, ADA)) == {"A new life", "Who was Byron?"}


def test_who_has_nothing_leaves_no_mark_and_marks_are_forgotten_after_a_year(
    root: Path, ada: Session
) -> None:
    new_session(root).delete()
    assert not (root / deletions.FOLDER).exists()
    ada.delete_conversation(ada.newest_conversation())
    ada.delete()
    old, young = sorted((root / deletions.FOLDER).iterdir())
    os.utime(old, (time.time() - 367 * DAY,) * 2)
    os.utime(young, (time.time() - 365 * DAY,) * 2)
    sweep(root, 90, lambda _: None)
    assert list((root / deletions.FOLDER).iterdir()) == [young]


def test_people_can_delete_where_there_is_no_room_for_a_mark(
    root: Path, ada: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deletions, "touch", full)
    ada.delete()
    assert prompts(root, ADA) == []


# Archives from anywhere


SESSION = "5bf3de6f" * 8
CHAT = f"sessions/{SESSION}/20261124T093012123456-923ea622.jsonl"
LINE = b'{"v":1,"at":"2026-11-24","type":"prompt","turn":"t1","text":"Planted"}\n'


def member(name: str, content: bytes = LINE, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def packed(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.USTAR_FORMAT) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


GOOD = member(CHAT)
HUGE = tarfile.TarInfo(CHAT)
HUGE.size = archives.LIMIT + 1


@pytest.mark.parametrize(
    ("archive", "part"),
    [
        (packed(GOOD, member("../evil")), "'../evil' is in it"),
        (packed(GOOD, member("/etc/passwd")), "'/etc/passwd' is in it"),
        (packed(GOOD, member(f"sessions/{SESSION}/../../evil")), "no export of this chatbot"),
        (packed(GOOD, member("sessions/not-a-session/session.jsonl")), "no export"),
        (packed(GOOD, member(f"sessions/{SESSION}/.bashrc")), "no export"),
        (packed(GOOD, member(f"sessions/{SESSION}/attachments/../x")), "no export"),
        (packed(GOOD, member("files/session.jsonl")), "'files/session.jsonl' is in it"),
        (packed(GOOD, member("a\x1b[31m\n")), "'a [31m ' is in it"),
        (packed(GOOD, member(CHAT, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "no exp"),
        (packed(GOOD, member(CHAT, b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")), "no exp"),
        (packed(GOOD, member(CHAT, b"", type=tarfile.CHRTYPE)), "no export"),
        (packed(GOOD, member(CHAT, b"", type=tarfile.DIRTYPE)), "no export"),
        (packed(GOOD, member("x" * 300), format=tarfile.PAX_FORMAT), "no export"),
        (packed(GOOD, member("x" * 300), format=tarfile.GNU_FORMAT), "no export"),
        (gzip.compress(HUGE.tobuf(tarfile.USTAR_FORMAT)), "has a file of more than 64 MB"),
        (packed(GOOD, GOOD)[:-20], "or it is damaged"),
        (packed(GOOD)[:-6] + b"\0\0" + packed(GOOD)[-4:], "or it is damaged"),
        (gzip.compress(gzip.decompress(packed(GOOD))[:600]), "or it is damaged"),
        (gzip.compress(gzip.decompress(packed(GOOD)) + b"more"), "or it is damaged"),
        (packed(GOOD) + b"more", "or it is damaged"),
        (gzip.compress(b"no tar file" * 100), "or it is damaged"),
        (b"no archive", "or it is damaged"),
        (b"", "or it is damaged"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused_as_a_whole(
    run: Run, root: Path, tmp_path: Path, archive: bytes, part: str
) -> None:
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(archive)
    done = run("restore", str(file))
    assert (done.returncode, done.stdout) == (1, b"")
    assert part in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not root.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["archive.tar.gz"]


def test_a_damaged_attachment_is_left_out(run: Run, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "archive.tar.gz"
    file.write_bytes(packed(GOOD, member(f"sessions/{SESSION}/attachments/{'0' * 64}", b"x")))
    assert restore(run, file)[-1] == "Not brought back: 1 damaged, 0 deleted on purpose"
    assert [each.name for each in (root / SESSION).iterdir()] == [Path(CHAT).name]


def test_a_link_where_a_chat_should_be_is_not_followed(
    run: Run, root: Path, tmp_path: Path
) -> None:
    file, target = tmp_path / "archive.tar.gz", tmp_path / "target"
    file.write_bytes(packed(GOOD))
    target.touch()
    (root / SESSION).mkdir(parents=True)
    (root / SESSION / Path(CHAT).name).symlink_to(target)
    restore(run, file)
    assert target.read_bytes() == b""


def test_files_that_can_not_be_read_or_written_are_told(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    file = export(run, tmp_path / "all.tar.gz")
    with Path("/dev/full").open("wb") as full:
        done = run("export", stdout=full)
    assert (done.returncode, b"No space left" in done.stderr) == (1, True)
    done = run("restore", str(tmp_path / "missing"))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"can't be read: No such file" in done.stderr

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # as on a disk with little room

    target = tmp_path / "target"
    done = run("restore", str(file), at=target, preexec_fn=limit)
    assert (done.returncode, b"storage has a problem" in done.stderr) == (1, True)
    shutil.rmtree(root)
    target.rename(root)  # and again, with more room
    restore(run, file)
    assert prompts(root, ADA) == ["Who was Byron?"]
    assert Session(session_folder(root, ADA))["team"] == "Engines"


# Backups


def test_what_aws_backup_restored_last_is_brought_back_and_deleted_there(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    mounted = tmp_path / "restored"
    mounted.mkdir()
    done = run("restore", "--backup", str(mounted))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"has nothing that AWS Backup restored" in done.stderr
    older, newest = mounted / "aws-backup-restore_9", mounted / "aws-backup-restore_1"
    (older / "sessions").mkdir(parents=True)
    newest.mkdir()
    time.sleep(0.01)  # so that it is the newest, by its file system
    shutil.move(root, newest / "sessions")
    ask(Session(session_folder(newest / "sessions", new_key())), "From before")
    before = content_of(newest / "sessions")
    done = run("restore", "--backup", str(mounted), "--dry-run")
    assert b"2, of which 2 were not there" in done.stdout
    assert not root.exists()
    done = run("restore", "--backup", str(mounted))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"2, of which 2 were not there" in done.stdout
    assert content_of(root) == before
    assert list(mounted.iterdir()) == [older]


def test_a_backup_with_a_file_that_is_too_large_to_be_brought_back_stays(
    run: Run, root: Path, tmp_path: Path, ada: Session
) -> None:
    large = ask(ada, "A book").path
    os.truncate(large, archives.LIMIT + 1)
    backup = tmp_path / "restored" / "aws-backup-restore_1"
    backup.mkdir(parents=True)
    shutil.move(root, backup / "sessions")
    done = run("restore", "--backup", str(backup.parent))
    told = f"Left out:    1 larger than 64 MB; {backup} stays"
    assert (done.returncode, done.stdout.decode().splitlines()[-1]) == (0, told)
    assert prompts(root, ADA) == ["Who was Byron?"]
    assert (backup / "sessions" / large.relative_to(root)).exists()


@pytest.mark.parametrize("words", ["restore", "restore a --backup b", "export --subject=x"])
def test_a_command_that_makes_no_sense_is_refused(run: Run, words: str) -> None:
    done = run(*words.split())
    assert (done.returncode, done.stdout) == (2, b"")
