"""The stacks beside the chatbot's, each of which is there only while a parameter asks for it."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from deployment.account import AwsError, error_code, sentence
from deployment.console import say
from deployment.context import Context
from deployment.parameters import as_parameters, as_tags, check_size, file_of
from deployment.project import ACCESS_LOGS, BUDGET, FIREWALL, PRIVATE, shown
from deployment.stacks import Stack, Stacks

_CLOUDFRONTS_REGION = "us-east-1"

# What private tasks need to know; the public subnet only where people sign in.
_NETWORK = (
    "PrivateRouteTable",
    "PrivateSubnetA",
    "PrivateSubnetB",
    "PublicSubnetA",
    "TaskSecurityGroup",
    "Vpc",
)
# The parameters with which the chatbot's stack needs none of those in its network.
NOT_PRIVATE = {"PrivateTasks": "disabled"}


@dataclass(frozen=True)
class Part:
    """Such a stack.

    name: how the stack's name ends.
    switch: the parameter that asks for it. "disabled" or "0" means no.
    takes: the parameters of its template.
    gives: the parameters of the chatbot's stack that are its outputs, with the outputs' names.
    region: where it is, or "" for where the chatbot is.
    inside: the parameters that are resources of the chatbot's stack, in whose network it is.
    """

    name: str
    file: Path
    switch: str
    takes: Collection[str]
    gives: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    inside: Collection[str] = ()

    def is_wanted(self, given: Mapping[str, str]) -> bool:
        return given.get(self.switch, "") not in ("", "0", "disabled")


def parts_of(*, with_cloudfront: bool) -> list[Part]:
    """Return all that there may be."""
    parts = [
        # CloudFormation makes budgets in few regions; this one belongs to the whole account.
        Part("budget", BUDGET, "MonthlyBudget", ("MonthlyBudget", "AlarmEmail"), {}, "us-east-1"),
        Part("access-logs", ACCESS_LOGS, "AccessLogs", ("LogDays",), {"AccessLogBucket": "Bucket"}),
        Part(
            "firewall",
            FIREWALL,
            "Firewall",
            ("RequestsPerAddress",),
            {"WebAclArn": "WebAclArn"},
            _CLOUDFRONTS_REGION if with_cloudfront else "",
        ),
    ]
    if PRIVATE.is_file():
        parts.append(Part("private", PRIVATE, "PrivateTasks", ("ExecEnabled",), inside=_NETWORK))
    return parts


def is_private(given: Mapping[str, str]) -> bool:
    """Return whether the tasks run in private subnets."""
    parts = parts_of(with_cloudfront=False)
    return any(part.inside and part.is_wanted(given) for part in parts)


def names_taken() -> set[str]:
    """Return the parameters in infra/parameters.json that are about these stacks."""
    parts = parts_of(with_cloudfront=False)
    return {name for part in parts for name in (part.switch, *part.takes)}


def check(context: Context, given: Mapping[str, str], *, with_cloudfront: bool) -> list[str]:
    """Return what is wrong with the parameters and templates of the stacks that are wanted."""
    lacks, environment = list[str](), context.options.environment
    for part in parts_of(with_cloudfront=with_cloudfront):
        value, file = given.get(part.switch, ""), file_of(part.switch, environment)
        if part.switch == "MonthlyBudget":
            if value and not re.fullmatch("0|[1-9][0-9]{0,8}", value):
                lacks.append(f"{file} has MonthlyBudget {value}: enter whole US dollars, or 0")
            elif part.is_wanted(given) and not given.get("AlarmEmail"):
                lacks.append(
                    "MonthlyBudget needs AlarmEmail, the address that is told: enter it in"
                    f" {file_of('AlarmEmail', environment)}"
                )
        elif value not in ("", "disabled", "enabled"):
            lacks.append(f"{file} has {part.switch} {value}: enter enabled or disabled")
        if not part.is_wanted(given):
            continue
        lacks += [
            f"{file} has {part.switch}, which makes one, and {file_of(name, environment)} has"
            f" {name}: remove one of them"
            for name in part.gives
            if given.get(name)
        ]
        try:
            sizes = check_size(part.file)
            lacks += sizes
            if not sizes:
                _taken(context, part)
        except OSError:
            lacks.append(f"The file {shown(part.file)} is missing")
        except AwsError as error:
            lacks.append(f"AWS rejects {shown(part.file)}: {sentence(error)}")
    return lacks


def make(
    context: Context, given: Mapping[str, str], tags: Mapping[str, str], *, with_cloudfront: bool
) -> dict[str, str]:
    """Create or change the stacks that are wanted, and return what the chatbot's needs of them."""
    found = dict[str, str]()
    for part in parts_of(with_cloudfront=with_cloudfront):
        if part.is_wanted(given) and not part.inside:
            outputs = _make(context, part, given, tags).outputs
            found |= {parameter: outputs[output] for parameter, output in part.gives.items()}
    return found


