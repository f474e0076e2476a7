"""What each verb works with."""

from dataclasses import dataclass
from functools import partial

from deployment import service
from deployment.account import Account
from deployment.command_line import Options
from deployment.console import command
from deployment.errors import DeploymentError
from deployment.project import Project
from deployment.stacks import Stack, Stacks


@dataclass(frozen=True)
class Context:
    """The project, what a person asks for, and the account in which it happens."""

    project: Project
    options: Options
    account: Account
    stacks: Stacks

    @property
    def name(self) -> str:
        """The name of the stack."""
        return self.options.stack_name

    @property
    def registry_name(self) -> str:
        """The name of the stack that holds the images of all environments."""
        return f"{self.options.family}-registry"

    def require_stack(self) -> Stack:
        """Return the stack. Raises DeploymentError if there is none, or AWS lets nobody in."""
        self.account.sign_in()
        return self.stacks.require(self.name, command("deploy"))

    def require_service(self) -> Stack:
        """Return the stack, which has tasks. Raises DeploymentError."""
        stack = self.require_stack()
        if "Service" not in stack.outputs:
            raise DeploymentError(f"The stack {self.name} has no tasks yet; it is {stack.status}.")
        return stack


def make_context(project: Project, options: Options) -> Context:
    """Make what the verbs work with; this asks AWS for nothing yet."""
    account = Account(options.region, options.profile)
    stacks = Stacks(
        account,
        options.role_arn,
        options.poll_seconds,
        partial(service.explain, account),
        dry_run=options.dry_run,
    )
    return Context(project, options, account, stacks)
