"""A conversation is what its records say, whoever appended them."""

from support.store import append, reread

from chatbot.conversations import Conversation
from chatbot.records import Claim, End, Prompt, Text


def test_a_late_writer_changes_nothing(conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "More"), Claim("t2", 1, "slow", "m"), Text("t2", 1, "One"))
    append(conversation, Claim("t2", 2, "fast", "m"))
    append(conversation, Text("t2", 1, "GHOST"), End("t2", 1, "failed"), Text("t2", 2, " two"))
    turn = reread(conversation).turns[1]
    assert (turn.answer, turn.writer, turn.state) == ("One two", "fast", "open")


def test_what_follows_an_end_is_ignored(conversation: Conversation) -> None:
    append(conversation, Text("t1", 1, "GHOST"), End("t1", 1, "failed"))
    turn = reread(conversation).turns[0]
    assert (turn.answer, turn.state) == ("Hi there", "complete")
