"""The image: docker builds and pushes it, ECR keeps it."""

import base64
import shutil
import subprocess
from typing import Any

from deployment.account import Account, accepting
from deployment.console import begin, say
from deployment.errors import DeploymentError
from deployment.project import ROOT


def check_docker() -> list[str]:
    """Return what is missing to build an image."""
    if shutil.which("docker") is None:
        return ["docker is not installed: https://docs.docker.com/get-docker/"]
    lacks = []
    daemon = _run("version", "--format", "{{.Server.Version}}")
    if daemon.returncode:
        [reason] = daemon.stderr.strip().splitlines()[-1:] or ["docker says nothing more"]
        lacks.append(
            f"docker's daemon does not answer ({reason}): start Docker Desktop, or run: sudo"
            " systemctl start docker. If permission is denied, run: sudo usermod -aG docker $USER;"
            " then sign in to this machine again"
        )
    if _run("buildx", "version").returncode:
        lacks.append("docker has no buildx: https://docs.docker.com/build/install-buildx/")
    return lacks


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True)


def build(account: Account, repository: str, tag: str, platform: str, left: str) -> None:
    """Build the image and push it, unless it is in ECR already. Raises DeploymentError.

    repository: its address, HOST/NAME.
    left: what an interruption leaves behind.
    """
    host = repository.partition("/")[0]
    if find_digest(account, repository, tag):
        say(f"The image {tag} is in ECR already")
        return
    begin(f"Building the image {tag} for {platform}", left)
    [granted] = account.client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
    login = ["docker", "login", "--username", user, "--password-stdin", host]
    done = subprocess.run(login, input=password, capture_output=True, text=True)
    if done.returncode:
        raise DeploymentError(f"docker could not log in to ECR: {done.stderr.strip()}")
    # Without provenance, a tag refers to one image, not to a list whose parts ECR would count
    # separately.
    command = ["docker", "buildx", "build", "--platform", platform, "--provenance=false"]
    command += ["--build-arg", f"REVISION={tag}", "--tag", f"{repository}:{tag}", "--push", "."]
    if subprocess.run(command, cwd=ROOT, stdout=2).returncode:
        if find_digest(account, repository, tag):
            say(f"The image {tag} is in ECR by now: somebody else has pushed it")
            return
        raise DeploymentError(
            'The image could not be built. If the error is "exec format error", enable'
            f" {platform} on this machine:\n"
            "  docker run --privileged --rm tonistiigi/binfmt --install"
            f" {platform.rpartition('/')[2]}"
        )


def find_digest(account: Account, repository: str, tag: str) -> str:
    """Return the digest of the image with a tag in ECR, or "" if there is none."""
    names = {"repositoryName": repository.partition("/")[2], "imageIds": [{"imageTag": tag}]}
    with accepting("ImageNotFoundException"):
        found = account.client("ecr").describe_images(**names)["imageDetails"]
        return str(found[0]["imageDigest"]) if found else ""
    return ""


def pushed_images(account: Account, repository: str) -> list[list[str]]:
    """Return the tags of each image in ECR that has any, the newest image first."""
    name = repository.partition("/")[2]
    images: list[dict[str, Any]] = account.find(
        "ecr", "describe_images", "imageDetails", repositoryName=name
    )
    tagged = [each for each in images if each.get("imageTags")]
    tagged.sort(key=lambda each: each["imagePushedAt"], reverse=True)
    return [each["imageTags"] for each in tagged]
