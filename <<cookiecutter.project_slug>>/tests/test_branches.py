"""Which turns are shown, where a person has asked more than once."""

import random

import pytest
from support.store import append, reread

from chatbot.branches import FIRST, Branches
from chatbot.conversations import Conversation
from chatbot.journals import DeletedError
from chatbot.records import Claim, End, Feedback, Prompt, Shown, Text


def prompts(conversation: Conversation) -> list[str]:
    return [turn.prompt for turn in reread(conversation).turns]


def test_turns_that_tell_nothing_follow_each_other() -> None:
    branches = Branches()
    for turn in "abc":
        branches.add(turn)
    assert branches.shown == ["a", "b", "c"]
    assert not branches.forked


def test_an_edited_prompt_begins_a_branch_and_the_old_one_comes_back_whole(
    conversation: Conversation,
) -> None:
    append(conversation, Prompt("t2", "Two"), Prompt("t3", "Three"))
    append(conversation, Prompt("t4", "Two, better", after="t1"), Prompt("t5", "On"))
    assert prompts(conversation) == ["Hello", "Two, better", "On"]
    versions = conversation.prompt_versions("t4")
    assert (versions.number, versions.count, versions.previous, versions.next) == (2, 2, "t2", "")
    conversation.show("t2")
    assert prompts(conversation) == ["Hello", "Two", "Three"]
    conversation.show("t4")
    assert prompts(conversation) == ["Hello", "Two, better", "On"]
    size = conversation.path.stat().st_size
    conversation.show("t4")
    assert conversation.path.stat().st_size == size  # it is shown already


def test_the_first_prompt_can_be_edited(conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "Two"), Prompt("t3", "Hello again", after=FIRST))
    assert prompts(conversation) == ["Hello again"]
    assert conversation.prompt_versions("t3").previous == "t1"


def test_answers_are_told_from_prompts(conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "Hello", after=FIRST, again="t1"))
    append(conversation, Prompt("t3", "Hello", after=FIRST, again="t2"))
    append(conversation, Prompt("t4", "Something else", after=FIRST))
    assert conversation.prompt_versions("t4").count == 2
    assert conversation.answer_versions("t4").count == 1
    conversation.show("t2")
    assert conversation.answer_versions("t2").previous == "t1"
    assert conversation.answer_versions("t2").next == "t3"
    assert conversation.prompt_versions("t2").next == "t4"
    conversation.show("t4")
    assert conversation.prompt_versions("t4").previous == "t2"  # the answer that was shown last


def test_a_turn_of_another_branch_shows_all_that_leads_to_it(conversation: Conversation) -> None:
    append(conversation, Prompt("t2", "Two"), Prompt("t3", "Other", after=FIRST))
    append(conversation, Prompt("t4", "From a tab that is behind", after="t2"))
    assert prompts(conversation) == ["Hello", "Two", "From a tab that is behind"]
    assert conversation.end_of_branch("t3") == "t3"
    assert conversation.end_of_branch("t1") == "t4"
    assert conversation.end_of_branch("") == conversation.end_of_branch("unknown") == "t4"


@pytest.mark.parametrize(
    "after",
    ["unknown", "t2", "\ud83d", "x" * 1000],
)
def test_a_turn_that_follows_nobody_knows_what_follows_the_one_before_it(
    conversation: Conversation, after: str
) -> None:
    append(conversation, Prompt("t2", "Two", after=after, again="t2"))
    assert prompts(conversation) == ["Hello", "Two"]


def test_what_is_not_known_is_damaged_and_spoils_nothing(conversation: Conversation) -> None:
    append(conversation, Shown("unknown"), Feedback("unknown", "up"), Feedback("t1", "magic"))
    append(conversation, Prompt(FIRST, "A name that stands for no turn"), Shown(FIRST))
    other = reread(conversation)
    assert other.damaged == 4
    assert [turn.prompt for turn in other.turns] == ["Hello"]


def test_the_last_feedback_counts_and_may_be_withdrawn(conversation: Conversation) -> None:
    conversation.rate("t1", "up", "Good")
    conversation.rate("t1", "down", "Not so good")
    turn = reread(conversation).turn("t1")
    assert (turn.rating, turn.comment, turn.rated[-6:]) == ("down", "Not so good", "+00:00")
    assert turn.answer == "Hi there"
    conversation.rate("t1", "", "of no meaning")
    turn = reread(conversation).turn("t1")
    assert (turn.rating, turn.comment) == ("", "")


def test_nothing_is_shown_or_rated_of_a_conversation_that_was_deleted(
    conversation: Conversation,
) -> None:
    conversation.delete()
    for action in (conversation.show, conversation.prompt_versions, conversation.answer_versions):
        with pytest.raises(DeletedError):
            action("t1")
    with pytest.raises(DeletedError):
        conversation.rate("t1", "up")
    assert not conversation.path.exists()


def test_an_answer_in_progress_is_found_in_a_branch_that_is_not_shown(
    conversation: Conversation,
) -> None:
    append(conversation, Prompt("t2", "Two"), Claim("t2", 1, "w", "m"), Text("t2", 1, "Half"))
    append(conversation, Prompt("t3", "Three", after=FIRST), Claim("t3", 1, "w", "m"))
    append(conversation, End("t3", 1, "failed"), End("t2", 1, "complete"))
    assert reread(conversation).unfinished == []
    append(conversation, Claim("t3", 2, "w", "m"))
    assert [turn.id for turn in reread(conversation).unfinished] == ["t3"]
    conversation.show("t2")
    assert [turn.id for turn in reread(conversation).unfinished] == ["t3"]


def test_whatever_is_appended_the_turns_shown_are_one_branch(conversation: Conversation) -> None:
    """Read at once, or piece by piece while it is written."""
    draw = random.Random(1)  # noqa: S311
    ids = ["t1"]
    for number in range(2, 300):
        known = [*ids, "", FIRST, "unknown"]
        if draw.random() < 0.3:
            append(conversation, Shown(draw.choice(ids)))
            continue
        turn = f"t{number}"
        after, again = draw.choice(known[-8:]), draw.choice(known)
        append(conversation, Prompt(turn, turn, after=after, again=again))
        ids.append(turn)
        assert conversation.turns[-1].id == turn
        assert conversation.turns == conversation.turns_to(turn)
    other = reread(conversation)
    assert [turn.id for turn in other.turns] == [turn.id for turn in conversation.turns]
    assert other.damaged == 0 and [turn.id for turn in other.all_turns] == ids
    for turn in ids:  # each can be reached by paging
        conversation.show(turn)
        assert conversation.turn(turn) in conversation.turns
        place = conversation.prompt_versions(turn)
        assert 1 <= place.number <= place.count
        assert bool(place.previous) == (place.number > 1)
        assert bool(place.next) == (place.number < place.count)
