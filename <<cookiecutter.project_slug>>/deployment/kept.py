"""What stacks leave behind on purpose: file systems with conversations, user pools with people."""

from collections.abc import Sequence
from dataclasses import dataclass

from deployment.account import Account
from deployment.console import detail, say
from deployment.project import PARAMETERS, shown


@dataclass(frozen=True)
class Kept:
    """What there is, or was kept, by its IDs."""

    files: Sequence[str]
    pools: Sequence[str]

    def tell_how_to_adopt(self) -> None:
        """Say how a new stack can use them again."""
        if not self.files and not self.pools:
            return
        say(f"To use them again, add this to {shown(PARAMETERS)} before you deploy:")
        for name, found in (("FileSystemId", self.files), ("UserPoolId", self.pools)):
            for each in found[:1]:
                detail(f'{{ "ParameterKey": "{name}", "ParameterValue": "{each}" }},')


def find_kept_files(account: Account, stack_name: str) -> list[str]:
    """Find the file systems that stacks of this name left; they still have CloudFormation's tag."""
    tag = {"Key": "aws:cloudformation:stack-name", "Value": stack_name}
    systems = account.find("efs", "describe_file_systems", "FileSystems")
    return [each["FileSystemId"] for each in systems if tag in each["Tags"]]


def find_kept_pools(account: Account, stack_name: str) -> list[str]:
    """Find the user pools that stacks of this name left; no tags are in the list of pools."""
    pools = account.find("cognito-idp", "list_user_pools", "UserPools", MaxResults=60)
    return [each["Id"] for each in pools if each["Name"] == stack_name]
