"""What is made on AWS for one run of a verb, and removed at its end, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from deployment.account import AwsError, sentence
from deployment.console import say
from deployment.errors import DeploymentError


@contextmanager
def removing(what: str, remove: Callable[[], object], command: str) -> Iterator[None]:
    """Remove this after the block. Raises DeploymentError if it stays.

    command: what removes it by hand, with the AWS CLI.
    """
    is_done = False
    try:
        yield
        is_done = True
    finally:
        with suppress(OSError):  # whoever reads this may be gone, as after Ctrl-C in a pipe
            say(f"Removing {what}")
        try:
            remove()
        except AwsError as error:
            told = f"{what} could not be removed: {sentence(error)}. With the AWS CLI:\n  {command}"
            if is_done:
                raise DeploymentError(told) from error
            say(told)  # the verb ends for what came before
