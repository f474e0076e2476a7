"""The stand-in for Bedrock that the project's own tests use, loaded from the template."""

from support.own_python import load

stand_in = load("tests/support/bedrock.py")


def bedrock_environment(url: str) -> dict[str, str]:
    """Return the variables that make a project take the address for Bedrock's."""
    return {
        "CHATBOT_BACKEND": "bedrock",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_MAX_ATTEMPTS": "1",
    }
