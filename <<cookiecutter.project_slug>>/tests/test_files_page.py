"""Files on the page: attached, shown, refused with a sentence, downloaded by nobody else."""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Semaphore

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextArea
from support.bedrock import BedrockStandIn, documents_of
from support.page import OpenPage, click, read_messages, say
from support.store import append, new_session
from support.uploads import PDF, png
from support.web import Answer, Site, served, streamlit

from chatbot import attachments, sessions
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.file_kinds import Upload, count_unsaved_bytes
from chatbot.identity import COOKIE, Person, new_key, session_folder
from chatbot.records import Prompt
from chatbot.retention import DAY
from chatbot.sessions import Session, delete_unused_files
from chatbot.storage import StorageError
from chatbot.web.files import Files
from chatbot.web.headers import SecurityHeaders
from chatbot.web.requests import is_page, set_person
from chatbot.web.uploads import Uploads


def send(page: AppTest, text: str, *files: tuple[str, bytes]) -> AppTest:
    """Send a message with files, as one."""
    for file in files:
        page.chat_input[0].upload(*file)
    return say(page, text)


def shown_files(page: AppTest) -> list[str]:
    bodies = [each.proto.body for each in page.get("html")]
    return [body for body in bodies if body.startswith("<div class=")]


def kept(session: Session) -> list[str]:
    folder = session.folder / "attachments"
    return [each.name for each in folder.iterdir()] if folder.exists() else []


