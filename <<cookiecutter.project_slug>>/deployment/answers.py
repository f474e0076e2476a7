"""Whether the models answer: how long each is offered, and one real request of one token."""

from collections.abc import Mapping

from botocore.exceptions import ClientError

from deployment.account import Account, AwsError, sentence
from deployment.advice import advise
from deployment.models import Offer, model_of


def check_model(account: Account, offer: Offer, given: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a model of models.toml. The request costs less than a cent.

    given: the stack's parameters. The model is asked as the chatbot asks it, so that it also has to
    accept the guardrail, and the mark for its cache.
    """
    lacks = _check_lifecycle(account, offer.id)
    content: list[dict[str, object]] = [{"text": "Hello"}]
    if offer.prompt_cache:
        content.append({"cachePoint": {"type": "default"}})
    request: dict[str, object] = {
        "modelId": offer.id,
        "messages": [{"role": "user", "content": content}],
        "inferenceConfig": {"maxTokens": 1},
    }
    if offer.guardrail and given.get("GuardrailId"):
        request["guardrailConfig"] = {
            "guardrailIdentifier": given["GuardrailId"],
            "guardrailVersion": given.get("GuardrailVersion", "DRAFT"),
        }
    try:
        account.client("bedrock-runtime").converse(**request)
    except AwsError as error:
        advice = advise(str(error)).strip()
        lacks.append(f"The model {offer.id} does not answer: {sentence(error)}. {advice}".strip())
    return lacks


def _check_lifecycle(account: Account, id_: str) -> list[str]:
    """Return whether AWS will soon offer the model no more, as far as AWS says."""
    model = model_of(id_)
    if not model:
        return []
    try:
        found = account.client("bedrock").get_foundation_model(modelIdentifier=model)
    except ClientError:
        return []  # if the model is not there, the request says so better
    cycle = found["modelDetails"].get("modelLifecycle", {})
    if cycle.get("status") != "LEGACY":
        return []
    end = cycle.get("endOfLifeTime")
    when = f", and AWS ends it on {end:%Y-%m-%d}" if end else ""
    return [f"The model {id_} is an old one{when}: offer a newer one in models.toml"]
