"""What the environment says about this chatbot, typed and checked once."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chatbot.errors import ChatbotError
from chatbot.text import clean

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("bedrock", "demo")
RETENTION_DAYS = 90
SITE = "https://intranet.example.com"
# A site that may show the page in a frame: https, or http on this machine; "*." stands for all of
# its subdomains.
_SITE = re.compile(r"(https://(\*\.)?|http://)[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", re.IGNORECASE)
SYSTEM_PROMPT = "You are a helpful assistant for the staff of a company. Answer in Markdown."


class SettingsError(ChatbotError):
    """The chatbot was started with settings, or a models.toml, that it can't use."""


@dataclass(frozen=True)
class Settings:
    """The chatbot's settings.

    sessions_dir: the folder that all tasks share (CHATBOT_SESSIONS_DIR).
    backend: "bedrock" or "demo", where answers come from (CHATBOT_BACKEND).
    title: the name on the page (CHATBOT_TITLE).
    hostname: the task that the page names as its host; the machine's name, unless two tasks run on
        one machine (CHATBOT_HOSTNAME).
    system_prompt: what the models are told before each conversation (CHATBOT_SYSTEM_PROMPT).
    retention_days: a session that was not used for this many days is deleted; 0 keeps all sessions
        (CHATBOT_RETENTION_DAYS).
    frame_ancestors: other sites that may show the page in a frame (CHATBOT_FRAME_ANCESTORS, with
        spaces between them).
    drain_seconds: how long a task goes on after SIGTERM while its load balancer turns to other
        tasks; 0 ends it at once (CHATBOT_DRAIN_SECONDS).
    metrics: the name under which CloudWatch adds up how answers go; empty tells it nothing
        (CHATBOT_METRICS).
    region: of Bedrock (AWS_REGION, which ECS sets but boto3 does not read); None leaves it to
        boto3's own configuration, as the credentials and AWS_ENDPOINT_URL_BEDROCK_RUNTIME are.
    """

    sessions_dir: Path
    backend: str
    title: str
    hostname: str
    system_prompt: str
    retention_days: int
    frame_ancestors: tuple[str, ...]
    drain_seconds: int
    metrics: str
    region: str | None


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; an empty variable counts as absent.

    Raises SettingsError, with the name of the setting as its code, for a value it can't use.
    """

    def variable(name: str, default: str) -> str:
        return environment.get(name, "").strip() or default

    backend = variable("CHATBOT_BACKEND", "bedrock")
    if backend not in BACKENDS:
        raise SettingsError("backend", value=backend, choices=" or ".join(BACKENDS))
    days = variable("CHATBOT_RETENTION_DAYS", str(RETENTION_DAYS))
    if not re.fullmatch("[0-9]{1,5}", days):
        raise SettingsError("retention_days", value=days, example=RETENTION_DAYS)
    sites = tuple(variable("CHATBOT_FRAME_ANCESTORS", "").split())
    for site in sites:
        if not _SITE.fullmatch(site):
            raise SettingsError("frame_ancestors", value=site, example=SITE)
    drain = variable("CHATBOT_DRAIN_SECONDS", "0")
    if not re.fullmatch("[0-9]{1,3}", drain):
        raise SettingsError("drain_seconds", value=drain, example=20)
    return Settings(
        sessions_dir=Path(variable("CHATBOT_SESSIONS_DIR", str(ROOT / "session_data"))),
        backend=backend,
        title=clean(variable("CHATBOT_TITLE", "Chatbot")),
        hostname=clean(variable("CHATBOT_HOSTNAME", socket.gethostname())),
        system_prompt=clean(variable("CHATBOT_SYSTEM_PROMPT", SYSTEM_PROMPT)),
        retention_days=int(days),
        frame_ancestors=sites,
        drain_seconds=int(drain),
        metrics=clean(variable("CHATBOT_METRICS", "")),
        region=variable("AWS_REGION", "") or None,
    )
