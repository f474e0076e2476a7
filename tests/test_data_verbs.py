"""deployment.sh exports and restores conversations: a rehearsal, with the real program in the task.

The emulator runs no containers. In their place, the test runs the command that ECS was asked for,
with the folders that the task definition mounts, against the emulator's S3. The emulator does not
restore backups, so AWS Backup's answers are the test's, and so is the folder that it restores.
"""

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.aws_emulator import emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.cloudformation import ACCOUNT
from support.deployment_calls import BY_OPERATORS, calls_with
from support.options import DEFAULTS
from support.projects import clean_environment
from support.rendering import Bake

pytestmark = needs_aws

# A store with two sessions, as another process makes and reads it.
MAKE = """
import sys
from pathlib import Path
from chatbot.conversations import new_conversation_id
from chatbot.identity import Person, session_folder
from chatbot.records import Claim, End, Feedback, Owner, Prompt, Text
from chatbot.sessions import Session

root, issuer, *subjects = sys.argv[1:]
for subject in subjects:
    session = Session(session_folder(Path(root), Person(issuer, subject)))
    chat = session.conversation(new_conversation_id())
    records = [Prompt("t1", f"Who is {subject}?"), Claim("t1", 1, "w", "m")]
    records += [Text("t1", 1, f"It is {subject}."), End("t1", 1, "complete")]
    records += [Feedback("t1", "down", f"No, it isn't {subject}, \u201cÄ\u201d \U0001f44b")]
    chat.update(lambda: records, create=True)
    session["picture"] = session.attach(subject.encode() * 1000)
    session.usage.update(lambda: [Owner(issuer, subject)], create=True)
"""
READ = """
import sys
from pathlib import Path
from chatbot.sessions import Session

for folder in sorted(Path(sys.argv[1]).glob("[0-9a-f]*")):
    session = Session(folder)
    for chat in session.conversations():
        conversation = session.conversation(chat.id)
        conversation.refresh()
        print(*[f"{turn.prompt} {turn.answer}" for turn in conversation.turns])
        assert session.attachment(session["picture"])
"""
BOTH = {"Who is ann? It is ann.", "Who is bob? It is bob."}
POINT = f"arn:aws:backup:us-east-1:{ACCOUNT}:recovery-point:1eb3b5e7-9eb0-435a-a80b-108b488b0d45"
ISSUER = "https://login.example.com"


