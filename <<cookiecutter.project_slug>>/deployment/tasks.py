"""One-off tasks: a command in the image, with the role, files and network of the service."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deployment.account import Account, AwsError, accepting
from deployment.console import begin
from deployment.console import command as shown
from deployment.errors import DeploymentError
from deployment.service import find_service
from deployment.stacks import Stack

TRIES = 12  # to find a task, and to read its log, which its last lines reach a little later


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    reason: why it stopped, as ECS says.
    stream: of the log, where its lines are.
    """

    code: int
    reason: str
    lines: list[str]
    stream: str


def run(
    account: Account,
    stack: Stack,
    command: Sequence[str],
    poll_seconds: float,
    is_whole: Callable[[int, list[str]], bool] = lambda _code, lines: bool(lines),
    *,
    definition: str = "",
    left: str = "",
) -> Outcome:
    """Run a command in a task, and return what it said. Raises DeploymentError if it did not run.

    is_whole: whether the lines that reached the log by now are all that a task with that exit code
        says. If they never are, this returns what there is.
    definition: of the task, if it is another one than the service's.
    left: what an interruption leaves behind, which stops the task then; "" lets the task go on.
    """
    ecs = account.client("ecs")
    cluster = stack.outputs["Cluster"]
    network = find_service(account, stack)["networkConfiguration"]
    begin(
        "Running a task, which takes a minute",
        left or "The task may still run, and what it says stays in the log.",
    )
    started = ecs.run_task(
        cluster=cluster,
        taskDefinition=definition or stack.outputs["TaskDefinition"],
        launchType="FARGATE",
        networkConfiguration=network,
        overrides={"containerOverrides": [{"name": "chatbot", "command": list(command)}]},
    )
    if not started["tasks"]:
        raise DeploymentError(f"AWS runs no task: {started['failures'][0]['reason']}")
    arn = started["tasks"][0]["taskArn"]
    try:
        found = _wait(ecs, cluster, arn, poll_seconds)
    except BaseException:
        if left:
            with suppress(*AwsError):
                ecs.stop_task(cluster=cluster, task=arn, reason="Its caller was interrupted")
        raise
    reason = found.get("stoppedReason", "-")
    codes = {each["name"]: each.get("exitCode") for each in found["containers"]}
    code = codes.get("chatbot")
    if code is None:
        raise DeploymentError(f"The task did not run: {reason}")
    stream = f"chatbot/chatbot/{arn.rpartition('/')[2]}"
    for last in (*[False] * (TRIES - 1), True):
        lines = _read_log(account, stack.outputs["LogGroup"], stream)
        if last or is_whole(code, lines):
            break
        time.sleep(poll_seconds)
    return Outcome(code, reason, lines, stream)


def _wait(ecs: Any, cluster: str, arn: str, poll_seconds: float) -> dict[str, Any]:
    """Return what ECS says of a task that has stopped. Raises DeploymentError if it forgot it.

    ECS forgets tasks an hour after they stopped, in which this machine may have slept.
    """
    missing = 0
    while missing < TRIES:
        found: list[dict[str, Any]] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if found and found[0]["lastStatus"] == "STOPPED":
            return found[0]
        missing = 0 if found else missing + 1  # it may take a moment to be found
        time.sleep(poll_seconds)
    raise DeploymentError(
        f"ECS does not know the task {arn} any more, so nobody can tell how it ended. What it said"
        f" is in the log: {shown('logs')}"
    )


def _read_log(account: Account, group: str, stream: str) -> list[str]:
    with accepting("ResourceNotFoundException"):
        names = {"logGroupName": group, "logStreamNames": [stream]}
        events = account.find("logs", "filter_log_events", "events", **names)
        return [each["message"] for each in events]
    return []
