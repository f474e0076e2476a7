"""CloudFormation's stacks: what they are, and how they change while a person watches."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deployment.account import Account, accepting
from deployment.advice import advise
from deployment.console import again, begin, begun_unless_refused, command, detail, leave, say
from deployment.errors import DeletionError, DeploymentError

# What holds something that can't be made again, by its name in the template.
PRECIOUS = {
    "FileSystem": "the file system that holds the conversations",
    "UserPool": "the user pool with the people to whom the conversations belong",
}
_DELETION = {  # as the AWS CLI does it
    "FileSystem": "efs delete-file-system --file-system-id",
    "UserPool": "cognito-idp delete-user-pool --user-pool-id",
}
NEVER_COMPLETED = (
    "REVIEW_IN_PROGRESS",
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "DELETE_FAILED",
)
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Stack:
    """What CloudFormation says of a stack. Its status is "" if there is none.

    is_protected: whether AWS refuses to delete it.
    """

    name: str
    status: str = ""
    id: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)
    is_protected: bool = False

    @property
    def exists(self) -> bool:
        """Whether there is more than a change set that was never executed."""
        return self.status not in ("", "REVIEW_IN_PROGRESS")

    @property
    def was_completed(self) -> bool:
        """Whether it can be updated, and was not merely attempted."""
        return self.exists and self.status not in NEVER_COMPLETED

    @property
    def is_busy(self) -> bool:
        """Whether an operation changes the stack right now."""
        return self.status.endswith("_IN_PROGRESS") and self.exists


class Stacks:
    """The stacks of an account, which this can change.

    role_arn: the role that CloudFormation uses, or "" for the credentials of this deployment.
    poll_seconds: between two looks at what CloudFormation does.
    explain_service: says why the tasks of a service, given by its ARN, are not running.
    """

    def __init__(
        self,
        account: Account,
        role_arn: str,
        poll_seconds: float,
        explain_service: Callable[[str], None],
        *,
        dry_run: bool = False,
    ) -> None:
        self._account, self._poll_seconds, self._dry_run = account, poll_seconds, dry_run
        self._role = {"RoleARN": role_arn} if role_arn else {}
        self._explain_service = explain_service
        self.region = account.region

    def in_region(self, region: str) -> "Stacks":
        """Return the account's stacks in another region."""
        others = copy.copy(self)
        others.region = region
        return others

    @property
    def _cloudformation(self) -> Any:
        return self._account.client("cloudformation", self.region)

    def look_up(self, name: str) -> Stack:
        """Return what there is of a stack."""
        with accepting("does not exist"):
            [found] = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
            return Stack(
                name,
                found["StackStatus"],
                found["StackId"],
                {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
                {
                    each["ParameterKey"]: each.get("ParameterValue", "")
                    for each in found.get("Parameters", ())
                },
                found.get("Tags", []),
                found.get("EnableTerminationProtection", False),
            )
        return Stack(name)

    def names(self) -> list[str]:
        """Return the names of all stacks in the account's region."""
        found = self._account.find("cloudformation", "list_stacks", "StackSummaries")
        return [each["StackName"] for each in found if each["StackStatus"] != "DELETE_COMPLETE"]

    def require(self, name: str, creation: str) -> Stack:
        """Return a stack that is there. Raises DeploymentError.

        creation: the command that creates it.
        """
        stack = self.look_up(name)
        if not stack.exists:
            raise DeploymentError(
                f"There is no stack {name} in {self.region}. To create it: {creation}"
            )
        return stack

    def wait_for_others(self, name: str) -> Stack:
        """Wait while another operation changes the stack, and return what it is then."""
        while (stack := self.look_up(name)).is_busy:
            if self._dry_run:
                say(f"Would first wait for the stack {name}, which is {stack.status}")
                return stack
            newest = self._newest_event(stack.id)
            stack = self.look_up(name)  # again: if it settled before that event, it shows here
            if stack.is_busy:
                begin(
                    f"The stack {name} is {stack.status}: waiting for it to finish",
                    f"AWS continues to change the stack {name}.",
                )
                status, _ = self._follow(stack.id, newest, is_running=True)
                leave(f"The stack {name} is {status}.")
        return stack

    def settle(self, name: str) -> Stack:
        """Make sure that a stack can be changed; delete one that was never completed."""
        stack = self.wait_for_others(name)
        if stack.status in NEVER_COMPLETED:
            if not self._dry_run:
                return self.delete(stack)
            say(
                f"Would delete what an earlier attempt left of the stack {name}, which is "
                f"{stack.status}"
            )
            return Stack(name)
        if stack.status == "UPDATE_ROLLBACK_FAILED":
            options = f"--region {self.region} --stack-name {name}"
            raise DeploymentError(
                f"The stack {name} is {stack.status}: AWS could not roll back an earlier change."
                " Its events, in the console of CloudFormation, say why. Fix the cause, then let"
                ' AWS finish the rollback ("Continue update rollback" there), and run the same'
                " command again. With the AWS CLI:\n"
                f"  aws cloudformation continue-update-rollback {options}"
            )
        return stack

    def delete(self, stack: Stack) -> Stack:
        """Delete a stack, and return what is left: nothing. Raises DeletionError."""
        begin(
            f"Deleting the stack {stack.name}, which is {stack.status}",
            f"AWS continues to delete the stack {stack.name}.",
        )
        newest = self._newest_event(stack.id)
        with begun_unless_refused(f"The stack {stack.name} is still there."):
            self._cloudformation.delete_stack(StackName=stack.id, **self._role)
        status, reasons = self._follow(stack.id, newest)
        leave(f"The stack {stack.name} is {status}.")
        if status != "DELETE_COMPLETE":
            raise DeletionError(
                f"The stack {stack.name} could not be deleted; it is {status}:{_lines(reasons)}\n"
                "Fix the cause, and run the same command again."
            )
        return Stack(stack.name)

    def change(self, stack: Stack, *, allow_loss: bool = False, **details: Any) -> None:
        """Create or change a settled stack: show the change set, execute it and follow it.

        allow_loss: whether what is PRECIOUS may be replaced.
        details: for CreateChangeSet: the template, the parameters and the tags.
        Raises DeploymentError.
        """
        begin(
            f"Comparing the stack {stack.name} with its template",
            f"The stack {stack.name} is unchanged.",
        )
        made = self._cloudformation.create_change_set(
            StackName=stack.name,
            ChangeSetName=f"deployment-{datetime.now(UTC):%Y%m%d%H%M%S%f}",
            ChangeSetType="UPDATE" if stack.status else "CREATE",
            Capabilities=["CAPABILITY_IAM"],
            **self._role,
            **details,
        )
        # IAM may know a change set that is named by its ARN alone as one that belongs to no stack.
        names = {"StackName": made["StackId"], "ChangeSetName": made["Id"]}
        changes = self._wait_for_change_set(stack, names)
        if changes is None:
            say(f"Nothing to change in the stack {stack.name}")
            return
        self._show(changes)
        self._protect(changes, names, allow_loss)
        newest = self._newest_event(made["StackId"])
        begin(
            f"Changing the stack {stack.name}",
            f"AWS continues to change the stack {stack.name}. For the outcome: {command('status')}",
        )
        with begun_unless_refused(f"The stack {stack.name} is unchanged."):
            self._cloudformation.execute_change_set(**names)
        status, reasons = self._follow(made["StackId"], newest)
        leave(f"The stack {stack.name} is {status}.")
        left = self._find_undeleted(made["StackId"]) if status == "ROLLBACK_FAILED" else {}
        _check_outcome(stack.name, status, reasons, self._account.region, left)

    def _wait_for_change_set(
        self, stack: Stack, names: dict[str, str]
    ) -> list[dict[str, str]] | None:
        """Return the changes to resources; None if there are none of anything."""
        while True:
            changes: list[dict[str, str]] = []
            token: dict[str, str] = {}
            while True:
                shown = self._cloudformation.describe_change_set(**names, **token)
                changes += [each["ResourceChange"] for each in shown.get("Changes", ())]
                if not shown.get("NextToken"):
                    break
                token = {"NextToken": shown["NextToken"]}
            if shown["Status"] == "CREATE_COMPLETE":
                return changes
            if shown["Status"] == "FAILED":
                self._cloudformation.delete_change_set(**names)
                reason = shown.get("StatusReason", "AWS gives no reason")
                if any(each in reason for each in _NO_CHANGES):
                    return None
                raise DeploymentError(
                    f"AWS rejects the change to the stack {stack.name}: {reason}{advise(reason)}"
                )
            time.sleep(self._poll_seconds)

    def _show(self, changes: Sequence[dict[str, str]]) -> None:
        row = "{:<7}  {:<28}  {:<44}  {}"
        detail(row.format("Action", "Resource", "Type", "Replacement"))
        for each in changes:
            replacement = each.get("Replacement", "-")
            names = each["Action"], each["LogicalResourceId"], each["ResourceType"]
            detail(row.format(*names, replacement))

    def _protect(
        self, changes: Sequence[dict[str, str]], names: dict[str, str], allow_loss: bool
    ) -> None:
        lost = [
            PRECIOUS[each["LogicalResourceId"]]
            for each in changes
            if each["LogicalResourceId"] in PRECIOUS
            and (each["Action"] == "Remove" or each.get("Replacement") in ("True", "Conditional"))
        ]
        if not lost:
            return
        if not allow_loss:
            self._cloudformation.delete_change_set(**names)
            raise DeploymentError(
                f"This would replace {' and '.join(lost)}, so people would begin anew."
                f"\nNothing was changed. If that is what you want: {again('--yes')}"
            )
        say(f"Replacing {' and '.join(lost)}, as --yes allows")

    def _events(self, stack_id: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a stack, the newest first."""
        pages = self._cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=stack_id):
            yield from page["StackEvents"]

    def _newest_event(self, stack_id: str) -> str:
        return str(next((each["EventId"] for each in self._events(stack_id)), ""))

    def _follow(
        self, stack_id: str, newest: str, *, is_running: bool = False
    ) -> tuple[str, list[str]]:
        """Show the events after the newest one as they happen, until the stack has settled.

        is_running: whether the operation began before, so that its last event may be shown already.
        Return its status, and for each resource that failed, why.
        """
        status, reasons = "", list[str]()
        while True:
            fresh = []
            for event in self._events(stack_id):
                if event["EventId"] == newest:
                    break
                fresh.append(event)
            for event in reversed(fresh):
                newest = event["EventId"]
                what, name = event["ResourceStatus"], event["LogicalResourceId"]
                reason = event.get("ResourceStatusReason", "")
                detail(f"{event['Timestamp']:%H:%M:%S}  {what:<27}  {name}  {reason}".rstrip())
                if event["PhysicalResourceId"] == stack_id:
                    status = what
                if what.endswith("_FAILED") and "cancelled" not in reason:
                    if event["PhysicalResourceId"] != stack_id:
                        reasons.append(f"{name}: {reason}")
                    if event["ResourceType"] == "AWS::ECS::Service":
                        self._explain_service(event["PhysicalResourceId"])
            if status and not status.endswith("_IN_PROGRESS"):
                return status, reasons
            if is_running and not fresh and not (stack := self.look_up(stack_id)).is_busy:
                return stack.status, reasons
            time.sleep(self._poll_seconds)

    def _find_undeleted(self, stack_id: str) -> dict[str, str]:
        """Return the IDs of what is PRECIOUS and could not be deleted, by its name."""
        resources = self._account.find(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack_id
        )
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in resources
            if each["LogicalResourceId"] in PRECIOUS and each["ResourceStatus"] == "DELETE_FAILED"
        }

    def resources(self, stack: Stack) -> dict[str, str]:
        """Return the IDs that AWS gave to the template's resources, by their names there."""
        found = self._account.find(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack.id
        )
        return {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in found}

    def last_failure(self, stack: Stack) -> str:
        """Return which resource failed last, and when and why; "" if none has."""
        for event in self._events(stack.id):
            what, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if what.endswith("_FAILED") and "cancelled" not in reason:
                when = event["Timestamp"].isoformat(timespec="seconds")
                return f"{when} {event['LogicalResourceId']} {reason or what}"
        return ""


def _check_outcome(
    name: str, status: str, reasons: Sequence[str], region: str, left: Mapping[str, str]
) -> None:
    """Raise DeploymentError unless the change succeeded.

    left: what was made, and could not be deleted again.
    """
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return
    outcomes = {
        "UPDATE_ROLLBACK_COMPLETE": f"The change to the stack {name} failed and was rolled back;"
        " the previous version keeps running.",
        "ROLLBACK_COMPLETE": f"The stack {name} could not be created, so its resources were"
        " deleted.",
    }
    outcome = outcomes.get(status, f"The change to the stack {name} failed; it is {status}.")
    causes = [
        reason
        for reason in reasons
        if not (reason.partition(":")[0] in left and ":Delete" in reason)
    ]
    raise DeploymentError(f"{outcome} What failed:{_lines(causes)}{_tell_left(region, left)}")


def _tell_left(region: str, left: Mapping[str, str]) -> str:
    """Say what a role that may not delete such things has left behind, and how to delete it."""
    if not left:
        return ""
    kinds = {"FileSystem": "file system", "UserPool": "user pool"}
    names = " and ".join(f"the {kinds[name]} {id_}" for name, id_ in left.items())
    commands = [f"\n  aws {_DELETION[name]} {id_} --region {region}" for name, id_ in left.items()]
    return (
        f"\nLeft behind: {names}. Nobody has used that yet, and the next deployment makes it anew,"
        " but the role that CloudFormation uses may not delete it, because AWS can't tell it from"
        f" one that is in use. To delete it, with your own credentials:{''.join(commands)}"
    )


def _lines(reasons: Sequence[str]) -> str:
    advice = dict.fromkeys(advise(reason) for reason in reasons)
    return "".join([*(f"\n  {reason}" for reason in reasons), *advice])
