"""The infrastructure that options render, and the stacks that CloudFormation makes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from support.cloudformation import ACCOUNT, Stack, check_parameters
from support.options import DEFAULTS
from support.yaml_reading import read_yaml

FILES_FOR_AWS = (
    "infra/template.yml",
    "infra/registry.yml",
    "infra/github.yml",
    "infra/access-logs.yml",
    "infra/budget.yml",
    "infra/firewall.yml",
    "infra/private.yml",  # with a new VPC only
    "infra/parameters.json",
    "infra/tags.json",
    "models.toml",
)
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/team-chatbot:0123abc"
REQUIRED = {  # parameters without a default, where they exist
    "ImageUri": IMAGE,
    "ModelsNamed": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.amazon.nova-lite",
    "ModelsBehind": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite",
    "CloudFrontPrefixListId": "pl-3b927c52",
    "ZoneA": "us-east-1a",
    "ZoneB": "us-east-1b",
    "AllowedCidr": "203.0.113.0/24",
    "VpcId": "vpc-1",
    "LoadBalancerSubnetA": "subnet-a",
    "LoadBalancerSubnetB": "subnet-b",
    "TaskSubnetA": "subnet-c",
    "TaskSubnetB": "subnet-d",
    "OidcMetadataUrl": "https://login.example.com/team/.well-known/openid-configuration",
    "OidcClientId": "0oa1-client",
    "OidcClientSecretArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:chatbot-AbCd12",
}
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1"
ENCRYPTED = {"CertificateArn": CERTIFICATE, "DomainName": "chat.example.com"}
OPTIONAL = (  # each is given or left out, where its first parameter exists
    ENCRYPTED,
    {"AllowedCidr2": "198.51.100.0/24", "AllowedCidr3": "192.0.2.7/32"},
    {"TimeZone": "Europe/Berlin", "OfficeOpens": "6", "OfficeCloses": "21", "TasksAtNight": "0"},
    {"AlarmEmail": "team@example.com", "GuardrailId": "a1b2c3", "GuardrailVersion": "4"},
    {"FileSystemId": "fs-0123456789abcdef0"},
    {"UserPoolId": "us-east-1_AbCd12345"},
    {"ExecEnabled": "true", "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/limits"},
    {"TaskPublicAddress": "ENABLED"},
)
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b-2c3d"
WEB_ACLS = {  # with CloudFront, and without
    True: f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/chatbot/1",
    False: f"arn:aws:wafv2:us-east-1:{ACCOUNT}:regional/webacl/chatbot/1",
}


@dataclass(frozen=True)
class Infrastructure:
    """The files for AWS as some options render them."""

    options: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.files["infra/template.yml"]

    @cached_property
    def template(self) -> dict[str, Any]:
        """The template of the stack that has everything but the images."""
        template: dict[str, Any] = read_yaml(self.text)
        return template

    @property
    def cloudfront(self) -> bool:
        return bool(self.options["use_cloudfront"])

    @property
    def new_vpc(self) -> bool:
        return bool(self.options["network"] == "new VPC")

    @property
    def cognito(self) -> bool:
        return bool(self.options["sign_in"] == "Amazon Cognito")

    @property
    def signs_in(self) -> bool:
        return bool(self.options["sign_in"] != "none")

    @property
    def needs_certificate(self) -> bool:
        """Whether people sign in, and HTTPS comes only with a certificate."""
        return self.signs_in and not self.cloudfront

    @property
    def required(self) -> dict[str, str]:
        """Values for the parameters that a team has to set."""
        declared = self.template["Parameters"]
        required = {key: value for key, value in REQUIRED.items() if key in declared}
        return required | (ENCRYPTED if self.needs_certificate else {})

    def create(self, *, name: str = "team-chatbot", **given: str) -> "RenderedStack":
        """Make a stack with the parameters given and those that a team has to set."""
        region = self.options["aws_region"]
        parameters = check_parameters(self.template, self.required | given, region, name)
        return RenderedStack(self.template, parameters, region, name, infrastructure=self)

    @property
    def hardening(self) -> list[dict[str, str]]:
        """What a team may add to be safer, each with what it needs."""
        return [
            {"HostedZoneId": "Z0123456789ABC"} | ENCRYPTED,
            {"KmsKeyArn": KEY},
            {"WebAclArn": WEB_ACLS[self.cloudfront]},
            {"AccessLogBucket": "logs-of-the-team"},
            {"PrivateTasks": "enabled"} if self.new_vpc else {},
        ]

    def hardened(self, **given: str) -> "RenderedStack":
        """Make a stack with all of that."""
        safer = {name: value for each in self.hardening for name, value in each.items()}
        return self.create(**given | safer)

    def stacks(self) -> Iterator["RenderedStack"]:
        """Make a stack with each combination of parameters, and one with all that is safer."""
        declared = self.template["Parameters"]
        choices = [
            {name: value for name, value in choice.items() if name in declared}
            for choice in OPTIONAL
            if next(iter(choice)) in declared
            and not (choice is ENCRYPTED and self.needs_certificate)
        ]
        for chosen in product((False, True), repeat=len(choices)):
            given: dict[str, str] = {}
            for choice, taken in zip(choices, chosen, strict=True):
                given |= choice if taken else {}
            yield self.create(**given)
        yield self.hardened(**given)

    def is_default(self, *names: str) -> bool:
        return all(self.options[name] == DEFAULTS[name] for name in names)

    def __repr__(self) -> str:
        return f"<infrastructure with {self.options}>"


@dataclass
class RenderedStack(Stack):
    """A stack that knows the infrastructure that it was made from."""

    infrastructure: Infrastructure = field(kw_only=True)

    def __repr__(self) -> str:
        return f"<stack with {dict(self.parameters)} of {self.infrastructure}>"