def make_inside(context: Context, given: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Create or change what is wanted in the network of the chatbot's stack, which is there."""
    there = context.stacks.resources(context.stacks.look_up(context.name))
    for part in parts_of(with_cloudfront=False):
        if part.is_wanted(given) and part.inside:
            taken = _taken(context, part)
            own = {name: there[name] for name in part.inside if name in taken}
            _make(context, part, {**given, **own}, tags)


def _make(context: Context, part: Part, given: Mapping[str, str], tags: Mapping[str, str]) -> Stack:
    stacks, name = _stacks_of(context, part), _name(context, part)
    values = {each: given[each] for each in (*part.takes, *part.inside) if each in given}
    stacks.change(
        stacks.settle(name),
        TemplateBody=part.file.read_text(encoding="utf-8"),
        Parameters=as_parameters(values),
        Tags=as_tags(tags),
    )
    return stacks.look_up(name)


def remove(context: Context, given: Mapping[str, str]) -> None:
    """Delete the stacks that are no longer wanted, once the chatbot's does without them."""
    for part, stacks, stack in there(context, given):
        if not part.is_wanted(given):
            delete(stacks, stack)


def there(context: Context, given: Mapping[str, str]) -> Iterator[tuple[Part, Stacks, Stack]]:
    """Yield each of the stacks that exists, with those among which it is.

    One that is not wanted, and that AWS does not let these credentials look for, is passed over: an
    organization may deny all that is in another region. Raises ClientError for others.
    """
    places = {
        (part.name, part.region or context.options.region): part
        for with_cloudfront in (True, False)
        for part in parts_of(with_cloudfront=with_cloudfront)
    }
    for part in places.values():
        stacks = _stacks_of(context, part)
        name = _name(context, part)
        try:
            stack = stacks.look_up(name)
        except ClientError as error:
            if part.is_wanted(given) or not error_code(error).startswith("AccessDenied"):
                raise
            say(f"Passing over the stack {name}, which AWS does not show: {sentence(error)}")
            continue
        if stack.status:
            yield part, stacks, stack


def delete(stacks: Stacks, stack: Stack) -> None:
    """Delete one of them, and say what it leaves."""
    stack = stacks.wait_for_others(stack.name)
    if stack.status:
        stacks.delete(stack)
    if stack.outputs.get("Bucket"):
        say(f"The access logs stay in the bucket {stack.outputs['Bucket']}, where they expire.")


def say_steps(context: Context, given: Mapping[str, str], *, with_cloudfront: bool) -> None:
    """Say what would become of these stacks."""
    for part in parts_of(with_cloudfront=with_cloudfront):
        if part.is_wanted(given):
            say(f"Would create the stack {_name(context, part)}, or change it if it differs")
    for part, _, stack in there(context, given):
        if not part.is_wanted(given):
            say(f"Would delete the stack {stack.name}, as {part.switch} no longer asks for it")


def _taken(context: Context, part: Part) -> set[str]:
    """Return the parameters that the template takes, as AWS reads it."""
    client = context.account.client("cloudformation", part.region)
    answer = client.validate_template(TemplateBody=part.file.read_text(encoding="utf-8"))
    return {each["ParameterKey"] for each in answer["Parameters"]}


def _stacks_of(context: Context, part: Part) -> Stacks:
    return context.stacks.in_region(part.region or context.options.region)


def _name(context: Context, part: Part) -> str:
    return f"{context.name}-{part.name}"
