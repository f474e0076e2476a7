"""Which folder a browser's key leads to."""

from pathlib import Path

import pytest

from chatbot.identity import Person, is_key, new_key, session_folder
from chatbot.sessions import Session


def test_the_folder_does_not_give_the_key_away(session: Session, key: str) -> None:
    assert key not in str(session.folder)
    assert session.id == session_folder(session.folder.parent, key).name


@pytest.mark.parametrize(
    "key",
    ["", "../x", "/etc/passwd", "k" * 33, new_key() + "\n", new_key().upper(), 7, None, {"a": 1}],
)
def test_a_key_of_the_wrong_shape_opens_nothing(key: object, tmp_path: Path) -> None:
    assert not is_key(key)
    with pytest.raises(ValueError, match="not a browser's key"):
        session_folder(tmp_path, key)  # type: ignore[arg-type]


def test_a_persons_folder_depends_on_issuer_and_subject_alone(tmp_path: Path) -> None:
    alice = session_folder(tmp_path, Person("https://id.example.com", "1", "Alice"))
    groups = frozenset({"staff"})
    assert alice == session_folder(
        tmp_path, Person("https://id.example.com", "1", "Alice Smith", groups)
    )
    others = [Person("https://id.example.com", "2"), Person("https://other.example.com", "1")]
    assert len({alice, *(session_folder(tmp_path, other) for other in others)}) == 3


def test_no_browser_reaches_a_persons_folder(tmp_path: Path) -> None:
    """What is hashed for a person never has the form of a key."""
    hashed = "person\nhttps://id.example.com\n1"
    assert not is_key(hashed)
    with pytest.raises(ValueError, match="not a browser's key"):
        session_folder(tmp_path, hashed)
