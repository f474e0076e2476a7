"""What people see: progress goes to stderr; stdout has only the result, such as the address."""

import sys

from deployment.errors import DeploymentError

NAME = "deployment.sh"

_left = "Nothing was changed."


def say(text: str) -> None:
    """Print what is being done, or was found."""
    print(f"> {text}", file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """Print a line that belongs to what was said before."""
    print(f"  {text}", file=sys.stderr, flush=True)


def begin(text: str, left: str) -> None:
    """Say what begins now, and remember what an interruption would leave behind."""
    global _left
    say(text)
    _left = left


def how_to_go_on() -> str:
    """Return what an interruption leaves behind now, and how to continue."""
    return f"{_left} Run the same command again to continue."


def result(text: str) -> None:
    """Print what the verb was run for."""
    print(text, flush=True)


def fail(text: str) -> None:
    """Print why the verb ends."""
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def confirm(name: str, command: str) -> None:
    """Have a person type this name. Raises DeploymentError if they type anything else.

    command: what to run where nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise DeploymentError(
            "There is no terminal to ask for confirmation. If you are sure: "
            f"./deployment.sh {command} --yes"
        )
    print("Type the name of the stack to continue: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise DeploymentError(f"That is not {name}; nothing was changed.")
