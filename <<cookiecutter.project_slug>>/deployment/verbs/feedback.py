"""Save what people think of answers: a line each, in a file for a spreadsheet."""

from deployment import buckets
from deployment.console import result, say
from deployment.context import Context
from deployment.verbs import export


def feedback(context: Context) -> None:
    """Run `python -m chatbot feedback` in a task, and bring what it wrote here through a bucket.

    Comments are people's own words, so they don't pass through the log.
    """
    stack = context.require_service()
    file = export.new_file(stack, "feedback", "csv")
    if context.options.dry_run:
        say(f"Would run a task that writes the feedback into a bucket made for it, save {file}")
        say("and delete the bucket; nothing was changed")
        return
    writes = ["s3:PutObject", "s3:AbortMultipartUpload"]
    with buckets.temporary_bucket(context.account, stack, writes, export.NOTHING) as bucket:
        words = ["python", "-m", "chatbot", "feedback", "--to", f"s3://{bucket}/{buckets.KEY}"]
        for line in export.run(context, stack, words, "Ratings:", export.NOTHING):
            say(line)
        export.download(context, bucket, file, is_unpacked=True)
    result(str(file))