@dataclass
class Rehearsal:
    """An account with a stack, and what its file system holds.

    files: the root of the file system.
    before: what to do before the next task's command runs.
    """

    sandbox: Sandbox
    port: int
    files: Path
    commands: list[list[str]] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    @property
    def sessions(self) -> Path:
        return self.files / "sessions"

    def python(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.sandbox.project / ".venv" / "bin" / "python"), *words],
            cwd=self.sandbox.project,
            env=clean_environment() | environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )

    def make(self, *subjects: str) -> None:
        issuer = self.sandbox.output("Issuer")
        done = self.python("-c", MAKE, str(self.sessions), issuer, *subjects)
        assert done.returncode == 0, done.stderr

    def read(self) -> set[str]:
        """Return what the chats say, as the store reads it."""
        done = self.python("-c", READ, str(self.sessions))
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines())

    def run_task(self, answer: str) -> str:
        """Do what ECS was asked for, and write down what that says."""
        bodies = self.sandbox.aws.bodies
        asked = json.loads([body for body in bodies if "containerOverrides" in body][-1])
        [task] = json.loads(answer)["tasks"]
        [override] = asked["overrides"]["containerOverrides"]
        definition = self.definition(asked["taskDefinition"])
        [container] = definition["containerDefinitions"]
        assert len(json.dumps(asked["overrides"])) < 8192  # as ECS requires
        mounted = self.mounted(definition, container)
        environment = {each["name"]: each["value"] for each in container["environment"]}
        environment["CHATBOT_SESSIONS_DIR"] = mounted[environment["CHATBOT_SESSIONS_DIR"]]
        environment |= {each["name"]: "a secret" for each in container["secrets"]}
        environment |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "not a secret",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        python, *words = override["command"]
        assert python == "python"
        self.commands.append(words)
        self.before()
        done = self.python(*(mounted.get(each, each) for each in words), **environment)
        self.log(task["taskArn"].rpartition("/")[2], (done.stdout + done.stderr).splitlines())
        self.sandbox.aws.edits["DescribeTasks"] = lambda answer: ended(answer, done.returncode)
        return answer

    def definition(self, name: str) -> Any:
        words = ("ecs", "describe-task-definition", f"--task-definition={name}")
        return self.sandbox.ask(*words)["taskDefinition"]

    def mounted(self, definition: Any, container: Any) -> dict[str, str]:
        """Return the folders of the file system that the task sees, by their paths in it."""
        points = self.sandbox.ask("efs", "describe-access-points")["AccessPoints"]
        roots = {each["AccessPointId"]: each["RootDirectory"]["Path"] for each in points}
        volumes = {}
        for volume in definition["volumes"]:
            about = volume["efsVolumeConfiguration"]
            assert about["fileSystemId"] == self.sandbox.output("FileSystem")
            assert about["transitEncryption"] == "ENABLED"
            assert about["authorizationConfig"]["iam"] == "ENABLED"
            volumes[volume["name"]] = roots[about["authorizationConfig"]["accessPointId"]]
        return {
            each["containerPath"]: str(self.files / volumes[each["sourceVolume"]].lstrip("/"))
            for each in container["mountPoints"]
        }

    def log(self, task: str, lines: list[str]) -> None:
        names = (
            f"--log-group-name={self.sandbox.output('LogGroup')}",
            f"--log-stream-name=chatbot/chatbot/{task}",
        )
        self.sandbox.ask("logs", "create-log-stream", *names)
        now = int(time.time() * 1000)
        events = json.dumps([{"timestamp": now, "message": line} for line in lines if line])
        if lines:
            self.sandbox.ask("logs", "put-log-events", *names, f"--log-events={events}")

    def buckets(self) -> list[str]:
        return [each["Name"] for each in self.sandbox.ask("s3api", "list-buckets")["Buckets"]]

    def access_points(self) -> list[str]:
        found = self.sandbox.ask("efs", "describe-access-points")["AccessPoints"]
        return [each["RootDirectory"]["Path"] for each in found]

    def definitions(self) -> list[str]:
        """Return the task definitions that are not the service's."""
        found = self.sandbox.ask("ecs", "list-task-definitions", "--status=ACTIVE")
        return [each for each in found["taskDefinitionArns"] if "-restore" in each]

    def has_backup(self, *, jobs: tuple[str, ...] = ("PENDING", "RUNNING", "COMPLETED")) -> None:
        """Let AWS Backup have a backup of the sessions as they are, and restore that if asked."""
        sandbox, backup = self.sandbox, self.files.parent / "backup"
        shutil.copytree(self.sessions, backup)
        files = sandbox.output("FileSystem")
        arn = f"arn:aws:elasticfilesystem:us-east-1:{ACCOUNT}:file-system/{files}"
        point = {
            "RecoveryPointArn": POINT,
            "BackupVaultName": "aws/efs/automatic-backup-vault",
            "CreationDate": 1_764_000_000,
            "Status": "COMPLETED",
            "BackupSizeBytes": 4096,
        }
        answers = sandbox.aws.answers
        answers[f"GET /resources/{quote(arn, safe='')}/recovery-points/"] = as_json(
            RecoveryPoints=[point]
        )
        vault, named = quote("aws/efs/automatic-backup-vault", safe=""), quote(POINT, safe="")
        metadata = {"file-system-id": files, "Encrypted": "true", "newFileSystem": "true"}
        answers[f"GET /backup-vaults/{vault}/recovery-points/{named}/restore-metadata"] = as_json(
            RestoreMetadata=metadata
        )
        answers["GET /restore-jobs/"] = as_json(RestoreJobs=[])
        answers["PUT /restore-jobs"] = as_json(RestoreJobId="job-1")
        job = "GET /restore-jobs/job-1"
        left = list(jobs)

        def progress() -> None:
            status = left.pop(0)
            if status == "COMPLETED":
                restored = self.files / "aws-backup-restore_2026-11-26T07-00-00-000Z"
                shutil.copytree(backup, restored / "sessions")
            more = {"StatusMessage": "no room"} if status == "FAILED" else {"PercentDone": "50.0%"}
            answers[job] = as_json(RestoreJobId="job-1", Status=status, **more)
            if left:
                sandbox.aws.before[job] = progress

        sandbox.aws.before[job] = progress
        sandbox.ask(
            *("iam", "create-role", "--role-name=AWSBackupDefaultServiceRole"),
            *("--path=/service-role/", "--assume-role-policy-document={}"),
        )


