"""What people see: progress goes to stderr; stdout has only the result, such as the address."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from botocore.exceptions import ClientError

from deployment.errors import DeploymentError

NAME = "deployment.sh"

_left = "Nothing was changed."
_given: Sequence[str] = ()
_where: Sequence[str] = ()


def say(text: str) -> None:
    """Print what is being done, or was found."""
    print(f"> {text}", file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Print a line that belongs to what was said before."""
    print(f"  {text}", file=sys.stderr, flush=True)


def remember(given: Sequence[str], where: Sequence[str]) -> None:
    """Remember the command line, so that the commands people are shown are about the same stack.

    where: those of its options that say which stack it is about.
    """
    global _given, _where
    _given, _where = given, where


def again(*more: str) -> str:
    """Return the command that was given, with more words."""
    return shlex.join([f"./{NAME}", *_given, *more])


def command(*words: str, environment: str = "") -> str:
    """Return another command, about the same stack, or that of another environment."""
    where = _where
    if environment:
        others = [each for each in _where if not each.startswith("--environment=")]
        where = [*others, f"--environment={environment}"]
    return shlex.join([f"./{NAME}", *words, *where])


def begin(text: str, left: str) -> None:
    """Say what begins now, and remember what an interruption would leave behind."""
    global _left
    say(text)
    _left = left


def leave(left: str) -> None:
    """Remember what an interruption leaves behind from now on, without a word."""
    global _left
    _left = left


@contextmanager
def begun_unless_refused(left: str) -> Iterator[None]:
    """Remember that an interruption leaves this behind if AWS refuses what the block asks for."""
    try:
        yield
    except ClientError:
        leave(left)
        raise


def how_to_go_on() -> str:
    """Return what an interruption leaves behind now, and how to continue."""
    return f"{_left} Run the same command again to continue."


def result(text: str) -> None:
    """Print what the verb was run for."""
    print(text, flush=True)


def fail(text: str) -> None:
    """Print why the verb ends."""
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def confirm(name: str) -> None:
    """Have a person type this name. Raises DeploymentError if they type anything else."""
    if sys.stdin is None or not sys.stdin.isatty():  # None, if it is closed
        raise DeploymentError(
            f"There is no terminal to ask for confirmation. If you are sure: {again('--yes')}"
        )
    print("Type the name of the stack to continue: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise DeploymentError(f"That is not {name}; nothing was changed.")
