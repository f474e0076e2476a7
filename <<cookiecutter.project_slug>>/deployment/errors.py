"""What ends a verb: a sentence for the person who runs it."""


class DeploymentError(Exception):
    """What went wrong, and what to do about it. The exit code is 1."""


class DeletionError(DeploymentError):
    """A stack could not be deleted."""


class UsageError(Exception):
    """A command line, or an environment, that makes no sense. The exit code is 2."""