def as_json(**fields: Any) -> tuple[int, str]:
    return 200, json.dumps(fields)


def as_ecs_describes(answer: str) -> str:
    """Give a task definition the form that ECS gives it; the emulator leaves that of the stack."""
    described = json.loads(answer)
    definition = camel(described["taskDefinition"])
    definition.setdefault("runtimePlatform", {"cpuArchitecture": "ARM64"})
    return json.dumps({"taskDefinition": definition})


OTHER_NAMES = {
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FilesystemId": "fileSystemId",
    "IAM": "iam",
}


def camel(value: Any) -> Any:
    """Begin all names in the value with a small letter, as ECS does and CloudFormation does not."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {name: OTHER_NAMES.get(name, name[0].lower() + name[1:]) for name in value}
    return {names[name]: camel(each) for name, each in value.items()}


def ended(answer: str, code: int) -> str:
    described = json.loads(answer)
    for task in described["tasks"]:
        task.update(lastStatus="STOPPED", stoppedReason="Essential container in task exited")
        task["containers"] = [{"name": "chatbot", "exitCode": code}]
    return json.dumps(described)


@pytest.fixture(scope="module")
def deployed(
    bake_to_keep: Bake, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A project that was deployed, and the state of the emulator then."""
    project = bake_to_keep().path
    remove_what_is_lacking(project / "infra" / "template.yml")
    state = tmp_path_factory.mktemp("deployed") / "state"
    with emulator(state, is_kept=True) as port:
        sandbox = Sandbox(project, programs, port)
        sandbox.git("init", "--quiet")
        sandbox.commit()
        sandbox.deploy()
        sandbox.aws.stop()
    return project, state


@pytest.fixture
def rehearsal(deployed: tuple[Path, Path], programs: Path, tmp_path: Path) -> Iterator[Rehearsal]:
    """A deployed stack with the chats of two people."""
    project, state = deployed
    shutil.copytree(project, tmp_path / "project", symlinks=True)
    shutil.copytree(state, tmp_path / "state")
    (tmp_path / "files").mkdir()
    with emulator(tmp_path / "state") as port:
        sandbox = Sandbox(tmp_path / "project", programs, port)
        found = Rehearsal(sandbox, port, tmp_path / "files")
        found.make("ann", "bob")
        sandbox.aws.edits["RunTask"] = found.run_task
        sandbox.aws.edits["DescribeTaskDefinition"] = as_ecs_describes
        yield found
        assert found.buckets() == found.definitions() == []
        assert found.access_points() == ["/sessions"]
        sandbox.aws.stop()


def export(rehearsal: Rehearsal, *words: str) -> Path:
    done = rehearsal.sandbox.run("export", *words)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.removesuffix("\n"))


def restore(rehearsal: Rehearsal, *words: str) -> list[str]:
    done = rehearsal.sandbox.run("restore", *words, "--yes")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# From an export


