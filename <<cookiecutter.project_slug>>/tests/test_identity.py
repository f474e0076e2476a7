"""Which folder a browser's key leads to."""

from pathlib import Path

import pytest

from chatbot.identity import is_key, new_key, session_folder
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
