"""Deploy this commit: the registry's stack, the image, the chatbot's stack, and its tasks."""

from collections.abc import Mapping

from deployment import beside, checks, image, kept, parameters, service
from deployment.checks import Plan
from deployment.console import command, result, say
from deployment.context import Context
from deployment.kept import Kept
from deployment.project import REGISTRY, TEMPLATE


def deploy(context: Context) -> None:
    """Create what is missing, change what is different, and print the address."""
    stacks = context.stacks
    plan = checks.check(context)
    _mention_kept_data(context, plan)
    registry = stacks.settle(context.registry_name)
    if context.options.dry_run:
        _say_steps(context, plan, has_registry=bool(registry.status))
        return
    tags = parameters.as_tags(plan.tags)
    stacks.change(registry, TemplateBody=REGISTRY.read_text(encoding="utf-8"), Tags=tags)
    repository = stacks.look_up(context.registry_name).outputs["RepositoryUri"]
    stacks.settle(context.name)  # before the build, so that problems show at once
    image.build(
        context.account,
        repository,
        plan.tag,
        context.project.platform,
        f"The stack {context.name} is unchanged.",
    )
    change(context, plan, f"{repository}:{plan.tag}")
    finish(context)


def change(context: Context, plan: Plan, image_uri: str) -> None:
    """Create or change the chatbot's stack, so that it runs this image, and those beside it."""
    more = beside.make(context, plan.given, plan.tags, with_cloudfront=plan.with_cloudfront)
    if beside.is_private(plan.given):
        if not context.stacks.settle(context.name).status:
            say("Making the network first, in which the tasks still have public addresses")
            _change(context, plan, image_uri, more | beside.NOT_PRIVATE)
        beside.make_inside(context, plan.given, plan.tags)
    _change(context, plan, image_uri, more)
    beside.remove(context, plan.given)


def _change(context: Context, plan: Plan, image_uri: str, more: Mapping[str, str]) -> None:
    stack = context.stacks.settle(context.name)
    if "EarlierImages" in plan.taken:
        earlier = parameters.earlier_images(stack, image_uri.rpartition(":")[2])
        more = {**more, "EarlierImages": earlier}
    context.stacks.change(
        stack,
        allow_loss=context.options.yes,
        TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
        Parameters=plan.parameters(image_uri, more),
        Tags=parameters.as_tags(plan.tags),
    )


def finish(context: Context) -> None:
    """Wait for the tasks, and print the address; after the first time, say how people get in."""
    stack = context.stacks.look_up(context.name)
    service.wait_for_rollout(context.account, stack, context.options.poll_seconds)
    say("Done")
    known = [stack.parameters.get(name) for name in ("EarlierImages", "UserPoolId")]
    if context.project.has_pool and not any(known):
        say(f"Nobody can sign in before you invite them: {command('invite', 'you@example.com')}")
    result(stack.outputs["Address"])


def _say_steps(context: Context, plan: Plan, *, has_registry: bool) -> None:
    if not has_registry:
        say(f"Would create the stack {context.registry_name}, for the images")
    platform = context.project.platform
    say(f"Would build the image {plan.tag} for {platform} and push it, unless it is in ECR already")
    stack = context.stacks.settle(context.name)
    status = stack.status or "not there"
    say(f"Would show the changes to the stack {context.name}, which is {status}, and make them")
    beside.say_steps(context, plan.given, with_cloudfront=plan.with_cloudfront)
    say("Would wait until all tasks run the new image, and print the address")
    say("Nothing was changed")


def _mention_kept_data(context: Context, plan: Plan) -> None:
    """Say what a new stack will not have, unless its parameters name what was kept."""
    if context.stacks.look_up(context.name).status:
        return
    files = (
        []
        if plan.given.get("FileSystemId")
        else kept.find_kept_files(context.account, context.name)
    )
    pools = []
    if context.project.has_pool and not plan.given.get("UserPoolId"):
        pools = kept.find_kept_pools(context.account, context.name)
    without = "and the new stack will start without them."
    if files:
        say(f"An earlier stack's conversations are kept in {', '.join(files)}, {without}")
    if pools:
        say(
            "An earlier stack's people, to whom its conversations belong, are kept in"
            f" {', '.join(pools)}, {without}"
        )
    Kept(files, pools).tell_how_to_adopt(context.options.environment)
