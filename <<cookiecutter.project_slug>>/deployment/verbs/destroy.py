"""Delete everything, except the conversations and the people unless that is asked for."""

from collections.abc import Sequence

from deployment import beside
from deployment.account import accepting
from deployment.console import begin, confirm, say
from deployment.context import Context
from deployment.errors import DeletionError, DeploymentError
from deployment.kept import Kept, find_kept_files, find_kept_pools
from deployment.leftovers import describe_leftovers, remove_leftovers
from deployment.parameters import ListError, read_parameters
from deployment.stacks import Stack


def destroy(context: Context) -> None:
    """Delete both stacks. Keep what can't be made again, or delete that too."""
    options = context.options
    context.account.sign_in()
    found = _find(context)
    if options.delete_data:
        region = f"--region {options.region}"
        _refuse_to_guess("user pools", found.pools, f"cognito-idp delete-user-pool {region} --user")
        _refuse_to_guess("file systems", found.files, f"efs delete-file-system {region} --file")
    others = _other_stacks(context)
    parts = list(beside.there(context, _read_parameters(context)))
    names = [context.name] if others else [context.name, context.registry_name]
    _refuse_protected(
        [
            *((context.stacks.region, context.stacks.look_up(name)) for name in names),
            *((stacks.region, stack) for _, stacks, stack in parts),
        ]
    )
    say(
        f"This deletes {'the stack' if others else 'the stacks'} {' and '.join(names)} in"
        f" {options.region}, in account {context.account.id}."
    )
    for _, stacks, stack in parts:
        say(f"It deletes the stack {stack.name} in {stacks.region}, too.")
    if others:
        say(f"The images in {context.registry_name} stay: {', '.join(others)} may need them.")
    fate = "deleted" if options.delete_data else "kept"
    if found.files:
        say(f"The conversations, in the file system {', '.join(found.files)}, are {fate}.")
    if found.pools:
        say(f"The people, in the user pool {', '.join(found.pools)}, are {fate}.")
    if options.dry_run:
        say("Nothing was changed")
        return
    if not options.yes:
        confirm(context.name)
    for part, stacks, stack in parts:
        if part.inside:  # the chatbot's network could not be deleted around it
            beside.delete(stacks, stack)
    for name in names:
        stack = context.stacks.wait_for_others(name)
        if stack.status:
            _delete_stack(context, stack)
        if name == context.name:  # which has used these
            for part, stacks, other in parts:
                if not part.inside:
                    beside.delete(stacks, other)
    if options.delete_data:
        _delete(context, found)
        return
    if found.files:
        say(f"The conversations are kept in {', '.join(found.files)}.")
    if found.pools:
        say(f"The people are kept in {', '.join(found.pools)}.")
    found.tell_how_to_adopt(context.options.environment)


def _find(context: Context) -> Kept:
    """Find what the stack has, or what earlier stacks left."""
    outputs = context.stacks.look_up(context.name).outputs
    files = [outputs["FileSystem"]] if outputs.get("FileSystem") else []
    pools = [outputs["UserPoolId"]] if outputs.get("UserPoolId") else []
    if context.project.has_pool:
        pools = pools or find_kept_pools(context.account, context.name)
    return Kept(files or find_kept_files(context.account, context.name), pools)


def _other_stacks(context: Context) -> list[str]:
    """Return the stacks of the other environments, which have the same images.

    Those that exist tell, as another branch may have environments that are unknown here.
    """
    registry = context.stacks.look_up(context.registry_name)
    repository = registry.outputs.get("RepositoryUri")
    family = context.options.family
    return [
        name
        for name in context.stacks.names()
        if name != context.name and (name == family or name.startswith(f"{family}-"))
        if _image(context, name).partition(":")[0] == repository
    ]


def _image(context: Context, name: str) -> str:
    return context.stacks.look_up(name).parameters.get("ImageUri", "")


def _read_parameters(context: Context) -> dict[str, str]:
    try:
        return read_parameters(context.options.environment)
    except ListError:  # no reason to keep the stacks
        return {}


def _refuse_protected(found: Sequence[tuple[str, Stack]]) -> None:
    """Refuse before the first deletion what AWS would refuse after it. Raises DeploymentError.

    found: what is to be deleted, each with its region.
    """
    protected = [(region, stack.name) for region, stack in found if stack.is_protected]
    if protected:
        names = " and ".join(name for _, name in protected)
        commands = "".join(
            "\n  aws cloudformation update-termination-protection"
            f" --no-enable-termination-protection --region {region} --stack-name {name}"
            for region, name in protected
        )
        raise DeploymentError(
            f"Nothing was deleted, because termination protection is on for {names}. To turn it"
            f" off, with the AWS CLI:{commands}"
        )


def _refuse_to_guess(what: str, found: Sequence[str], command: str) -> None:
    if len(found) > 1:
        kind = "pool" if "pool" in what else "system"
        raise DeploymentError(
            f"Several {what} were left behind, and only you can tell which one to delete:"
            f" {', '.join(found)}\nDelete the others first. With the AWS CLI:\n"
            f"  aws {command}-{kind}-id ID"
        )


def _delete_stack(context: Context, stack: Stack) -> None:
    """Delete a stack; if its network can't be deleted, try once more without what others left."""
    stacks, account = context.stacks, context.account
    network = stacks.resources(stack).get("Vpc")
    try:
        stacks.delete(stack)
    except DeletionError:
        if not network or not remove_leftovers(account, network, context.options.poll_seconds):
            raise
        try:
            stacks.delete(stacks.look_up(stack.name))
        except DeletionError as error:
            there = describe_leftovers(account, network)
            raise DeletionError(f"{error}\nIn the network {network} there are:{there}") from error


def _delete(context: Context, found: Kept) -> None:
    account = context.account
    for pool in found.pools:
        begin(f"Deleting the user pool {pool}", f"The user pool {pool} may still be there.")
        with accepting("ResourceNotFoundException"):
            account.client("cognito-idp").delete_user_pool(UserPoolId=pool)
    for files in found.files:
        begin(f"Deleting the file system {files}", f"The file system {files} may still be there.")
        with accepting("FileSystemNotFound"):
            account.client("efs").delete_file_system(FileSystemId=files)
        say("Its backups in AWS Backup expire by themselves.")
