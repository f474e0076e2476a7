"""A process that uses the store as a task does; lines of JSON on its standard input tell it what.

Each line is a command with its arguments. The answer is a line with what it returned, or with
{"error": the error's class} once that is on the disk or has failed.
"""

import fcntl
import json
import sys
from pathlib import Path
from typing import Any

from chatbot import attachments, storage
from chatbot.conversations import Conversation
from chatbot.identity import session_folder
from chatbot.records import Claim, Prompt, Record
from chatbot.retention import sweep
from chatbot.sessions import Session


class Client:
    """One session and one conversation in the folder of all sessions."""

    def __init__(self, root: str, key: str) -> None:
        self._root = Path(root)
        self._session = Session(session_folder(self._root, key))
        self._kept: list[object] = []  # so that nothing is read anew, as in a task with open pages

    def _open(self, conversation_id: str) -> Conversation:
        conversation = self._session.conversation(conversation_id)
        self._kept.append(conversation)
        return conversation

    def append(self, conversation_id: str, prefix: str, count: int, size: int = 0) -> int:
        """Append so many prompts, each on its own."""
        conversation = self._open(conversation_id)
        for number in range(count):
            turn = f"{prefix}{number}"
            prompt = Prompt(turn, turn + "." * size)
            conversation.update(lambda prompt=prompt: [prompt], create=True)  # type: ignore[misc]
        return count

    def add(self, conversation_id: str, turn: str) -> bool:
        """Append a prompt to a conversation that there is."""
        return self._open(conversation_id).update(lambda: [Prompt(turn, turn)])

    def read(self, conversation_id: str) -> dict[str, Any]:
        """Return the prompts in their order, and what is to be known of the file."""
        conversation = self._open(conversation_id)
        conversation.refresh()
        return {
            "prompts": [turn.prompt for turn in conversation.turns],
            "missing": conversation.missing,
            "damaged": conversation.damaged,
        }

    def claim(self, conversation_id: str, turn_id: str, attempt: int) -> bool:
        """Claim the turn's attempt, as answers do; say whether this process has it."""
        conversation = self._open(conversation_id)

        def decide() -> list[Record]:
            if conversation.turn(turn_id).attempt >= attempt:
                return []
            return [Claim(turn_id, attempt, "w", "m")]

        return conversation.update(decide)

    def list(self) -> list[str]:
        return [entry.id for entry in self._session.conversations()]

    def delete(self, conversation_id: str) -> None:
        self._open(conversation_id).delete()

    def delete_everything(self) -> None:
        self._session.delete()

    def remove(self, conversation_id: str) -> None:
        self._session.remove_conversation(conversation_id)

    def is_removed(self, conversation_id: str) -> bool:
        return self._session.is_removed(conversation_id)

    def put(self, name: str, value: Any) -> None:
        self._session[name] = value

    def get(self, name: str) -> Any:
        return self._session.get(name)

    def attach(self, text: str) -> str:
        return self._session.attach(text.encode())

    def attachment(self, name: str) -> str:
        return self._session.attachment(name).decode()

    def has_attachment(self, name: str) -> bool:
        return self._session.has_attachment(name)

    def delete_attachment(self, name: str) -> None:
        attachments.delete(self._session.folder, [name])

    def sweep(self) -> int | None:
        return sweep(self._root, 90)

    def hold(self, conversation_id: str) -> None:
        """Take the conversation's lock, and keep it as long as this process lives."""
        file = self._open(conversation_id).path.open("r+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        self._kept.append(file)

    def lose_patience(self) -> None:
        """Wait for a lock for a second only."""
        storage.LOCK_TIMEOUT = 1.0


if __name__ == "__main__":
    client = Client(*sys.argv[1:])
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = getattr(client, name)(*arguments)
        except Exception as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)