def test_files_are_kept_shown_and_sent_again(
    open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    page = send(open_page(), "Compare", ("a <b>.pdf", PDF), ("photo.png", png()))
    assert not page.exception
    [drawn] = shown_files(page)
    assert "a &lt;b&gt;.pdf" in drawn and "PDF · 149 B" in drawn and 'alt="photo.png"' in drawn
    assert shown_files(open_page()) == [drawn]
    assert len(kept(session)) == 2
    say(page, "And now?")
    first, second = map(documents_of, bedrock.requests)
    assert first == second == ["a b"]


def test_the_demo_model_says_what_it_got(open_page: OpenPage) -> None:
    answer = read_messages(send(open_page(), "Look", ("report.pdf", PDF), ("a.png", png())))[1]
    assert "2 files: report (PDF, 149 B), an image (PNG, " in answer


def test_a_file_alone_is_a_message_and_names_the_chat(open_page: OpenPage) -> None:
    page = send(open_page(), "", ("report.pdf", PDF))
    assert len(page.chat_message) == 2
    assert [each.label for each in page.button if each.key and each.key.startswith("open-")] == [
        r"report\.pdf"
    ]


def editors(page: AppTest) -> list[TextArea]:
    return [each for each in page.text_area if (each.key or "").startswith("edited-")]


def edit(page: AppTest, text: str) -> AppTest:
    click(page, "Edit")
    [field] = editors(page)
    field.set_value(text).run()
    return click(page, "Send")


def test_a_prompt_that_is_edited_or_answered_again_keeps_its_files(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = send(open_page(), "Compare", ("report.pdf", PDF), ("photo.png", png()))
    drawn = shown_files(page)
    for step in ("edit", "again", "leave only the files"):
        if step == "again":
            click(page, "Answer again")
        else:
            edit(page, "Sum up" if step == "edit" else "")
        assert not page.exception and not page.error
        assert shown_files(page) == drawn and not editors(page)
        assert documents_of(bedrock.requests[-1]) == ["report"]
    assert len(bedrock.requests) == 4
    assert shown_files(open_page()) == drawn


def test_a_prompt_whose_files_are_deleted_while_it_is_edited_keeps_its_text(
    open_page: OpenPage, bedrock: BedrockStandIn, session: Session
) -> None:
    page = send(open_page(), "Compare", ("a.pdf", PDF), ("b.png", png()))
    other = session.conversation(new_conversation_id())
    append(other, Prompt("t1", "Mine", "m", files=[file_record(session.attach(png()))]))
    click(page, "Edit")
    editors(page)[0].set_value("Sum up").run()
    [chat] = [chat.id for chat in session.conversations() if chat.title == "Compare"]
    session.delete_conversation(chat)
    click(page, "Send")
    assert page.error[0].value == r"a\.pdf\: The file was deleted meanwhile\. Attach it again\."
    assert page.chat_input[0].proto.value == "Sum up"
    assert len(bedrock.requests) == 1
    page = say(page, "Sum up")
    assert "b.png" in shown_files(page)[0] and not page.error


def test_a_file_that_is_refused_keeps_the_text_and_the_others(
    open_page: OpenPage, session: Session
) -> None:
    page = send(open_page(), "Compare", ("fake.pdf", b"<html>"), ("good.pdf", PDF), ("b.txt", b""))
    assert not page.chat_message
    assert page.chat_input[0].proto.value == "Compare"
    [error] = page.error
    assert r"fake\.pdf\: The content does not match the ending" in error.value
    assert r"b\.txt\: The file is empty" in error.value
    [chip] = [each for each in page.button if (each.key or "").startswith("held-")]
    assert chip.label == r"Remove good\.pdf \(149 B\)"
    page = say(page, "Compare")
    assert not page.error
    assert "good.pdf" in shown_files(page)[0]
    assert len(kept(session)) == 1


def test_a_file_alone_that_waited_for_another_one_can_be_sent(open_page: OpenPage) -> None:
    page = send(open_page(), "", ("fake.pdf", b"<html>"), ("good.pdf", PDF))
    assert "good.pdf" in shown_files(click(page, "Send the files"))[0]


def test_a_file_that_waited_can_be_taken_back(open_page: OpenPage) -> None:
    page = send(open_page(), "Compare", ("fake.pdf", b"<html>"), ("good.pdf", PDF))
    page = say(click(page, r"Remove good\.pdf \(149 B\)"), "Compare")
    assert shown_files(page) == []
    assert len(page.chat_message) == 2


def test_a_model_that_takes_no_files_names_those_that_do(open_page: OpenPage) -> None:
    page = open_page()
    page.selectbox[0].select("nova-micro").run()
    page = send(page, "Read it", ("report.pdf", PDF))
    assert r"report\.pdf\: Amazon Nova Micro takes no files\." in page.error[0].value
    assert r"These models take such files\: Amazon Nova 2 Lite" in page.error[0].value
    assert page.chat_input[0].proto.value == "Read it"
    page.selectbox[0].select("nova-2-lite").run()
    page = send(page, "Read it", ("report.pdf", PDF))
    assert len(page.chat_message) == 2


def test_a_message_that_is_too_long_keeps_its_files(open_page: OpenPage) -> None:
    page = send(open_page(), "x" * 50_001, ("report.pdf", PDF))
    assert "50,001 characters" in page.error[0].value
    assert any(each.label == r"Remove report\.pdf \(149 B\)" for each in page.button)
    page = say(page, "Shorter")
    assert "report.pdf" in shown_files(page)[0]


def test_of_what_is_uploaded_nothing_stays_in_memory(open_page: OpenPage) -> None:
    send(open_page(), "Read", ("report.pdf", PDF))
    assert count_unsaved_bytes() == 0


def test_a_full_disk_costs_neither_text_nor_files(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    real = os.pwrite

    def full(*arguments: int) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    page = send(page, "Compare", ("report.pdf", PDF))
    assert "no room left" in page.error[0].value
    assert "report.pdf" in shown_files(page)[0]
    assert count_unsaved_bytes() >= len(PDF)
    assert kept(session) == []
    monkeypatch.setattr(os, "pwrite", real)
    page = click(page, "Send again")
    assert "report.pdf" in shown_files(page)[0]
    assert len(page.chat_message) == 2 and not page.error


def test_a_deleted_chat_takes_its_files_along_but_not_those_of_others(session: Session) -> None:
    one, two = (session.conversation(new_conversation_id()) for _ in range(2))
    names = [session.attach(content) for content in (b"first", b"both", b"logo")]
    files = [{"hash": name, "name": "a.txt", "kind": "txt", "size": 5} for name in names]
    append(one, Prompt("t1", "One", "m", files=files[:2]))
    append(two, Prompt("t1", "Two", "m", files=files[1:2]))
    session["logo"] = names[2]
    session.delete_conversation(one.id)
    assert sorted(kept(session)) == sorted(names[1:])
    session.delete_conversation(two.id)
    assert kept(session) == names[2:]


def file_record(hash_: str) -> dict[str, object]:
    return {"hash": hash_, "name": "a.txt", "kind": "txt", "size": 5}


def chat_with_file(session: Session) -> str:
    chat = session.conversation(new_conversation_id())
    append(chat, Prompt("t1", "One", "m", files=[file_record(session.attach(b"first"))]))
    return chat.id


def test_files_come_back_with_their_chat(session: Session) -> None:
    chat = chat_with_file(session)
    [name] = kept(session)
    assert session.remove_conversation(chat) and kept(session) == [name]
    delete_unused_files(session.folder, time.time() + DAY)  # as retention does, one day
    assert session.bring_back(chat)
    assert session.attachment(name) == b"first"


@pytest.mark.parametrize("ends", ["", "before", "between"])
def test_files_go_with_their_chat_when_it_can_not_come_back(
    session: Session, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Also if the task ends before that, or between the two, and another one finishes it."""

    def fail(_: Conversation) -> None:
        raise StorageError("unreachable")

    chat = chat_with_file(session)
    monkeypatch.setattr(sessions, "UNDO_SECONDS", 3600.0 if ends else 0.0)
    session.remove_conversation(chat)
    if ends == "between":
        with monkeypatch.context() as broken:
            broken.setattr(Conversation, "delete", fail)
            session.finish_removals(time.time() + 1)
        assert (session.folder / f"{chat}.jsonl").exists() and kept(session) == []
    if ends:
        monkeypatch.setattr(sessions, "UNDO_SECONDS", 0.0)
        for _ in range(2):
            assert session.conversations() == []
    deadline = time.monotonic() + 10
    while any(session.folder.iterdir()) and time.monotonic() < deadline:
        pass
    assert list(session.folder.iterdir()) == []


def test_a_file_that_is_sent_while_its_chat_is_deleted_is_kept(session: Session) -> None:
    name = session.attach(b"first")
    looks: list[set[str]] = [set(), {name}]  # the message is saved between the two
    attachments.delete_unused(session.folder, [name], lambda: looks.pop(0))
    assert session.attachment(name) == b"first"


def test_files_of_messages_that_were_never_sent_are_swept_after_a_day(session: Session) -> None:
    old, named, new = (session.attach(content) for content in (b"old", b"named", b"new"))
    record = {"hash": named, "name": "a.txt", "kind": "txt", "size": 5}
    append(session.conversation(new_conversation_id()), Prompt("t1", "One", "m", files=[record]))
    now = (session.folder / "attachments" / new).stat().st_mtime
    for name in (old, named):
        os.utime(session.folder / "attachments" / name, (now - 2 * DAY,) * 2)
    delete_unused_files(session.folder, now - DAY)
    assert sorted(kept(session)) == sorted([named, new])


# What is served


def get(
    sessions: Path,
    path: str,
    key: str = "",
    person: Person | None = None,
    method: str = "GET",
    **headers: str,
) -> Answer:
    app = SecurityHeaders(Files(streamlit, sessions), [], [])

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if person:
            set_person(scope, person)
        await app(scope, receive, send)

    with served(gate) as site:
        return site.get(path, method, cookie=f"{COOKIE}={key}", **headers)


def test_a_file_is_served_to_its_own_person_alone(
    session: Session, key: str, tmp_path: Path
) -> None:
    address = f"/files/{session.attach(PDF)}/report.pdf"
    assert get(tmp_path / "sessions", address, key).body == PDF
    for stranger in (new_key(), "", "x"):
        assert get(tmp_path / "sessions", address, stranger).status == 404
    boss = Person("https://login.example.com", "boss")
    assert get(tmp_path / "sessions", address, key, boss).status == 404
    theirs = Session(session_folder(tmp_path / "sessions", boss))
    theirs.attach(PDF)
    assert get(tmp_path / "sessions", address, person=boss).body == PDF


def test_a_browser_shows_no_file_again_that_was_deleted(tmp_path: Path) -> None:
    key = new_key()
    session = Session(session_folder(tmp_path, key))
    address = f"/files/{session.attach(PDF)}/report.pdf"
    first = get(tmp_path, address, key)
    assert first.headers["cache-control"] == "private, no-cache"
    again = get(tmp_path, address, key, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    session.delete()
    assert get(tmp_path, address, key, if_none_match=first.headers["etag"]).status == 404


@pytest.mark.parametrize(
    ("content", "name", "media_type", "disposition"),
    [
        (PDF, "a.pdf", "application/pdf", "attachment"),
        (b"<script>alert(1)</script>", "a.html", "text/html", "attachment"),
        (b"<svg onload=alert(1)>", "a.svg", "application/octet-stream", "attachment"),
        (b"<script>alert(1)</script>", "a.png", "image/png", "attachment"),
        (b"<script>", "", "application/octet-stream", "attachment"),
        (png(), "a.png", "image/png", "inline"),
        (png(), "a.html", "image/png", "inline"),
        (png(60_000, 60_000), "a.png", "image/png", "attachment"),
    ],
)
def test_what_is_in_a_file_never_runs(
    tmp_path: Path, content: bytes, name: str, media_type: str, disposition: str
) -> None:
    key = new_key()
    session = Session(session_folder(tmp_path, key))
    answer = get(tmp_path, f"/files/{session.attach(content)}/{name}", key)
    assert answer.body == content
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"].startswith(disposition)
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_name_can_add_no_header(tmp_path: Path) -> None:
    key = new_key()
    session = Session(session_folder(tmp_path, key))
    name = "a%0d%0aset-cookie:x=1%22;%20filename=b.exe.pdf"
    answer = get(tmp_path, f"/files/{session.attach(PDF)}/{name}", key)
    assert "set-cookie" not in answer.headers
    told = "attachment; filename*=utf-8''a%20set-cookie%3Ax%3D1%22%3B%20filename%3Db.exe.pdf"
    assert answer.headers["content-disposition"] == told


@pytest.mark.parametrize("path", ["/files/", "/files/x", "/files/../x", f"/files/{'0' * 64}/a"])
def test_no_other_address_leads_to_a_file(tmp_path: Path, path: str) -> None:
    new_session(tmp_path)["x"] = 1
    assert get(tmp_path, path, new_key()).status == 404
    assert get(tmp_path, path, new_key(), method="POST").status == 405
    scope = {"type": "http", "method": "GET", "path": path}
    assert not is_page(scope)


def test_uploads_that_the_task_has_no_memory_for_are_refused() -> None:
    held = {"": 0}
    upload = Upload("a.txt", b"x" * 1_000)
    assert count_unsaved_bytes() >= 1_000
    del upload
    with served(Uploads(streamlit, lambda tab: held.get(tab, 0), room=100)) as site:
        path = "/_stcore/upload_file/a/b"
        assert site.get(path, "PUT", content_length="0").status == 200
        assert site.get(path, "PUT", content_length="51").status == 503  # more than one's share
        held["a"] = 50
        assert site.get(path, "PUT", content_length="1").status == 503
        assert site.get(path.replace("a/b", "c/d"), "PUT", content_length="0").status == 200
        assert site.get(path, "PUT", content_length="101").status == 503
        assert site.get(path, "PUT", transfer_encoding="chunked").status == 411
        held = {"": 100}
        assert site.get(path, "PUT", content_length="1").status == 503
        assert site.get(path, "DELETE").status == 200


@contextmanager
def unfinished_upload(site: Site, tab: str) -> Iterator[socket.socket]:
    """Begin to upload 40 bytes, of which none comes."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as browser:
        lines = (f"PUT /_stcore/upload_file/{tab}/file HTTP/1.1", "Host: x", "Content-Length: 40")
        browser.sendall("".join(f"{each}\r\n" for each in (*lines, "")).encode())
        yield browser


def test_uploads_of_one_person_leave_room_for_others() -> None:
    begun = Semaphore(0)

    async def receive_file(scope: Scope, receive: Receive, _send: Send) -> None:
        begun.release()
        await Request(scope, receive).body()

    uploads = Uploads(receive_file, lambda _tab: 0, room=100)

    async def sign_in(scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].split("/")[3].rstrip("0123456789")
        set_person(scope, Person("provider", name))
        await uploads(scope, receive, send)

    with served(sign_in) as site, unfinished_upload(site, "alice1"):
        assert begun.acquire(timeout=20)
        path = "/_stcore/upload_file/alice2/file"
        assert site.get(path, "PUT", content_length="11").status == 503
        with unfinished_upload(site, "bob1"):
            assert begun.acquire(timeout=20)


def test_a_file_that_does_not_come_takes_no_room_for_ever() -> None:
    async def receive_file(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    with (
        served(Uploads(receive_file, lambda _tab: 0, room=80, seconds=0)) as site,
        unfinished_upload(site, "a") as browser,
    ):
        assert browser.recv(1_000).startswith(b"HTTP/1.1 408 ")
        assert site.get("/_stcore/upload_file/a/b", "PUT", content_length="40").status == 408
