"""Go back to an image that was deployed before; nothing else changes."""

from deployment import image
from deployment.console import command, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.verbs.deploy import finish


def rollback(context: Context) -> None:
    """Return to the image pushed before the current one, or to the one with a tag."""
    context.require_stack()
    stack = context.stacks.wait_for_others(context.name)
    if stack.status != "CREATE_COMPLETE" and not stack.status.startswith("UPDATE_"):
        raise DeploymentError(
            f"The stack {context.name} is {stack.status or 'gone'}: there is nothing to roll back"
            f" to. Continue with: {command('deploy')}"
        )
    stack = context.stacks.settle(context.name)
    repository, _, running = stack.parameters["ImageUri"].rpartition(":")
    tag = _choose(image.pushed_images(context.account, repository), running, context.options.tag)
    say(f"From the image {running} to {tag}")
    if context.options.dry_run:
        say(
            f"Would change only the image of the stack {context.name}, and wait until all tasks run"
            " it; nothing was changed"
        )
        return
    others = [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in stack.parameters
        if name != "ImageUri"
    ]
    own = {"ParameterKey": "ImageUri", "ParameterValue": f"{repository}:{tag}"}
    context.stacks.change(
        stack,
        UsePreviousTemplate=True,
        Parameters=[own, *others],
        Tags=stack.tags,  # the same again, because those of CloudFront's VPC origin can't change
    )
    finish(context)


def _choose(pushed: list[list[str]], running: str, wanted: str) -> str:
    """Return the tag to go back to. Raises DeploymentError if there is none.

    pushed: the tags of each image, the newest image first.
    """
    tag = wanted or running
    position = next((place for place, tags in enumerate(pushed) if tag in tags), None)
    if position is None:
        there = "\n".join(f"  {' '.join(tags)}" for tags in pushed)
        raise DeploymentError(
            f"There is no image {tag} in ECR. The images there, newest first:\n{there}"
        )
    if wanted:
        return wanted
    if position + 1 == len(pushed):
        raise DeploymentError(f"No image was pushed before {running}, which is running now.")
    return pushed[position + 1][0]
