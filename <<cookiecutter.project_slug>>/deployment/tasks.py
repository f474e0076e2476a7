"""One-off tasks: a command in the image, with the role, files and network of the service."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployment.account import Account, accepting
from deployment.console import begin
from deployment.errors import DeploymentError
from deployment.stacks import Stack

TRIES = 12  # to read the log, as a task's last lines reach it a little later


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
) -> Outcome:
    """Run a command in a task, and return what it said. Raises DeploymentError if it did not run.

    is_whole: whether the lines that reached the log by now are all that a task with that exit code
        says. If they never are, this returns what there is.
    """
    ecs = account.client("ecs")
    cluster = stack.outputs["Cluster"]
    names = {"cluster": cluster, "services": [stack.outputs["Service"]]}
    [service] = ecs.describe_services(**names)["services"]
    begin(
        "Running a task, which takes a minute",
        "The task may still run, and what it says stays in the log.",
    )
    started = ecs.run_task(
        cluster=cluster,
        taskDefinition=stack.outputs["TaskDefinition"],
        launchType="FARGATE",
        networkConfiguration=service["networkConfiguration"],
        overrides={"containerOverrides": [{"name": "chatbot", "command": list(command)}]},
    )
    if not started["tasks"]:
        raise DeploymentError(f"AWS runs no task: {started['failures'][0]['reason']}")
    arn = started["tasks"][0]["taskArn"]
    while True:
        [task] = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
        if task["lastStatus"] == "STOPPED":
            break
        time.sleep(poll_seconds)
    reason = task.get("stoppedReason", "-")
    [container] = [each for each in task["containers"] if each["name"] == "chatbot"]
    if "exitCode" not in container:
        raise DeploymentError(f"The task did not run: {reason}")
    code = container["exitCode"]
    stream = f"chatbot/chatbot/{arn.rpartition('/')[2]}"
    for last in (*[False] * (TRIES - 1), True):
        lines = _read_log(account, stack.outputs["LogGroup"], stream)
        if last or is_whole(code, lines):
            break
        time.sleep(poll_seconds)
    return Outcome(code, reason, lines, stream)


def _read_log(account: Account, group: str, stream: str) -> list[str]:
    with accepting("ResourceNotFoundException"):
        names = {"logGroupName": group, "logStreamNames": [stream]}
        events = account.find("logs", "filter_log_events", "events", **names)
        return [each["message"] for each in events]
    return []
