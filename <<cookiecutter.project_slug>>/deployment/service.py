"""The service on ECS: which tasks run, the rollout of new ones, and why they stop."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from deployment.account import Account, AwsError
from deployment.console import begin, command, detail, say
from deployment.errors import DeploymentError
from deployment.stacks import Stack


@dataclass(frozen=True)
class Rollout:
    """One of the service's deployments, as ECS calls them.

    state: COMPLETED, IN_PROGRESS or FAILED.
    """

    is_primary: bool
    definition: str
    state: str
    running: int
    desired: int
    reason: str

    @property
    def name(self) -> str:
        """The task definition, such as team-chatbot:7."""
        return self.definition.rpartition("/")[2]


def find_service(account: Account, stack: Stack) -> dict[str, Any]:
    """Return what ECS says of the stack's service. Raises DeploymentError if it is gone."""
    names = {"cluster": stack.outputs["Cluster"], "services": [stack.outputs["Service"]]}
    found: list[dict[str, Any]] = account.client("ecs").describe_services(**names)["services"]
    if not found or found[0].get("status") == "INACTIVE":
        raise DeploymentError(
            f"The service of the stack {stack.name} is gone, though the stack is {stack.status}."
            " Somebody deleted it by hand; destroy the stack and deploy it again, which keeps the"
            " conversations."
        )
    return found[0]


def rollouts(account: Account, stack: Stack) -> list[Rollout]:
    """Return the rollouts of the stack's service."""
    service = find_service(account, stack)
    return [
        Rollout(
            each["status"] == "PRIMARY",
            each["taskDefinition"],
            each.get("rolloutState", "COMPLETED"),
            each["runningCount"],
            each["desiredCount"],
            each.get("rolloutStateReason", "-"),
        )
        for each in service["deployments"]
    ]


def wait_for_rollout(account: Account, stack: Stack, poll_seconds: float) -> None:
    """Wait until all tasks run what the stack says. Raises DeploymentError if they won't."""
    wanted = stack.outputs["TaskDefinition"]
    short = wanted.rpartition("/")[2]
    begin(
        f"Waiting until all tasks run {short}",
        f"AWS continues the rollout. For the outcome: {command('status')}",
    )
    before: Rollout | None = None
    while True:
        now = next(each for each in rollouts(account, stack) if each.is_primary)
        if now != before:
            detail(f"{now.name}  {now.state}, {now.running} of {now.desired} tasks")
        before = now
        if now.definition != wanted or now.state == "FAILED":
            explain(account, f"{stack.outputs['Cluster']}/{stack.outputs['Service']}")
            raise DeploymentError(
                f"{short} could not be rolled out, and the service runs {now.name}: {now.reason}"
            )
        if now.state == "COMPLETED" and now.running == now.desired:
            return
        time.sleep(poll_seconds)


def explain(account: Account, service: str) -> None:
    """Say why the tasks of a service, given as …CLUSTER/SERVICE, are not running.

    This is only more about a failure, so it passes over what AWS does not tell.
    """
    if "/" not in service:  # it has never come into being
        return
    *_, cluster, name = service.split("/")
    ecs = account.client("ecs")
    say(f"The last events of the service {name}, the newest first:")
    try:
        [found] = ecs.describe_services(cluster=cluster, services=[name])["services"]
        for event in found.get("events", [])[:5]:
            detail(f"  {event['message']}")
        tasks = ecs.list_tasks(cluster=cluster, serviceName=name, desiredStatus="STOPPED")
        if not tasks["taskArns"]:
            return
        stopped = ecs.describe_tasks(cluster=cluster, tasks=tasks["taskArns"][:5])["tasks"]
        say("Why its tasks stopped:")
        reasons = Counter(_why(task) for task in stopped)
        for reason, count in sorted(reasons.items()):
            detail(f"  {count} {reason}")
    except (*AwsError, ValueError) as error:
        detail(f"  AWS does not tell: {error}")


def _why(task: dict[str, object]) -> str:
    containers = task.get("containers")
    parts = [str(task.get("stoppedReason", "-"))]
    for each in containers if isinstance(containers, list) else ():
        parts += [each["reason"]] if each.get("reason") else []
        parts += [f"{each['name']} exit code {each['exitCode']}"] if "exitCode" in each else []
    return ", ".join(parts)
