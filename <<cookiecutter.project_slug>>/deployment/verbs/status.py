"""Show what is running, and what is wrong with it."""

from deployment import service
from deployment.console import result
from deployment.context import Context


def status(context: Context) -> None:
    """Print a line each about the stack, its tasks, its alarms and its last failure."""
    stack = context.require_stack()
    lines = [
        ("Stack", f"{stack.name} in {context.options.region}, {stack.status}"),
        ("Address", stack.outputs.get("Address", "")),
        ("Image", stack.parameters.get("ImageUri", "").rpartition(":")[2]),
    ]
    if "Service" in stack.outputs:
        lines += [
            ("Tasks", f"{each.running} of {each.desired} run {each.name}, {each.state}")
            for each in service.rollouts(context.account, stack)
        ]
    alarms = _alarms(context, stack.id) or ["nothing"]
    lines += [("In alarm", alarm) for alarm in alarms]
    lines.append(("Last failure", context.stacks.last_failure(stack) or "none"))
    for name, value in lines:
        result(f"{name:<14}{value}".rstrip())


def _alarms(context: Context, stack_id: str) -> list[str]:
    resources = context.account.find(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack_id
    )
    names = [
        each["PhysicalResourceId"]
        for each in resources
        if each["ResourceType"] == "AWS::CloudWatch::Alarm" and each.get("PhysicalResourceId")
    ]
    if not names:
        return []
    loud = context.account.find(
        "cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=names, StateValue="ALARM"
    )
    return [f"{each['AlarmName']}: {each.get('AlarmDescription', '-')}" for each in loud]