def test_what_was_exported_and_lost_is_restored_and_read(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    file = export(rehearsal)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert file == sandbox.project / f"team-chatbot-export-{today}.tar.gz"
    assert file.stat().st_mode & 0o077 == 0
    assert sandbox.git("status", "--porcelain") == ""  # it must not be committed
    shutil.rmtree(rehearsal.sessions)
    assert restore(rehearsal, str(file)) == [
        "Sessions:    2, of which 2 were not there",
        "Chats:       2 added, 0 continued, 0 left as they are",
        "Other files: 6 added, 0 continued, 0 left as they are",
        "Not brought back: 0 damaged, 0 deleted on purpose",
    ]
    assert rehearsal.read() == BOTH
    assert rehearsal.access_points() == ["/sessions"]
    assert rehearsal.buckets() == []


def test_the_bucket_is_closed_to_everyone_but_the_tasks_and_for_one_object(
    rehearsal: Rehearsal,
) -> None:
    sandbox = rehearsal.sandbox
    seen: list[Any] = []

    def look() -> None:
        [bucket] = rehearsal.buckets()
        about = f"--bucket={bucket}"
        closed = sandbox.ask("s3api", "get-public-access-block", about)
        assert set(closed["PublicAccessBlockConfiguration"].values()) == {True}
        [rule] = sandbox.ask("s3api", "get-bucket-lifecycle-configuration", about)["Rules"]
        assert (rule["Status"], rule["Expiration"]["Days"]) == ("Enabled", 1)
        assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1
        policy = sandbox.ask("s3api", "get-bucket-policy", about)["Policy"]
        seen.append((bucket, json.loads(policy)["Statement"]))

    rehearsal.before = look
    file = export(rehearsal)
    restore(rehearsal, str(file))
    definition = rehearsal.definition(sandbox.output("TaskDefinition"))
    actions = [["s3:PutObject", "s3:AbortMultipartUpload"], ["s3:GetObject"]]
    for (bucket, [plain, task]), allowed in zip(seen, actions, strict=True):
        assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert (plain["Effect"], plain["Principal"], plain["Action"]) == ("Deny", "*", "s3:*")
        assert task == {
            "Effect": "Allow",
            "Principal": {"AWS": definition["taskRoleArn"]},
            "Action": allowed,
            "Resource": f"arn:aws:s3:::{bucket}/archive.tar.gz",
        }


def test_one_persons_chats_are_exported_alone(rehearsal: Rehearsal) -> None:
    file = export(rehearsal, "--subject=bob")
    assert file.name.startswith("team-chatbot-bob-export-")
    shutil.rmtree(rehearsal.sessions)
    restore(rehearsal, str(file))
    assert rehearsal.read() == {"Who is bob? It is bob."}
    done = rehearsal.sandbox.run("export", "--subject=nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Nothing is kept of that person." in done.stderr
    done = rehearsal.sandbox.run("export", "ann@example.com")
    assert "There is no ann@example.com in the user pool" in done.stderr


def test_a_large_archive_comes_in_parts_and_whole(rehearsal: Rehearsal) -> None:
    folder = next(rehearsal.sessions.iterdir())
    (folder / "20261124T093012123456-923ea622.jsonl").write_bytes(os.urandom(40 * 2**20))
    before = {each: each.read_bytes() for each in rehearsal.files.rglob("*") if each.is_file()}
    file = export(rehearsal)
    assert file.stat().st_size > 40 * 2**20
    shutil.rmtree(rehearsal.sessions)
    restore(rehearsal, str(file))
    after = {each: each.read_bytes() for each in rehearsal.files.rglob("*") if each.is_file()}
    assert after == before


def test_what_was_deleted_on_purpose_stays_deleted_unless_told(rehearsal: Rehearsal) -> None:
    file = export(rehearsal)
    assert rehearsal.sandbox.run("people", "erase", "--subject=ann", "--yes").returncode == 0
    assert restore(rehearsal, str(file))[-1].endswith("--with-deleted brings these back")
    assert rehearsal.read() == {"Who is bob? It is bob."}
    restore(rehearsal, str(file), "--with-deleted")
    assert rehearsal.read() == BOTH


def test_an_archive_that_is_none_is_refused(rehearsal: Rehearsal, tmp_path: Path) -> None:
    sandbox, before = rehearsal.sandbox, rehearsal.read()
    file = tmp_path / "archive.tar.gz"
    subprocess.run(["tar", "czf", str(file), "-C", str(sandbox.project), "README.md"], check=True)
    done = sandbox.run("restore", str(file), "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The archive is no export of this chatbot: 'README.md' is in it.\n" in done.stderr
    sandbox.aws.asked.clear()
    for content, part in ((b"text", "is not an archive that export has saved"), (None, "No such")):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        done = sandbox.run("restore", str(file), "--yes")
        assert (done.returncode, part in done.stderr) == (1, True)
    assert sandbox.aws.asked == []
    assert rehearsal.read() == before


def test_a_dry_run_says_the_steps_and_changes_nothing(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    file = export(rehearsal)
    moved = file.rename(file.with_name("moved.tar.gz"))
    rehearsal.has_backup()
    sandbox.aws.asked.clear()
    for words in (("export",), ("restore", str(moved)), ("restore", POINT)):
        done = sandbox.run(*words, "--dry-run")
        assert (done.returncode, done.stdout) == (0, "")
        assert "nothing was changed" in done.stderr
    assert sandbox.aws.changes() == []
    for words in (("restore", str(moved)), ("restore", POINT)):
        done = sandbox.run(*words)
        assert done.returncode == 1
        assert "There is no terminal to ask for confirmation" in done.stderr
    assert sandbox.aws.changes() == []


# Feedback


def test_what_people_think_of_answers_is_saved_for_a_spreadsheet(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    done = sandbox.run("feedback", "--dry-run")
    assert (done.returncode, done.stdout, rehearsal.commands) == (0, "", [])
    assert "nothing was changed" in done.stderr
    done = sandbox.run("feedback")
    assert done.returncode == 0, done.stderr
    assert "> Ratings: 2" in done.stderr
    file = Path(done.stdout.removesuffix("\n"))
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert file == sandbox.project / f"team-chatbot-feedback-{today}.csv"
    assert file.stat().st_mode & 0o077 == 0
    assert sandbox.git("status", "--porcelain") == ""  # it must not be committed
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    said = {f"No, it isn't {name}, \u201cÄ\u201d 👋" for name in ("ann", "bob")}
    assert {row["Comment"] for row in rows} == said
    assert {row["Rating"] for row in rows} == {"down"}
    group = f"--log-group-name={sandbox.output('LogGroup')}"
    logged = json.dumps(sandbox.ask("logs", "filter-log-events", group))
    assert "Ratings: 2" in logged and "ann" not in logged  # logs have no text of people's
    sandbox.aws.asked.clear()
    done = sandbox.run("feedback")
    assert (done.returncode, f"{file} is there already" in done.stderr) == (1, True)
    assert "RunTask" not in sandbox.aws.asked


def test_feedback_that_can_not_be_read_is_told_and_nothing_is_saved(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    rehearsal.before = lambda: rehearsal.sessions.rename(rehearsal.files / "gone")
    done = sandbox.run("feedback")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert "storage" in done.stderr
    assert list(sandbox.project.glob("*-feedback-*")) == []


# Failures


def test_an_export_that_can_not_be_saved_leaves_nothing(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    script = sandbox.project / "with-a-limit.sh"
    script.write_text("ulimit -f 2; exec ./deployment.sh export\n")
    folder = next(rehearsal.sessions.iterdir())
    (folder / "20261124T093012123456-923ea622.jsonl").write_bytes(os.urandom(100_000))
    process = sandbox.start(script=script.name)  # as on a full disk
    said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, ""), told
    assert "could not be written: File too large. Make room" in told
    assert "Traceback" not in told
    assert list(sandbox.project.glob("*-export-*")) == []
    file = export(rehearsal)
    sandbox.aws.asked.clear()
    done = sandbox.run("export")
    assert (done.returncode, f"{file} is there already" in done.stderr) == (1, True)
    assert "RunTask" not in sandbox.aws.asked


def test_an_export_that_arrives_damaged_is_not_saved(rehearsal: Rehearsal, tmp_path: Path) -> None:
    sandbox = rehearsal.sandbox
    damaged = tmp_path / "damaged"
    damaged.write_bytes(gzip.compress(os.urandom(1000))[:-9])

    def damage() -> None:
        [bucket] = rehearsal.buckets()
        place = (f"--bucket={bucket}", "--key=archive.tar.gz", f"--body={damaged}")
        sandbox.aws.before[f"HEAD /{bucket}/archive.tar.gz"] = lambda: sandbox.ask(
            "s3api", "put-object", *place
        )

    rehearsal.before = damage
    done = sandbox.run("export")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The archive arrived damaged, and was not saved." in done.stderr
    assert list(sandbox.project.glob("*-export-*")) == []


def test_a_task_that_fails_is_told_and_leaves_no_bucket(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox

    def fails(code: int, line: str) -> Callable[[str], str]:
        def edit(answer: str) -> str:
            [task] = json.loads(answer)["tasks"]
            rehearsal.log(task["taskArn"].rpartition("/")[2], [line])
            sandbox.aws.edits["DescribeTasks"] = lambda answer: ended(answer, code)
            return answer

        return edit

    for code, line, part in (
        (1, "The chatbot's storage has a problem", "storage has a problem"),
        (2, "invalid choice: 'export'", "does not know this command yet. Deploy first."),
        (137, "Killed", "ended with the exit code 137: Essential container"),
    ):
        sandbox.aws.edits["RunTask"] = fails(code, line)
        done = sandbox.run("export")
        assert (done.returncode, done.stdout) == (1, "")
        assert part in done.stderr
        assert rehearsal.buckets() == []


def test_ctrl_c_stops_the_task_and_deletes_the_bucket(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox

    sandbox.aws.edits.pop("RunTask")
    sandbox.aws.before["DescribeTasks"] = lambda: os.killpg(process.pid, signal.SIGINT)
    process = sandbox.start("export")
    said, told = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, ""), told
    assert "Interrupted. Nothing was saved. Run the same command again" in told
    assert "StopTask" in sandbox.aws.asked
    assert rehearsal.buckets() == []

    def hang_up() -> None:  # as when Ctrl-C ends who reads this, too
        process.stderr.close()
        os.killpg(process.pid, signal.SIGINT)

    sandbox.aws.before["DescribeTasks"] = hang_up
    process = sandbox.start("export")
    process.wait(60)
    process.stdout.close()
    assert rehearsal.buckets() == []
    sandbox.aws.edits["RunTask"] = rehearsal.run_task
    export(rehearsal)


def test_a_bucket_that_stays_is_told_with_a_way_to_delete_it(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    refused = "<Error><Code>AccessDenied</Code><Message>may not</Message></Error>"

    def refuse() -> None:
        [bucket] = rehearsal.buckets()
        sandbox.aws.answers[f"DELETE /{bucket}"] = (403, refused)

    file = export(rehearsal)
    sandbox.aws.answers["PutObject"] = (403, refused)
    done = sandbox.run("restore", str(file.rename(file.with_name("moved.tar.gz"))), "--yes")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "may not" in done.stderr and "Stopped by the error above." in done.stderr
    rehearsal.before = refuse
    done = sandbox.run("export")
    assert done.returncode == 1
    [bucket] = rehearsal.buckets()
    assert "may not. With the AWS CLI:\n  aws s3 rb --force --region us-east-1" in done.stderr
    assert done.stderr.endswith(f" s3://{bucket}\n")
    assert len(list(sandbox.project.glob("*-export-*"))) == 1
    sandbox.aws.answers.clear()
    sandbox.ask("s3api", "delete-bucket", f"--bucket={bucket}")  # it is empty


# From a backup


def role_of(sandbox: Sandbox) -> str:
    words = ("cloudformation", "list-stack-resources", "--stack-name=team-chatbot")
    found = sandbox.ask(*words)["StackResourceSummaries"]
    [role] = [each for each in found if each["LogicalResourceId"] == "DataRole"]
    return str(role["PhysicalResourceId"])


def test_a_lost_session_comes_back_from_a_backup(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    rehearsal.has_backup()
    assert sandbox.run("restore").stdout.split()[0] == POINT
    shutil.rmtree(rehearsal.sessions)
    rehearsal.make("carol")
    seen: list[Any] = []

    def look() -> None:
        [name] = rehearsal.definitions()
        seen.append(rehearsal.definition(name))
        assert sorted(rehearsal.access_points()) == ["/", "/sessions"]

    rehearsal.before = look
    told = restore(rehearsal, POINT)
    assert told[0] == "Sessions:    2, of which 2 were not there"
    assert rehearsal.read() == BOTH | {"Who is carol? It is carol."}
    assert [each.name for each in rehearsal.files.iterdir()] == ["sessions"]  # no copy stays
    assert rehearsal.access_points() == ["/sessions"]
    assert rehearsal.definitions() == []
    [started] = [body for body in sandbox.aws.bodies if "RecoveryPointArn" in body and "{" in body]
    asked = json.loads(started)
    assert asked["IamRoleArn"].endswith(":role/service-role/AWSBackupDefaultServiceRole")
    assert asked["Metadata"] == {
        "file-system-id": sandbox.output("FileSystem"),
        "Encrypted": "true",
        "newFileSystem": "false",
    }
    [definition] = seen
    ours = rehearsal.definition(sandbox.output("TaskDefinition"))
    assert definition["taskRoleArn"].split("/")[1:] == ["team-chatbot", role_of(sandbox)]
    for name in ("executionRoleArn", "cpu", "memory", "networkMode", "runtimePlatform"):
        assert definition[name] == ours[name]


def test_a_backup_that_can_not_be_restored_is_told(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    rehearsal.has_backup(jobs=("FAILED",))
    other = POINT.replace("1eb3", "0000")
    done = sandbox.run("restore", other, "--yes")
    assert done.returncode == 1
    assert f"{other} is no complete backup of the file system fs-" in done.stderr
    assert POINT in done.stderr
    sandbox.aws.answers["PUT /restore-jobs"] = (
        403,
        '{"__type": "AccessDeniedException", "message": "denied with an explicit deny"}',
    )
    done = sandbox.run("restore", POINT, "--yes")
    assert done.returncode == 1
    assert "the access policy of the vault aws/efs/automatic-backup-vault denies it" in done.stderr
    sandbox.aws.answers["PUT /restore-jobs"] = as_json(RestoreJobId="job-1")
    done = sandbox.run("restore", POINT, "--yes")
    assert (done.returncode, "could not restore this: no room" in done.stderr) == (1, True)
    sandbox.ask("iam", "delete-role", "--role-name=AWSBackupDefaultServiceRole")
    done = sandbox.run("restore", POINT, "--yes")
    assert done.returncode == 1
    assert "The account has no role AWSBackupDefaultServiceRole" in done.stderr


def test_an_interrupted_restore_goes_on_with_the_job_that_runs(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    rehearsal.has_backup(jobs=("RUNNING", "COMPLETED"))
    shutil.rmtree(rehearsal.sessions)
    first = sandbox.aws.before["GET /restore-jobs/job-1"]

    def interrupt() -> None:
        first()
        os.killpg(process.pid, signal.SIGINT)

    sandbox.aws.before["GET /restore-jobs/job-1"] = interrupt
    process = sandbox.start("restore", POINT, "--yes")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Interrupted. AWS Backup continues to restore" in told
    running = {"RestoreJobId": "job-1", "Status": "RUNNING", "RecoveryPointArn": POINT}
    sandbox.aws.answers["GET /restore-jobs/"] = as_json(RestoreJobs=[running])
    sandbox.aws.asked.clear()
    done = sandbox.run("restore", POINT, "--yes")
    assert done.returncode == 0, done.stderr
    assert "AWS Backup is restoring this already, in the job job-1" in done.stderr
    assert "PUT /restore-jobs" not in sandbox.aws.asked
    assert rehearsal.read() == BOTH


# What they call


def test_they_call_what_no_job_of_github_may(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.sandbox
    rehearsal.has_backup()
    file = export(rehearsal)
    restore(rehearsal, str(file))
    restore(rehearsal, POINT)

    sandbox.aws.edits.pop("RunTask")
    sandbox.aws.before["DescribeTasks"] = lambda: os.killpg(process.pid, signal.SIGINT)
    process = sandbox.start("export", "--subject=ann")
    process.communicate(timeout=60)
    assert sandbox.aws.calls - calls_with(DEFAULTS) == BY_OPERATORS
