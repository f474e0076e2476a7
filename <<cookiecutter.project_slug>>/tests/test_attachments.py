"""Files of a session come back whole, or the error says why not."""

import pytest

from chatbot.sessions import Session
from chatbot.storage import StorageError


def test_an_attachment_comes_back_by_the_hash_of_its_content(session: Session) -> None:
    name = session.attach(b"\x00 a picture")
    assert session.attach(b"\x00 a picture") == name
    assert session.attachment(name) == b"\x00 a picture"
    assert [each.name for each in (session.folder / "attachments").iterdir()] == [name]


def test_an_attachment_has_a_largest_size(session: Session) -> None:
    with pytest.raises(StorageError, match="attachment_too_large: megabytes=10"):
        session.attach(bytes(10 * 2**20 + 1))
    assert not session.folder.exists()


@pytest.mark.parametrize("name", ["../session.jsonl", "/etc/passwd", "", "0" * 64, "\0"])
def test_no_other_file_is_read_as_an_attachment(session: Session, name: str) -> None:
    session["team"] = "Sales"
    with pytest.raises(StorageError, match="attachment_missing"):
        session.attachment(name)


def test_a_damaged_attachment_is_told(session: Session) -> None:
    name = session.attach(b"a picture")
    (session.folder / "attachments" / name).write_bytes(b"a pictur")
    with pytest.raises(StorageError, match="attachment_damaged"):
        session.attachment(name)
