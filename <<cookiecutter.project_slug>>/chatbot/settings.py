"""What the environment says about this chatbot, typed and checked once."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("bedrock", "demo")
RETENTION_DAYS = 90
SYSTEM_PROMPT = "You are a helpful assistant for the staff of a company. Answer in Markdown."


class SettingsError(Exception):
    """The chatbot was started with settings that it can't use; the text says which and why."""


@dataclass(frozen=True)
class Settings:
    """The chatbot's settings.

    sessions_dir: the folder that all tasks share (CHATBOT_SESSIONS_DIR).
    backend: "bedrock" or "demo", who answers (CHATBOT_BACKEND).
    title: the name on the page (CHATBOT_TITLE).
    hostname: which task the page says it comes from; the machine's name, unless two of them run on
        one machine (CHATBOT_HOSTNAME).
    system_prompt: what the models are told before each conversation (CHATBOT_SYSTEM_PROMPT).
    retention_days: after so many days without use, a session is deleted; 0 keeps them all
        (CHATBOT_RETENTION_DAYS).
    region: of Bedrock (AWS_REGION, which ECS sets but boto3 does not read); None leaves it to
        boto3's own configuration, as the credentials and AWS_ENDPOINT_URL_BEDROCK_RUNTIME are.
    """

    sessions_dir: Path
    backend: str
    title: str
    hostname: str
    system_prompt: str
    retention_days: int
    region: str | None


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; an empty variable counts as absent.

    Raises SettingsError for a backend that does not exist, and for days that are no number.
    """

    def variable(name: str, default: str) -> str:
        return environment.get(name, "").strip() or default

    backend = variable("CHATBOT_BACKEND", "bedrock")
    if backend not in BACKENDS:
        raise SettingsError(
            f"CHATBOT_BACKEND is {backend!r}; it must be one of {' or '.join(BACKENDS)}."
        )
    days = variable("CHATBOT_RETENTION_DAYS", str(RETENTION_DAYS))
    if not re.fullmatch("[0-9]{1,5}", days):
        raise SettingsError(
            f"CHATBOT_RETENTION_DAYS is {days!r}; it must be a whole number of days, such as "
            f"{RETENTION_DAYS}, or 0 to keep conversations for ever."
        )
    return Settings(
        sessions_dir=Path(variable("CHATBOT_SESSIONS_DIR", str(ROOT / "session_data"))),
        backend=backend,
        title=variable("CHATBOT_TITLE", "Chatbot"),
        hostname=variable("CHATBOT_HOSTNAME", socket.gethostname()),
        system_prompt=variable("CHATBOT_SYSTEM_PROMPT", SYSTEM_PROMPT),
        retention_days=int(days),
        region=variable("AWS_REGION", "") or None,
    )
