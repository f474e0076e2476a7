"""What is kept about people: list them; find, export or erase what is kept about one."""

import base64
import binascii
import gzip
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from deployment import tasks
from deployment.account import AwsError, sentence
from deployment.console import begin, confirm, result, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.stacks import Stack
from deployment.tasks import Outcome
from deployment.verbs import accounts

NAME_LENGTH = 200  # characters of a person in a file's name, of which 255 are allowed
BEGIN, END = "-----BEGIN EXPORT-----", "-----END EXPORT-----"


def people(context: Context) -> None:
    """Run `python -m chatbot people` in a task, and print or save what it says."""
    options, action = context.options, context.options.action
    stack = context.require_service()
    subject = options.subject
    if options.email:
        subject = accounts.find_subject(context, accounts.require_pool(stack))
    person = options.email or subject
    issuer = options.issuer or stack.outputs.get("Issuer", "")
    name = re.sub("[^A-Za-z0-9@._+-]", "-", person)[:NAME_LENGTH]
    file = Path.cwd() / f"{name}-export.tar.gz"
    if action == "export" and file.exists():
        raise DeploymentError(f"{file} is there already; move it away first.")
    if action == "erase":
        say(
            f"This deletes all that is kept about {person} in the stack {stack.name}: chats, files"
            " and usage."
        )
    if options.dry_run:
        who = f" for the subject {subject} of {issuer}" if subject else ""
        say(f"Would run a task that does this{who}; nothing was changed")
        return
    if action == "erase" and not options.yes:
        confirm(stack.name)
    words = ["python", "-m", "chatbot", "people", action]
    words += [] if action == "list" else ["--issuer", issuer, "--subject", subject]
    words += ["--base64"] if action == "export" else []

    def is_whole(code: int, lines: Sequence[str]) -> bool:
        return END in lines if action == "export" and code == 0 else bool(lines)

    done = tasks.run(context.account, stack, words, options.poll_seconds, is_whole)
    said = "\n".join(done.lines)
    if done.code == 1:
        raise DeploymentError(said)
    if done.code:
        raise DeploymentError(
            f"{said}\nThe task ended with the exit code {done.code}: {done.reason}"
        )
    if action == "export":
        _save(context, stack, done, file)
    elif said:
        result(said)


def _save(context: Context, stack: Stack, done: Outcome, file: Path) -> None:
    """Save what is between the marks, and take it out of the log."""
    begin(f"Saving {file}", f"The log stream {done.stream} still holds the export.")
    content = _unpack(done.lines)
    if content is not None:
        _write(file, content, done.stream)
    group = stack.outputs["LogGroup"]
    try:
        context.account.client("logs").delete_log_stream(
            logGroupName=group, logStreamName=done.stream
        )
    except AwsError as error:
        saved = f"The export is in {file}. " if content is not None else ""
        raise DeploymentError(
            f"{saved}The log still holds it too, as AWS says: {sentence(error)}. Delete the stream"
            f" {done.stream} of the log group {group}. With the AWS CLI:\n"
            f"  aws logs delete-log-stream --region {context.options.region}"
            f" --log-group-name {group} --log-stream-name {done.stream}"
        ) from error
    if content is None:
        raise DeploymentError(
            "The export did not reach the log as a whole, and was not saved. Run the same command"
            " again."
        )
    result(str(file))


def _write(file: Path, content: bytes, stream: str) -> None:
    """Write a file that only its owner may read, or no part of it. Raises DeploymentError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritten(file, error, stream) from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise _unwritten(file, error, stream) from error


def _unwritten(file: Path, error: OSError, stream: str) -> DeploymentError:
    return DeploymentError(
        f"{file} could not be written: {error.strerror}. Make room, or choose another folder, and"
        f" run the same command there. The log stream {stream} still holds this export."
    )


def _unpack(lines: Sequence[str]) -> bytes | None:
    """Return the archive between the marks; None if it is not whole."""
    if BEGIN not in lines or END not in lines:
        return None
    text = "".join(lines[lines.index(BEGIN) + 1 : lines.index(END)])
    try:
        content = base64.b64decode(text, validate=True)
        gzip.decompress(content)
    except (binascii.Error, EOFError, OSError, zlib.error):
        return None
    return content
