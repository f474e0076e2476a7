"""Deploy the very image that runs in another environment, such as staging."""

import re

from deployment import beside, checks, image, service
from deployment.console import command, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.verbs.deploy import change, finish


def promote(context: Context) -> None:
    """Run the image of the environment FROM here, too; nothing is built."""
    options, stacks = context.options, context.stacks
    plan = checks.check(context, builds=False)
    source = stacks.require(
        options.stack_of(options.source), command("deploy", environment=options.source)
    )
    if "Service" not in source.outputs:
        raise DeploymentError(f"The stack {source.name} has no tasks yet; it is {source.status}.")
    [now, *others] = service.rollouts(context.account, source)
    if others or now.state != "COMPLETED" or now.running < now.desired:
        raise DeploymentError(
            f"The stack {source.name} is not at rest: {now.running} of {now.desired} tasks run"
            f" {now.name}, {now.state}. Wait until all of them do, and look whether it works."
        )
    uri = source.parameters["ImageUri"]
    repository, _, tag = uri.rpartition(":")
    if tag != plan.tag:  # the template and the parameters are those of this folder
        if not re.fullmatch("[0-9a-f]{12}", tag):
            raise DeploymentError(
                f"{source.name} runs {tag}, a trial that no commit has: commit what it is, and"
                f" deploy that there first: {command('deploy', environment=options.source)}"
            )
        raise DeploymentError(
            f"{source.name} runs {tag}, and this folder is {plan.tag}: git checkout {tag}"
        )
    digest = image.find_digest(context.account, repository, tag)
    if not digest:
        raise DeploymentError(f"The image {tag} is no longer in ECR. Deploy it to {source.name}.")
    say(f"From {source.name} to {context.name}: the image {tag}, {digest}")
    if options.dry_run:
        beside.say_steps(context, plan.given, with_cloudfront=plan.with_cloudfront)
        say(f"Would change the stack {context.name} so that all tasks run it; nothing was changed")
        return
    change(context, plan, uri)
    finish(context)
