"""The account on AWS: its clients, and its errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deployment.errors import DeploymentError

AwsError = (BotoCoreError, ClientError)


class Account:
    """An AWS account in one region, with the credentials that boto3 finds.

    profile: of AWS's configuration, or "" for what the environment says.
    """

    def __init__(self, region: str, profile: str = "") -> None:
        self.region, self.profile = region, profile
        self.id = ""
        self._clients: dict[tuple[str, str], Any] = {}
        self._session: Any = None

    def client(self, service: str, region: str = "") -> Any:
        """Return boto3's client, which tries again where AWS asks for patience.

        region: another one than the account's.
        """
        if self._session is None:
            self._session = boto3.Session(
                region_name=self.region, profile_name=self.profile or None
            )
        key = (service, region or self.region)
        if key not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 5})
            self._clients[key] = self._session.client(*key, config=config)
        return self._clients[key]

    def find(self, service: str, operation: str, key: str, **details: Any) -> list[Any]:
        """Return what all pages of an answer list under the key."""
        pages = self.client(service).get_paginator(operation).paginate(**details)
        return [each for page in pages for each in page.get(key, ())]

    def sign_in(self) -> None:
        """Learn the account's ID. Raises DeploymentError if AWS does not accept the credentials."""
        try:
            self.id = str(self.client("sts").get_caller_identity()["Account"])
        except AwsError as error:
            profile = f" --profile {self.profile}" if self.profile else ""
            raise DeploymentError(
                f"AWS does not accept the credentials: {sentence(error)}. "
                f"Sign in, for example with: aws sso login{profile}"
            ) from error


@contextmanager
def accepting(code: str) -> Iterator[None]:
    """Go on after an error with this code, or with these words in its message."""
    try:
        yield
    except ClientError as error:
        if code not in f"{error_code(error)} {error}":
            raise


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def sentence(error: Exception) -> str:
    """Return what AWS says, without the full stop."""
    return str(error).strip().removesuffix(".")
