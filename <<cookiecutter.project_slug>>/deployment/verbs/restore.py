"""Bring conversations back, from an export or from a backup; what is there stays."""

from pathlib import Path

from deployment import backups, buckets
from deployment.console import begin, confirm, result, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.stacks import Stack
from deployment.verbs.export import run

GZIP = b"\x1f\x8b"
LAST = "Not brought back:"
PART = "What was brought back by then stays, and the next run adds the rest."


def restore(context: Context) -> None:
    """Restore from a file or a recovery point; without one, list the recovery points."""
    archive = context.options.archive
    if not archive:
        stack = context.require_service()
        points = backups.list_points(context.account, stack)
        if not points:
            say("AWS Backup has made no backup yet; it makes one each day.")
        for point in points:
            result(str(point))
    elif archive.startswith("arn:"):
        _restore_backup(context, archive)
    else:
        _restore_file(context, Path(archive))


def _restore_file(context: Context, file: Path) -> None:
    try:
        with file.open("rb") as opened:
            is_archive = opened.read(2) == GZIP
    except OSError as error:
        raise DeploymentError(f"{file} can't be read: {error.strerror}.") from error
    if not is_archive:
        raise DeploymentError(f"{file} is not an archive that export has saved.")
    stack = context.require_service()
    _announce(stack, str(file), context)
    if context.options.dry_run:
        say("Would copy the file into a bucket made for this, run a task that brings back what is")
        say("in it, and delete the bucket; nothing was changed")
        return
    _confirm(context)
    nothing, reads = "Nothing was restored.", ["s3:GetObject"]
    with buckets.temporary_bucket(context.account, stack, reads, nothing) as bucket:
        begin(f"Copying {file} there", nothing)
        context.account.client("s3").upload_file(str(file), bucket, buckets.KEY)
        lines = run(context, stack, _words(context, f"s3://{bucket}/{buckets.KEY}"), LAST, PART)
    result("\n".join(lines))


def _restore_backup(context: Context, arn: str) -> None:
    account, poll_seconds = context.account, context.options.poll_seconds
    stack = context.require_service()
    if not (task_role := context.stacks.resources(stack).get("DataRole")):
        raise DeploymentError(
            f"The stack {stack.name} is from before this verb, and lacks a role. Deploy first."
        )
    point = backups.find_point(account, stack, arn)
    role = backups.find_role(account)
    _announce(stack, f"the backup of {point.created:%Y-%m-%d %H:%M}", context)
    if context.options.dry_run:
        say(f"Would have AWS Backup restore it into the file system, as {role},")
        say("run a task that brings back what is in it and deletes the restored copy, through an")
        say("access point and a task definition made for this; nothing was changed")
        return
    _confirm(context)
    backups.restore(account, stack, point, role, poll_seconds)
    with backups.reaching(account, stack, task_role, poll_seconds) as definition:
        words = _words(context, "--backup", backups.MOUNTED)
        lines = run(context, stack, words, LAST, f"{PART} {backups.COPY_STAYS}", definition)
    result("\n".join(lines))


def _announce(stack: Stack, source: str, context: Context) -> None:
    deleted = "What was deleted on purpose stays deleted."
    if context.options.with_deleted:
        deleted = "What people have deleted, and operators erased, comes back too."
    say(
        f"This brings back to the stack {stack.name} what is in {source}. Chats that are there stay"
        f" as they are. {deleted}"
    )


def _confirm(context: Context) -> None:
    if not context.options.yes:
        confirm(context.options.stack_name)


def _words(context: Context, *source: str) -> list[str]:
    deleted = ["--with-deleted"] if context.options.with_deleted else []
    return ["python", "-m", "chatbot", "restore", *source, *deleted]
