"""An object in S3 that an archive is written to, or read from, as a task on AWS does.

The task's role has no right to any bucket. `./deployment.sh` makes one whose own policy lets the
task in, and deletes it afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chatbot.archives import ArchiveError, Input, Output
from chatbot.storage import MEBIBYTE

SCHEME = "s3://"
PART = 16 * MEBIBYTE  # of which S3 takes 10,000


class _Upload:
    """An output that becomes an object once it is complete; until then, nobody sees any of it."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:
        self._client, self._place, self._rest = client, place, bytearray()
        self._parts: list[dict[str, object]] = []
        self._upload = {"UploadId": client.create_multipart_upload(**place)["UploadId"]}

    def write(self, data: bytes, /) -> None:
        self._rest += data
        while len(self._rest) >= PART:
            self._send(bytes(self._rest[:PART]))
            del self._rest[:PART]

    def complete(self) -> None:
        self._send(bytes(self._rest))
        parts = {"Parts": self._parts}
        self._client.complete_multipart_upload(**self._place, **self._upload, MultipartUpload=parts)

    def abort(self) -> None:
        self._client.abort_multipart_upload(**self._place, **self._upload)

    def _send(self, data: bytes) -> None:
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._place, **self._upload, PartNumber=number, Body=data)
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})


@contextmanager
def write_object(address: str, region: str | None) -> Iterator[Output]:
    """Yield an output that becomes the object, such as s3://bucket/key, unless there is an error.

    region: of the bucket; None leaves it to boto3's own configuration. Raises ArchiveError.
    """
    with _bucket_errors():
        upload = _Upload(_client(region), _place(address))
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise


@contextmanager
def read_object(address: str, region: str | None) -> Iterator[Input]:
    """Yield an input that reads the object, such as s3://bucket/key. Raises ArchiveError.

    region: as for `write_object`.
    """
    with _bucket_errors():
        body = _client(region).get_object(**_place(address))["Body"]
        try:
            yield body
        finally:
            body.close()


def _client(region: str | None) -> Any:
    import boto3  # here, as it takes a while, and few commands need it

    return boto3.client("s3", region_name=region)


@contextmanager
def _bucket_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise ArchiveError("bucket", reason=str(error).strip().removesuffix(".")) from error


def _place(address: str) -> dict[str, str]:
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return {"Bucket": bucket, "Key": key}
