"""From the template to the first chat: the stack, its user pool, an invitation, and a browser.

AWS and Cognito are an emulator on this machine. Two tasks run with the environment that the stack
gives them, behind a balancer that ends TLS for the stack's address.
"""

import datetime
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from support.aws_emulator import command_line, emulator, needs_aws, remove_what_is_lacking
from support.aws_sandbox import Sandbox
from support.browsing import CHROMIUM, FLAGS, LONG, SCREENSHOTS, messages, open_about, say, sidebar
from support.cluster import HAPROXY, Cluster
from support.projects import Project, share_environment
from support.rendering import Bake

pytestmark = [
    *needs_aws,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's package chromium is not installed"),
    pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare"),
]
E_MAIL = "alice@example.com"
INVITED, CHOSEN = "For-the-first-time-1", "Chosen-by-Alice-2"  # passwords


@dataclass(frozen=True)
class Deployment:
    """A stack in the emulator, and tasks with its settings.

    address: the stack's own.
    sandbox: where deployment.sh runs.
    """

    address: str
    sandbox: Sandbox
    cluster: Cluster

    def user(self) -> dict[str, str]:
        """Return what the pool knows of the person."""
        user = self.sandbox.ask(
            *("cognito-idp", "admin-get-user", "--user-pool-id", self.sandbox.output("UserPoolId")),
            *("--username", E_MAIL),
        )
        return {each["Name"]: each["Value"] for each in user["UserAttributes"]}


@pytest.fixture(scope="module")
def deployment(
    bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    project, folder = bake_to_keep(), tmp_path_factory.mktemp("deployment")
    shutil.copytree(project.path, folder / "project")
    remove_what_is_lacking(folder / "project" / "infra" / "template.yml")
    with command_line(folder) as programs, emulator(folder / "state") as port:
        sandbox = Sandbox(folder / "project", programs, port)
        sandbox.git("init", "--quiet")
        sandbox.commit()
        address = sandbox.deploy().stdout.strip()
        certificate = make_certificate(folder, str(urlsplit(address).hostname))
        cluster = Cluster(project, folder, task_environment(sandbox))
        try:
            cluster.start_tasks()
            with cluster.balanced(sticky=False, certificate=certificate):
                yield Deployment(address, sandbox, cluster)
        finally:
            cluster.stop()
            sandbox.aws.stop()


def task_environment(sandbox: Sandbox) -> dict[str, str]:
    """Return the variables that ECS gives to a task of the stack, with the model for trials."""
    name = sandbox.output("TaskDefinition")
    described = sandbox.ask("ecs", "describe-task-definition", "--task-definition", name)
    [container] = described["taskDefinition"]["containerDefinitions"]
    variables = {each["name"]: each["value"] for each in container["environment"]}
    for name, secret in secrets_of_task(sandbox).items():
        value = sandbox.ask("secretsmanager", "get-secret-value", "--secret-id", secret)
        variables[name] = value["SecretString"]
    cognito = "https://cognito-idp.us-east-1.amazonaws.com"
    metadata = variables["CHATBOT_SIGN_IN_METADATA_URL"]
    assert metadata.startswith(f"{cognito}/us-east-1_")
    variables["CHATBOT_SIGN_IN_METADATA_URL"] = metadata.replace(cognito, sandbox.aws.url)
    return variables | {"CHATBOT_BACKEND": "demo"}


def secrets_of_task(sandbox: Sandbox) -> dict[str, str]:
    """Return the stack's secrets by the variables that they are for.

    The emulator does not tell which ones a task gets, so the template does.
    """
    template = json.loads((sandbox.project / "infra" / "template.yml").read_text())
    [container] = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    listed = sandbox.ask("cloudformation", "list-stack-resources", "--stack-name", "team-chatbot")
    ids = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in listed["StackResourceSummaries"]
    }
    return {each["Name"]: ids[each["ValueFrom"]["Ref"]] for each in container["Secrets"]}


def make_certificate(folder: Path, host: str) -> Path:
    """Write a certificate for the host, which it signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = folder / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(kind) + key.private_bytes(kind, form, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def visitor(playwright: Playwright, deployment: Deployment) -> Iterator[BrowserContext]:
    """A browser that finds the stack's address on this machine."""
    host = urlsplit(deployment.address).hostname
    rule = f"--host-resolver-rules=MAP {host} 127.0.0.1:{deployment.cluster.https_port}"
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, rule])
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(LONG)
    yield context
    chromium.close()


def log_in(page: Page, password: str) -> None:
    """Fill in the form of Cognito, as the emulator has it."""
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Username").fill(E_MAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def people(project: Project, cluster: Cluster, *words: str) -> str:
    """Run the command for operators over the tasks' folder, as a one-off task does."""
    share_environment(project.path)
    python = str(project.path / ".venv" / "bin" / "python")
    folder = {"CHATBOT_SESSIONS_DIR": str(cluster.folder)}
    return project.run(python, "-m", "chatbot", "people", *words, environment=folder).stdout


def test_an_invited_person_chats_signs_out_and_is_found(
    deployment: Deployment, visitor: BrowserContext, bake_to_keep: Bake
) -> None:
    sandbox = deployment.sandbox
    page = visitor.new_page()
    page.goto(deployment.address)
    expect(page.get_by_text("Please sign in.")).to_be_visible()

    invited = sandbox.run("invite", E_MAIL)
    assert invited.returncode == 0, invited.stderr
    sandbox.ask(  # the one in the e-mail is not known here
        *("cognito-idp", "admin-set-user-password", "--no-permanent", "--username", E_MAIL),
        *("--user-pool-id", sandbox.output("UserPoolId"), "--password", INVITED),
    )
    log_in(page, INVITED)
    page.get_by_label("New password", exact=True).fill(CHOSEN)
    page.get_by_label("Confirm new password").fill(CHOSEN)
    page.get_by_role("button", name="Update password").click()
    expect(sidebar(page)).to_contain_text(f"Signed in as {E_MAIL}")
    say(page, "Hello from Alice")
    expect(messages(page)).to_have_count(2)
    expect(messages(page).nth(1)).to_contain_text(re.compile(r"\w+"))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "first-sign-in.png")
    kept = {each["name"]: each for each in visitor.cookies()}
    assert kept["_streamlit_user"]["secure"] and kept["_streamlit_user"]["httpOnly"]

    open_about(page).get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("Please sign in.")).to_be_visible()
    assert page.url == f"{deployment.address}/"
    log_in(page, CHOSEN)
    expect(messages(page).nth(0)).to_contain_text("Hello from Alice")

    pool = sandbox.output("UserPoolId")
    who = f"--issuer=https://cognito-idp.us-east-1.amazonaws.com/{pool}"
    project = bake_to_keep()
    found = people(
        project, deployment.cluster, "find", who, f"--subject={deployment.user()['sub']}"
    )
    [folder] = [each.name for each in deployment.cluster.folder.iterdir() if len(each.name) == 64]
    assert folder[:8] in found
