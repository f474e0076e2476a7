"""Branches: which of a conversation's turns are shown, where a person has asked more than once.

A turn follows another one, or nothing. Turns that follow the same one stand in for each other, so
one of them is shown: the one that was sent, or chosen, last. Those that repeat a prompt are
versions of its answer; the others are versions of the prompt. Nothing is ever taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

FIRST = "-"  # what a turn follows that has no turn before it


@dataclass
class _Node:
    """A turn's place.

    before: the turn that it follows, FIRST if it follows none.
    repeats: the first turn with this prompt, which may be this one.
    """

    before: str
    repeats: str


@dataclass
class _Fork:
    """What follows one turn.

    turns: in the order in which they were sent.
    shown: the one of these that is shown.
    last_shown: for each prompt, by the first turn that has it, which version was shown last.
    """

    turns: list[str] = field(default_factory=list)
    shown: str = ""
    last_shown: dict[str, str] = field(default_factory=dict)


class Branches:
    """The order of turns, by their ids.

    shown: the turns that are shown, the first one first. The list is only ever added to; when other
        turns are shown, it is another list.
    forked: whether any turn is followed by more than one.
    """

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.forked = False
        self._nodes: dict[str, _Node] = {}
        self._forks: dict[str, _Fork] = {}
        self._newest = FIRST

    def add(self, turn: str, after: str = "", again: str = "") -> None:
        """Take in a new turn, and show it.

        after: the turn that it follows, or FIRST; "", or one that is not known, is the newest.
        again: the turn whose prompt it repeats, or "".

        Raises ValueError if no turn can have this name.
        """
        if turn == FIRST:
            raise ValueError("a name that stands for no turn")
        before = after if after in self._nodes or after == FIRST else self._newest
        repeated = self._nodes.get(again)
        repeats = repeated.repeats if repeated and repeated.before == before else turn
        self._nodes[turn] = _Node(before, repeats)
        self._newest = turn
        fork = self._forks.setdefault(before, _Fork())
        fork.turns.append(turn)
        self.forked |= len(fork.turns) > 1
        if before == (self.shown[-1] if self.shown else FIRST):
            fork.shown = fork.last_shown[repeats] = turn
            self.shown.append(turn)
        else:
            self.show(turn)

    def show(self, turn: str) -> None:
        """Show the turn, and what leads to it. Raises KeyError if it is not known."""
        path = self.path_to(turn)
        for each in path:
            node = self._nodes[each]
            fork = self._forks[node.before]
            fork.shown = fork.last_shown[node.repeats] = each
        self.shown = [*path, *self._path_from(turn)]

    def path_to(self, turn: str) -> list[str]:
        """Return the turns that lead to this one, which is the last of them. Raises KeyError."""
        path = []
        while turn != FIRST:
            path.append(turn)
            turn = self._nodes[turn].before
        return path[::-1]

    def before(self, turn: str) -> str:
        """Return which turn this one follows, FIRST if it follows none. Raises KeyError."""
        return self._nodes[turn].before

    def end_of(self, turn: str) -> str:
        """Return the last of the turns that are shown whenever this one is. Raises KeyError."""
        self._nodes[turn]
        return next(reversed(self._path_from(turn)), turn)

    def prompts(self, turn: str) -> Sequence[str]:
        """Return the versions of the turn's prompt: for each, the turn that was shown last.

        Of its own prompt, that is this turn. Raises KeyError.
        """
        node = self._nodes[turn]
        return list((self._forks[node.before].last_shown | {node.repeats: turn}).values())

    def answers(self, turn: str) -> Sequence[str]:
        """Return the versions of the answer to the turn's prompt. Raises KeyError."""
        node = self._nodes[turn]
        turns = self._forks[node.before].turns
        return [each for each in turns if self._nodes[each].repeats == node.repeats]

    def _path_from(self, turn: str) -> list[str]:
        path: list[str] = []
        while fork := self._forks.get(turn):
            turn = fork.shown
            path.append(turn)
        return path
