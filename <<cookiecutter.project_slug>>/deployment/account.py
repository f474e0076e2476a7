"""The account on AWS: its clients, and its errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError

from deployment.errors import DeploymentError

# The last two come from what boto3 uploads and downloads with.
AwsError = (BotoCoreError, ClientError, Boto3Error, S3DownloadFailedError, RetriesExceededError)


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
        profile = f" --profile {self.profile}" if self.profile else ""
        try:
            self.id = str(self.client("sts").get_caller_identity()["Account"])
        except (ConnectionError, HTTPClientError) as error:
            raise DeploymentError(
                f"AWS can't be reached: {sentence(error)}. Is there a network, and is"
                f" {self.region} a region? Behind a proxy, set HTTPS_PROXY"
            ) from error
        except AwsError as error:
            raise DeploymentError(
                f"AWS does not accept the credentials: {sentence(error)}. "
                f"Sign in, for example with: aws sso login{profile}"
            ) from error
        except EOFError as error:
            raise DeploymentError(
                "The profile needs the code of an MFA device, and there is no terminal to ask for"
                " it. Run the same command in a terminal"
            ) from error
        except (OSError, ValueError) as error:  # of a profile's credential_process
            raise DeploymentError(
                f"The credentials can't be read: {sentence(error)}. Correct the profile in"
                f" ~/.aws/config, until this works: aws sts get-caller-identity{profile}"
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
