"""Save conversations: all, or one person's, in an archive that `restore` takes."""

import gzip
import io
import os
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deployment import buckets, tasks
from deployment.account import AwsError
from deployment.console import begin, result, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.stacks import Stack
from deployment.verbs import accounts

MEBIBYTE = 2**20
NOTHING = "Nothing was saved."


def export(context: Context) -> None:
    """Run `python -m chatbot export` in a task, and bring what it wrote here through a bucket.

    The service's own access point is enough to read all sessions. A log, as `people` uses, is not
    made for gigabytes.
    """
    options, account = context.options, context.account
    stack = context.require_service()
    words, person = ["python", "-m", "chatbot", "export"], ""
    if options.email or options.subject:
        subject, issuer = options.subject, options.issuer or stack.outputs.get("Issuer", "")
        if options.email:
            subject = accounts.find_subject(context, accounts.require_pool(stack))
        words += ["--issuer", issuer, "--subject", subject]
        person = re.sub("[^A-Za-z0-9@._+-]", "-", options.email or subject)
    file = new_file(stack, "export", "tar.gz", person)
    if options.dry_run:
        say(f"Would run a task that writes an archive into a bucket made for it, save {file}")
        say("and delete the bucket; nothing was changed")
        return
    writes = ["s3:PutObject", "s3:AbortMultipartUpload"]
    with buckets.temporary_bucket(account, stack, writes, NOTHING) as bucket:
        words += ["--to", f"s3://{bucket}/{buckets.KEY}"]
        for line in run(context, stack, words, "Exported:", NOTHING):
            say(line)
        download(context, bucket, file)
    result(str(file))


def new_file(stack: Stack, what: str, ending: str, person: str = "") -> Path:
    """Return a file for today in this folder. Raises DeploymentError if it is there already."""
    name = f"{stack.name}-{person}" if person else stack.name
    # Of the 255 characters that a file's name may have.
    file = Path.cwd() / f"{name[:200]}-{what}-{datetime.now(UTC):%Y-%m-%d}.{ending}"
    if os.path.lexists(file):
        raise DeploymentError(f"{file} is there already; move it away first.")
    return file


def run(
    context: Context, stack: Stack, words: Sequence[str], last: str, left: str, definition: str = ""
) -> list[str]:
    """Run a command of the chatbot's in a task that ends with this verb; return what it says.

    last: how its last line begins.
    left: what an interruption leaves behind.

    Raises DeploymentError if it fails.
    """
    done = tasks.run(
        context.account,
        stack,
        words,
        context.options.poll_seconds,
        lambda code, lines: (
            any(each.startswith(last) for each in lines) if not code else bool(lines)
        ),
        definition=definition,
        left=left,
    )
    said = "\n".join(done.lines)
    if done.code == 2:
        raise DeploymentError(
            f"{said}\nThe tasks run an image that does not know this command yet. Deploy first."
        )
    if done.code == 1 and said:
        raise DeploymentError(said)
    if done.code:
        raise DeploymentError(
            f"{said}\nThe task ended with the exit code {done.code}: {done.reason}".strip()
        )
    return done.lines


def download(context: Context, bucket: str, file: Path, *, is_unpacked: bool = False) -> None:
    """Save the archive in a file that only its owner may read, or no part of it.

    is_unpacked: save what was compressed, which is small, in place of the archive.

    Raises DeploymentError.
    """
    begin(f"Saving {file}", NOTHING)
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unwritten(file, error) from error
    try:
        with os.fdopen(descriptor, "w+b") as opened:
            archive = io.BytesIO() if is_unpacked else opened
            context.account.client("s3").download_fileobj(bucket, buckets.KEY, archive)
            archive.seek(0)
            with gzip.GzipFile(fileobj=archive) as packed:  # which checks lengths and checksums
                while content := packed.read(MEBIBYTE):
                    if is_unpacked:
                        opened.write(content)
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            raise DeploymentError(
                "The archive arrived damaged, and was not saved. Run the same command again."
            ) from error
        if isinstance(error, OSError) and not isinstance(error, AwsError):
            raise _unwritten(file, error) from error
        raise


def _unwritten(file: Path, error: OSError) -> DeploymentError:
    return DeploymentError(
        f"{file} could not be written: {error.strerror}. Make room, or choose another folder, and"
        " run the same command there."
    )
