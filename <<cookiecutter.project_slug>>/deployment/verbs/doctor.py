"""Find everything that would keep the chatbot from working, before a person meets it."""

from collections.abc import Mapping

from deployment import answers, checks, models, quotas
from deployment.console import result, say
from deployment.context import Context
from deployment.errors import DeploymentError
from deployment.models import ModelsError
from deployment.project import MODELS


def doctor(context: Context) -> None:
    """Run all checks, and print what is wrong. Raises DeploymentError if anything is."""
    account = context.account
    say("Checking the tools, the files, the network and the certificate")
    plan, lacks = checks.inspect(context, allow_dirty=True, builds=True)
    if account.id:
        if not context.stacks.look_up(context.name).was_completed:
            say("Checking the quotas")
            lacks += quotas.check_quotas(account, plan.given, makes_vpc="ZoneA" in plan.values)
        lacks += _check_models(context, plan.given)
    if lacks:
        raise DeploymentError("\n  - ".join(["This is wrong:", *dict.fromkeys(lacks)]))
    result("Nothing is wrong that can be seen before a deployment.")


def _check_models(context: Context, given: Mapping[str, str]) -> list[str]:
    try:
        offers = models.read_models(MODELS)
    except ModelsError:
        return []  # which is told already
    lacks = []
    for each in offers:
        say(f"Asking the model {each.id} for one token")
        lacks += answers.check_model(context.account, each, given)
    return lacks
