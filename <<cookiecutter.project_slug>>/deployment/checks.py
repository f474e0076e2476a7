"""The checks before a deployment, which list everything that is missing at once."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from deployment import beside, commit, image, parameters
from deployment.account import AwsError, sentence
from deployment.certificate import check_certificate
from deployment.console import command, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.network import SUBNETS, check_network
from deployment.owned import check_owned
from deployment.parameters import ListError
from deployment.project import (
    MODELS,
    PARAMETERS,
    REGISTRY,
    ROOT,
    TAGS,
    TEMPLATE,
    shown,
)
from deployment.stacks import Stack


@dataclass
class Plan:
    """What is about to be deployed.

    tag: of the image.
    values: of the parameters that only a deployment knows, but for the image's.
    given: the team's parameters.
    taken: the names of the parameters of the chatbot's stack.
    """

    tag: str = ""
    taken: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def with_cloudfront(self) -> bool:
        return "CloudFrontPrefixListId" in self.taken

    def parameters(self, image_uri: str, more: Mapping[str, str]) -> list[dict[str, str]]:
        """Return all parameters of the chatbot's stack, as CloudFormation takes them.

        more: what the stacks beside it give.
        """
        given = {name: value for name, value in self.given.items() if name in self.taken}
        return parameters.as_parameters({"ImageUri": image_uri} | self.values | given | dict(more))


def check(context: Context, *, builds: bool = True) -> Plan:
    """Return what can be deployed. Raises DeploymentError with all that is missing.

    builds: whether the image may have to be built.
    """
    plan, lacks = inspect(context, allow_dirty=context.options.allow_dirty, builds=builds)
    if lacks:
        raise DeploymentError("\n  - ".join(["Fix this first:", *lacks]))
    return plan


def inspect(context: Context, *, allow_dirty: bool, builds: bool) -> tuple[Plan, list[str]]:
    """Return what can be deployed, and all that is missing for that."""
    plan, lacks = Plan(), list[str]()
    try:
        context.account.sign_in()
        region, account = context.options.region, context.account.id
        say(f"This is about the stack {context.name} in {region}, in account {account}")
    except DeploymentError as error:
        lacks.append(str(error))
    if builds:
        lacks += image.check_docker()
    plan.tag = commit.find_tag(allow_dirty=allow_dirty, lacks=lacks)
    files = (ROOT / "Dockerfile", MODELS, REGISTRY, TEMPLATE, PARAMETERS, TAGS)
    absent = [f"The file {shown(file)} is missing" for file in files if not file.is_file()]
    lacks += absent
    if context.account.id and not absent:
        _check_files(context, plan, lacks)
    return plan, lacks


def _check_files(context: Context, plan: Plan, lacks: list[str]) -> None:
    account, project = context.account, context.project
    stack = context.stacks.look_up(context.name)
    is_readable = True
    try:
        plan.given = parameters.read_parameters(context.options.environment)
    except ListError as error:
        is_readable = False
        lacks.append(str(error))
    try:
        plan.tags = parameters.read_tags()
    except ListError as error:
        lacks.append(str(error))
    sizes = parameters.check_size(REGISTRY) + parameters.check_size(TEMPLATE)
    if sizes:
        lacks += sizes
        return
    body = TEMPLATE.read_text(encoding="utf-8")
    try:
        answer = account.client("cloudformation").validate_template(TemplateBody=body)
    except AwsError as error:
        lacks.append(f"AWS rejects {shown(TEMPLATE)}: {sentence(error)}")
        return
    plan.taken = taken = [each["ParameterKey"] for each in answer["Parameters"]]
    boundary = context.options.boundary_arn
    plan.values = parameters.find_values(account, taken, stack, boundary, lacks)
    if not is_readable:
        return
    _check_tags(stack, plan, taken, lacks)
    _check_boundary(context, stack, plan, lacks)
    environment = context.options.environment
    _check_values(plan.given, taken, environment, lacks)
    defaults = {each["ParameterKey"]: each.get("DefaultValue", "") for each in answer["Parameters"]}
    _check_numbers(defaults | plan.given, environment, lacks)
    _check_pool(stack, plan.given, environment, lacks)
    has_https = plan.with_cloudfront or plan.given.get("CertificateArn")
    if project.has_people and not has_https:
        lacks.append(
            "To sign in, browsers need HTTPS: enter DomainName and its certificate,"
            f" CertificateArn, in {parameters.file_of('CertificateArn', environment)}"
        )
    if "VpcId" in taken and all(plan.given.get(name) for name in ("VpcId", *SUBNETS)):
        file = parameters.file_of("VpcId", environment)
        with_cloudfront = plan.with_cloudfront
        lacks += check_network(account, plan.given, file, stack, with_cloudfront=with_cloudfront)
    if plan.given.get("CertificateArn"):
        domain = plan.given.get("DomainName", "")
        lacks += check_certificate(account, plan.given["CertificateArn"], domain)
    lacks += check_owned(account, plan.given, stack)
    lacks += beside.check(context, plan.given, with_cloudfront=plan.with_cloudfront)


def _check_tags(stack: Stack, plan: Plan, taken: Collection[str], lacks: list[str]) -> None:
    """Refuse other tags than the stack's where they would reach a VPC origin.

    AWS changes nothing of an origin that a distribution uses, so the whole change would fail.
    """
    before = {each["Key"]: each["Value"] for each in stack.tags}
    if "CloudFrontPrefixListId" in taken and stack.was_completed and plan.tags != before:
        lacks.append(
            f"{shown(TAGS)} differs from the tags of the stack {stack.name}, and AWS can't change"
            " those of a VPC origin that CloudFront uses. Put back:"
            f" {json.dumps(stack.tags, ensure_ascii=False)}"
        )


def _check_boundary(context: Context, stack: Stack, plan: Plan, lacks: list[str]) -> None:
    """Refuse to give roles another boundary by way of the role that infra/github.yml makes.

    That role may put no policy on roles without its boundary. Nor may it take the boundary from
    roles again, which a deployment that fails would have to do.
    """
    options = context.options
    if not (options.role_arn and options.boundary_arn and stack.was_completed):
        return
    wanted = {**plan.values, **plan.given}.get("PermissionsBoundary", "")
    if stack.parameters.get("PermissionsBoundary", "") != wanted:
        lacks.append(
            f"The roles of the stack {stack.name} do not have the permissions boundary {wanted}"
            " yet, and only a person may give it to them. With your own credentials, deploy once:"
            f" PERMISSIONS_BOUNDARY_ARN={wanted} {command('deploy')}"
        )


def _check_values(
    given: dict[str, str], taken: Collection[str], environment: str, lacks: list[str]
) -> None:
    """Check what CloudFormation would refuse only after the image was built."""
    for name in given:
        file = parameters.file_of(name, environment)
        if name not in taken and name not in beside.names_taken():
            lacks.append(f"{file} has {name}, which {shown(TEMPLATE)} does not take")
        elif name in parameters.FOUND:
            lacks.append(f"{file} has {name}, which the deployment finds by itself")
    for name in parameters.NEEDED:
        if name in taken and not given.get(name):
            file = parameters.file_of(name, environment)
            lacks.append(f"{file} must have a value for {name}")


def _check_numbers(values: Mapping[str, str], environment: str, lacks: list[str]) -> None:
    least, most = values.get("MinTasks", ""), values.get("MaxTasks", "")
    if least.isdigit() and most.isdigit() and int(least) > int(most):
        lacks.append(
            f"MinTasks is {least}, and MaxTasks only {most}: change one of them in"
            f" {parameters.file_of('MinTasks', environment)}"
        )


def _check_pool(stack: Stack, given: Mapping[str, str], environment: str, lacks: list[str]) -> None:
    """Refuse another user pool than the stack's, as its domain would be made before it is free."""
    pool = stack.outputs.get("UserPoolId", "")
    wanted = given.get("UserPoolId", "")
    if not (stack.was_completed and pool) or wanted in (stack.parameters.get("UserPoolId"), pool):
        return
    lacks.append(
        f"{parameters.file_of('UserPoolId', environment)} has the UserPoolId {json.dumps(wanted)},"
        f" and the stack {stack.name} has {pool}, which only a new stack can change: enter that"
        f" one, or first {command('destroy')}, which keeps people and conversations"
    )
