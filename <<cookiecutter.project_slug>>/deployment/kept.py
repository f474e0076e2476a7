"""What stacks leave behind on purpose: file systems with conversations, user pools with people."""

from collections.abc import Sequence
from dataclasses import dataclass

from deployment.account import Account
from deployment.console import detail, say
from deployment.parameters import ListError, read_own_parameters, read_parameters
from deployment.project import parameters_of, shown


@dataclass(frozen=True)
class Kept:
    """What there is, or was kept, by its IDs."""

    files: Sequence[str]
    pools: Sequence[str]

    def tell_how_to_adopt(self, environment: str) -> None:
        """Say how a new stack of the environment can use them again."""
        try:
            given, own = read_parameters(environment), read_own_parameters(environment)
        except ListError:  # which the next deployment tells
            given, own = {}, {"": ""}
        found = {"FileSystemId": self.files, "UserPoolId": self.pools}
        entries = [
            f'{{ "ParameterKey": "{name}", "ParameterValue": "{ids[0]}" }}'
            for name, ids in found.items()
            if ids and given.get(name) != ids[0]
        ]
        if entries:
            file = shown(parameters_of(environment))
            say(f"To use them again, insert this in {file}, right after the [, before you deploy:")
            detail(",\n  ".join(entries) + ("," if own else ""))


def find_kept_files(account: Account, stack_name: str) -> list[str]:
    """Find the file systems that stacks of this name left; they still have CloudFormation's tag."""
    tag = {"Key": "aws:cloudformation:stack-name", "Value": stack_name}
    systems = account.find("efs", "describe_file_systems", "FileSystems")
    return [each["FileSystemId"] for each in systems if tag in each["Tags"]]


def find_kept_pools(account: Account, stack_name: str) -> list[str]:
    """Find the user pools that stacks of this name left; no tags are in the list of pools."""
    pools = account.find("cognito-idp", "list_user_pools", "UserPools", MaxResults=60)
    return [each["Id"] for each in pools if each["Name"] == stack_name]
