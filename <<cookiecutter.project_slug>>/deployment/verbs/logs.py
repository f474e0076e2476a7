"""Show the logs of the last hour, and follow them."""

import time

from deployment.console import result
from deployment.context import Context
from deployment.errors import DeploymentError

HOUR = 3600 * 1000  # milliseconds
OVERLAP = 60 * 1000  # milliseconds by which a line may come later than the one after it


def logs(context: Context) -> None:
    """Print each line with its time in UTC; with --follow, those that come, too."""
    stack = context.require_stack()
    group = stack.outputs.get("LogGroup")
    if not group:
        raise DeploymentError(f"The stack {stack.name} has no logs yet; it is {stack.status}.")
    start = int(time.time() * 1000) - HOUR
    seen: dict[str, int] = {}
    while True:
        events = context.account.find(
            "logs", "filter_log_events", "events", logGroupName=group, startTime=start
        )
        for event in events:
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(event["timestamp"] / 1000))
                result(f"{when} {event['message'].rstrip()}")
        if not context.options.follow:
            return
        start = max([start, *(when - OVERLAP for when in seen.values())])
        seen = {event: when for event, when in seen.items() if when >= start}
        time.sleep(context.options.poll_seconds)
