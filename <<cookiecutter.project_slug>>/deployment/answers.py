"""Whether the models answer: how long each is offered, and one real request of one token."""

from botocore.exceptions import ClientError

from deployment.account import Account, AwsError, sentence
from deployment.advice import advise
from deployment.models import model_of


def check_model(account: Account, id_: str) -> list[str]:
    """Return what is wrong with a model of models.toml. The request costs less than a cent."""
    lacks = _check_lifecycle(account, id_)
    try:
        account.client("bedrock-runtime").converse(
            modelId=id_,
            messages=[{"role": "user", "content": [{"text": "Hello"}]}],
            inferenceConfig={"maxTokens": 1},
        )
    except AwsError as error:
        advice = advise(str(error)).strip()
        lacks.append(f"The model {id_} does not answer: {sentence(error)}. {advice}".strip())
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
