"""Backups that AWS Backup made of the conversations, and a task that reaches what it restored.

AWS Backup restores into a new folder in the root of the file system, beside that of the sessions,
which is all that the tasks of the service can see. So the folder is reached through an access point
and by a task definition that are made for this, and removed afterwards.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from deployment.account import Account, accepting, error_code, sentence
from deployment.console import begin, detail
from deployment.errors import DeploymentError
from deployment.stacks import Stack
from deployment.temporary import removing

ROLE = "AWSBackupDefaultServiceRole"  # which AWS Backup's console makes
MOUNTED = "/restored"  # where the task finds the root of the file system
COPY_STAYS = "The copy stays in the root of the file system, in the folder aws-backup-restore_…"
_BUSY = ("PENDING", "RUNNING")
_COPIED = (
    "containerDefinitions",
    "cpu",
    "executionRoleArn",
    "memory",
    "networkMode",
    "requiresCompatibilities",
    "runtimePlatform",
    "volumes",
)


@dataclass(frozen=True)
class RecoveryPoint:
    """A backup of the file system. size: in bytes."""

    arn: str
    vault: str
    created: datetime
    status: str
    size: int

    def __str__(self) -> str:
        return f"{self.arn}  {self.created:%Y-%m-%d %H:%M}  {self.size} bytes  {self.status}"


def list_points(account: Account, stack: Stack) -> list[RecoveryPoint]:
    """Return the backups of the stack's file system, the newest first."""
    [files] = account.client("efs").describe_file_systems(FileSystemId=stack.outputs["FileSystem"])[
        "FileSystems"
    ]
    found = account.find(
        "backup",
        "list_recovery_points_by_resource",
        "RecoveryPoints",
        ResourceArn=files["FileSystemArn"],
    )
    points = [
        RecoveryPoint(
            each["RecoveryPointArn"],
            each["BackupVaultName"],
            each["CreationDate"],
            each["Status"],
            each.get("BackupSizeBytes", 0),
        )
        for each in found
    ]
    return sorted(points, key=lambda point: point.created, reverse=True)


def find_point(account: Account, stack: Stack, arn: str) -> RecoveryPoint:
    """Return a backup by its ARN. Raises DeploymentError if it can't be restored here."""
    points = list_points(account, stack)
    for point in points:
        if point.arn == arn and point.status == "COMPLETED":
            return point
    there = "".join(f"\n  {point}" for point in points) or " none"
    raise DeploymentError(
        f"{arn} is no complete backup of the file system {stack.outputs['FileSystem']}. Its"
        f" backups:{there}\nA backup of another file system: restore it to a new file system with"
        " AWS Backup, and have a new stack use that, through FileSystemId."
    )


def find_role(account: Account) -> str:
    """Return the ARN of the role with which AWS Backup restores. Raises DeploymentError."""
    with accepting("NoSuchEntity"):
        return str(account.client("iam").get_role(RoleName=ROLE)["Role"]["Arn"])
    raise DeploymentError(
        f"The account has no role {ROLE} for AWS Backup. To have it made, open AWS Backup's console"
        " once, and choose a recovery point, Restore, and the default role."
    )


def restore(
    account: Account, stack: Stack, point: RecoveryPoint, role: str, poll_seconds: float
) -> None:
    """Have AWS Backup restore into the file system, beside the sessions, and wait for it.

    Waits for an earlier call's restore of the same backup, if that is still going on. Raises
    DeploymentError.
    """
    backup = account.client("backup")
    job = next(
        (
            each["RestoreJobId"]
            for each in account.find("backup", "list_restore_jobs", "RestoreJobs")
            if each.get("RecoveryPointArn") == point.arn and each["Status"] in _BUSY
        ),
        "",
    )
    left = (
        "AWS Backup continues to restore, and the next run goes on with that, unless it has ended:"
    )
    left += f" then, AWS Backup restores once more. {COPY_STAYS}"
    if job:
        begin(f"AWS Backup is restoring this already, in the job {job}", left)
    else:
        job = _start(backup, stack, point, role)
        begin(f"AWS Backup restores {point.created:%Y-%m-%d %H:%M}, in the job {job}", left)
    before = ""
    while True:
        found = backup.describe_restore_job(RestoreJobId=job)
        now = f"{found['Status']} {found.get('PercentDone', '')}".strip()
        if now != before:
            detail(now)
        before = now
        if found["Status"] == "COMPLETED":
            return
        if found["Status"] not in _BUSY:
            reason = found.get("StatusMessage", "AWS does not say why")
            raise DeploymentError(f"AWS Backup could not restore this: {reason}")
        time.sleep(poll_seconds)


