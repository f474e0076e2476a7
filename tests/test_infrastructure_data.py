"""The conversations outlive the stack, and are private."""

import json

from support.stack_parts import statements
from support.stacks import RenderedStack


def test_conversations_outlive_the_stack_and_are_encrypted(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        if stack.parameters["FileSystemId"]:
            continue
        kept = stack.resources["FileSystem"]
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"  # which then holds nothing
        assert kept["UpdateReplacePolicy"] == "Retain"
        files = kept["Properties"]
        assert files["Encrypted"] is True
        assert files["BackupPolicy"] == {"Status": "ENABLED"}
        assert files["ThroughputMode"] == "elastic"
        assert {"TransitionToIA": "AFTER_30_DAYS"} in files["LifecyclePolicies"]


def test_files_are_mounted_only_encrypted_and_through_the_access_point(
    stacks: list[RenderedStack],
) -> None:
    everybody = {"AWS": "*"}
    for stack in stacks:
        [volume] = stack["TaskDefinition"]["Volumes"]
        mounted = volume["EFSVolumeConfiguration"]
        assert mounted["TransitEncryption"] == "ENABLED"
        assert mounted["AuthorizationConfig"] == {
            "AccessPointId": "${AccessPoint}",
            "IAM": "ENABLED",
        }
        assert not {"RootDirectory"} & set(mounted)
        mounts = [one for one in statements(stack) if "elasticfilesystem" in str(one["Action"])]
        tasks, restore = sorted(mounts, key=lambda one: len(one["Action"]))
        # It reaches the root, through an access point that is made for it, and nothing without one.
        assert restore["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "false"}}
        point = {"elasticfilesystem:AccessPointArn": "${AccessPoint.Arn}"}
        assert tasks["Condition"] == {"StringEquals": point}
        for files in stack.of("EFS::FileSystem").values():
            plain, direct = files["FileSystemPolicy"]["Statement"]
            assert (plain["Effect"], plain["Principal"]) == ("Deny", everybody)
            assert plain["Action"] == "*"
            assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            assert (direct["Effect"], direct["Principal"]) == ("Deny", everybody)
            verbs = ("ClientMount", "ClientWrite", "ClientRootAccess")
            assert direct["Action"] == [f"elasticfilesystem:{verb}" for verb in verbs]
            assert direct["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}


def test_a_file_system_of_an_earlier_stack_is_used_everywhere(stacks: list[RenderedStack]) -> None:
    for stack in stacks:
        adopted = stack.parameters["FileSystemId"]
        assert bool(stack.of("EFS::FileSystem")) is not bool(adopted)
        used = adopted or "${FileSystem}"
        [volume] = stack["TaskDefinition"]["Volumes"]
        targets = stack.of("EFS::MountTarget").values()
        ids = {each["FileSystemId"] for each in (stack["AccessPoint"], *targets)}
        ids.add(volume["EFSVolumeConfiguration"]["FilesystemId"])
        ids.add(stack["FileSystemAlarm"]["Dimensions"][0]["Value"])
        ids.add(stack.outputs["FileSystem"])
        assert ids == {used}
        assert used in stack["Dashboard"]["DashboardBody"]
        if adopted:
            assert "${FileSystem}" not in json.dumps(stack.resources)
