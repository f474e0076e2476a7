"""Go back to an image that was deployed before; nothing else changes."""

from deployment import image
from deployment.console import command, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.parameters import as_parameters, earlier_images
from deployment.stacks import Stack
from deployment.verbs.deploy import finish


def rollback(context: Context) -> None:
    """Return to the image that ran here before the current one, or to the one with a tag."""
    context.require_stack()
    stack = context.stacks.wait_for_others(context.name)
    if stack.status != "CREATE_COMPLETE" and not stack.status.startswith("UPDATE_"):
        raise DeploymentError(
            f"The stack {context.name} is {stack.status or 'gone'}: there is nothing to roll back"
            f" to. Continue with: {command('deploy')}"
        )
    stack = context.stacks.settle(context.name)
    repository, _, running = stack.parameters["ImageUri"].rpartition(":")
    pushed = image.pushed_images(context.account, repository)
    tag = context.options.tag or _earlier(stack, running, pushed)
    if not any(tag in tags for tags in pushed):
        raise DeploymentError(f"There is no image {tag} in ECR. {_list(pushed)}")
    say(f"From the image {running} to {tag}")
    if context.options.dry_run:
        say(
            f"Would change only the image of the stack {context.name}, and wait until all tasks run"
            " it; nothing was changed"
        )
        return
    given = {"ImageUri": f"{repository}:{tag}"}
    if "EarlierImages" in stack.parameters:
        given["EarlierImages"] = earlier_images(stack, tag)
    others = [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in stack.parameters
        if name not in given
    ]
    context.stacks.change(
        stack,
        UsePreviousTemplate=True,
        Parameters=[*as_parameters(given), *others],
        Tags=stack.tags,  # the same again, because those of CloudFront's VPC origin can't change
    )
    finish(context)


def _earlier(stack: Stack, running: str, pushed: list[list[str]]) -> str:
    """Return the tag of the newest image that ran in the stack before this one and is still in ECR.

    Images are shared: of those that were pushed, some never became healthy, and others ran
    elsewhere. Raises DeploymentError if none is known.
    """
    for tag in earlier_images(stack, running).split(","):
        if any(tag in tags and running not in tags for tags in pushed):
            return tag
    raise DeploymentError(
        f"No image in ECR is known to have run in {stack.name} before {running}, which is running"
        f" now. To choose one: {command('rollback', 'TAG')}\n{_list(pushed)}"
    )


def _list(pushed: list[list[str]]) -> str:
    """List the tags of each image, which come with the newest image first."""
    there = "".join(f"\n  {' '.join(tags)}" for tags in pushed)
    return f"The images of all environments, newest first:{there}"
