"""A bucket for one archive: a task reaches it, and it is deleted with all that is in it."""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from deployment.account import Account, accepting
from deployment.console import begin
from deployment.stacks import Stack
from deployment.temporary import removing

KEY = "archive.tar.gz"
# In case this program is killed: S3 empties the bucket by itself, within two days.
_EXPIRY = {
    "ID": "leftovers",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "Expiration": {"Days": 1},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
_CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@contextmanager
def temporary_bucket(
    account: Account, stack: Stack, actions: list[str], left: str
) -> Iterator[str]:
    """Make a bucket in which the tasks of the service may do this, and delete it in the end.

    The bucket's policy lets the tasks' role in, which has no right to any bucket of its own.

    actions: for objects, such as "s3:GetObject".
    left: what an interruption leaves behind. Raises DeploymentError if the bucket stays.
    """
    definition = stack.outputs["TaskDefinition"]
    role = account.client("ecs").describe_task_definition(taskDefinition=definition)
    stem = re.sub("[^a-z0-9-]", "-", stack.name.lower())[:40].strip("-")
    name = f"{stem}-data-{secrets.token_hex(6)}"
    begin(f"Making the bucket {name} for the archive", left)
    with removing(
        f"the bucket {name}",
        partial(_delete, account, name),
        f"aws s3 rb --force --region {account.region} s3://{name}",
    ):
        _make(account, name, role["taskDefinition"]["taskRoleArn"], actions)
        yield name


def _make(account: Account, name: str, role: str, actions: list[str]) -> None:
    s3 = account.client("s3")
    place = {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    s3.create_bucket(Bucket=name, **(place if account.region != "us-east-1" else {}))
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_CLOSED, True)
    )
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [_EXPIRY]})
    partition = role.split(":")[1]
    resources = [f"arn:{partition}:s3:::{name}", f"arn:{partition}:s3:::{name}/*"]
    statements = [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": resources,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": role},
            "Action": actions,
            "Resource": f"{resources[0]}/{KEY}",
        },
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))


def _delete(account: Account, name: str) -> None:
    s3 = account.client("s3")
    with accepting("NoSuchBucket"):
        for each in account.find("s3", "list_multipart_uploads", "Uploads", Bucket=name):
            upload = {"Key": each["Key"], "UploadId": each["UploadId"]}
            s3.abort_multipart_upload(Bucket=name, **upload)
        s3.delete_object(Bucket=name, Key=KEY)
        s3.delete_bucket(Bucket=name)