def _start(backup: Any, stack: Stack, point: RecoveryPoint, role: str) -> str:
    about = {"BackupVaultName": point.vault, "RecoveryPointArn": point.arn}
    metadata = backup.get_recovery_point_restore_metadata(**about)["RestoreMetadata"]
    metadata |= {"file-system-id": stack.outputs["FileSystem"], "newFileSystem": "false"}
    try:
        started = backup.start_restore_job(
            RecoveryPointArn=point.arn, Metadata=metadata, IamRoleArn=role, ResourceType="EFS"
        )
    except ClientError as error:
        if "AccessDenied" not in error_code(error):
            raise
        raise DeploymentError(
            f"AWS Backup refuses: {sentence(error)}. If you may call backup:StartRestoreJob and"
            f" iam:PassRole, then the access policy of the vault {point.vault} denies it, as AWS"
            " makes it for the vault of automatic backups. In AWS Backup's console, take"
            " backup:StartRestoreJob out of that policy."
        ) from error
    return str(started["RestoreJobId"])


@contextmanager
def reaching(account: Account, stack: Stack, task_role: str, poll_seconds: float) -> Iterator[str]:
    """Yield a task definition like the service's, whose tasks also reach what was restored.

    task_role: the name of the role that these tasks get.

    Raises DeploymentError if it, or its access point, can't be removed in the end.
    """
    efs, ecs = account.client("efs"), account.client("ecs")
    role = account.client("iam").get_role(RoleName=task_role)["Role"]["Arn"]
    region = f"--region {account.region}"
    begin("Making an access point and a task definition", COPY_STAYS)
    point = _make_access_point(efs, stack)
    with removing(
        f"the access point {point}",
        partial(efs.delete_access_point, AccessPointId=point),
        f"aws efs delete-access-point {region} --access-point-id {point}",
    ):
        while not _is_available(efs, point):
            time.sleep(poll_seconds)
        definition = _register(ecs, stack, role, point)
        with removing(
            f"the task definition {definition.rpartition('/')[2]}",
            partial(ecs.deregister_task_definition, taskDefinition=definition),
            f"aws ecs deregister-task-definition {region} --task-definition {definition}",
        ):
            yield definition


def _make_access_point(efs: Any, stack: Stack) -> str:
    """Make an access point to the root of the file system, as its root user.

    The folder that AWS Backup makes belongs to that user, who alone can delete it.
    """
    made = efs.create_access_point(
        ClientToken=secrets.token_hex(16),
        FileSystemId=stack.outputs["FileSystem"],
        PosixUser={"Uid": 0, "Gid": 0},
        RootDirectory={"Path": "/"},
        Tags=[{"Key": "Name", "Value": f"{stack.name}-restore"}],
    )
    return str(made["AccessPointId"])


def _is_available(efs: Any, point: str) -> bool:
    [found] = efs.describe_access_points(AccessPointId=point)["AccessPoints"]
    return bool(found["LifeCycleState"] == "available")


def _register(ecs: Any, stack: Stack, role: str, point: str) -> str:
    described = ecs.describe_task_definition(taskDefinition=stack.outputs["TaskDefinition"])
    service = described["taskDefinition"]
    definition = {name: service[name] for name in _COPIED if name in service}
    definition["family"] = f"{service['family']}-restore"
    definition["taskRoleArn"] = role
    volume = {
        "fileSystemId": stack.outputs["FileSystem"],
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": point, "iam": "ENABLED"},
    }
    definition["volumes"] = [
        *definition["volumes"],
        {"name": "restored", "efsVolumeConfiguration": volume},
    ]
    [container] = definition["containerDefinitions"]
    mount = {"sourceVolume": "restored", "containerPath": MOUNTED, "readOnly": False}
    mounts = [*container["mountPoints"], mount]
    definition["containerDefinitions"] = [container | {"mountPoints": mounts}]
    registered = ecs.register_task_definition(**definition)
    return str(registered["taskDefinition"]["taskDefinitionArn"])
