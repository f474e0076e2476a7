"""What the environment says about this chatbot, typed and checked once."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chatbot.errors import ChatbotError
from chatbot.text import clean

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("bedrock", "demo")
RETENTION_DAYS = 90
SIGN_IN_HOURS = 12
ADDRESS = "https://chat.example.com"
DAILY_TOKENS = 100_000  # an example
SITE = "https://intranet.example.com"
# A site that may show the page in a frame: https, or http on this machine; "*." stands for all of
# its subdomains.
_SITE = re.compile(r"(https://(\*\.)?|http://)[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", re.IGNORECASE)
# Where browsers find the chatbot: without a path, as the page's own requests have none.
_ADDRESS = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", re.IGNORECASE)
# The provider, which says who somebody is: https, or http on this machine.
_METADATA_URL = re.compile(
    r"https://|http://(localhost|127(\.[0-9]+){3}|\[::1\])[:/]", re.IGNORECASE
)
_GUARDRAIL = re.compile("[a-z0-9]{1,64}|arn:[a-z0-9:-]+:guardrail/[a-z0-9]{1,64}")
# The settings that make people sign in, if there is one of them.
_PROVIDER = tuple(
    f"CHATBOT_SIGN_IN_{each}" for each in ("METADATA_URL", "CLIENT_ID", "CLIENT_SECRET")
)
SYSTEM_PROMPT = "You are a helpful assistant for the staff of a company. Answer in Markdown."


class SettingsError(ChatbotError):
    """The settings, models.toml or assistants.toml are none that the chatbot can use."""


@dataclass(frozen=True)
class SignIn:
    """How people sign in: with a provider that speaks OpenID Connect.

    address: where browsers find the chatbot (CHATBOT_ADDRESS); the provider has to know it, with
        "/oauth2callback" behind it.
    metadata_url: what the provider publishes about itself (CHATBOT_SIGN_IN_METADATA_URL).
    client_id, client_secret: what the provider calls the chatbot, and how the chatbot proves that
        it is that one (CHATBOT_SIGN_IN_CLIENT_ID, CHATBOT_SIGN_IN_CLIENT_SECRET).
    hours: after so many hours, a person has to sign in again (CHATBOT_SIGN_IN_HOURS).
    groups: only their members may use the chatbot; empty for everybody whom the provider knows
        (CHATBOT_SIGN_IN_GROUPS, with spaces between them).
    admin_groups: their members see what everybody uses; empty for nobody (CHATBOT_ADMIN_GROUPS).
    """

    address: str
    metadata_url: str
    client_id: str
    client_secret: str = field(repr=False)
    hours: int = SIGN_IN_HOURS
    groups: frozenset[str] = frozenset()
    admin_groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Guardrail:
    """A guardrail of Amazon Bedrock: CHATBOT_GUARDRAIL_ID and CHATBOT_GUARDRAIL_VERSION."""

    id: str
    version: str


@dataclass(frozen=True)
class Settings:
    """The chatbot's settings.

    sessions_dir: the folder that all tasks share (CHATBOT_SESSIONS_DIR).
    backend: "bedrock" or "demo", where answers come from (CHATBOT_BACKEND).
    title: the name on the page (CHATBOT_TITLE).
    footer: what the team says below the input, before how long chats are kept (CHATBOT_FOOTER).
    contact: whom people may ask when something went wrong: an e-mail address, a web address, or
        words (CHATBOT_CONTACT).
    hostname: the task that the page names as its host; the machine's name, unless two tasks run on
        one machine (CHATBOT_HOSTNAME).
    system_prompt: what the models are told before each conversation, instead of the instructions
        for all assistants in assistants.toml; "" leaves it to these (CHATBOT_SYSTEM_PROMPT).
    retention_days: a session that was not used for this many days is deleted; 0 keeps all sessions
        (CHATBOT_RETENTION_DAYS).
    frame_ancestors: other sites that may show the page in a frame (CHATBOT_FRAME_ANCESTORS, with
        spaces between them).
    drain_seconds: how long a task goes on after SIGTERM while its load balancer turns to other
        tasks; 0 ends it at once (CHATBOT_DRAIN_SECONDS).
    sign_in: how people sign in; None if nobody has to.
    metrics: the name under which CloudWatch adds up how answers go; empty tells it nothing
        (CHATBOT_METRICS).
    daily_tokens: after how many tokens a person can ask nothing more on that day (UTC); 0 is no
        limit (CHATBOT_DAILY_TOKENS).
    guardrail: watches over what the models are asked and answer; None if nothing does.
    region: of Bedrock (AWS_REGION, which ECS sets but boto3 does not read); None leaves it to
        boto3's own configuration, as the credentials and AWS_ENDPOINT_URL_BEDROCK_RUNTIME are.
    """

    sessions_dir: Path
    backend: str
    title: str
    footer: str
    contact: str
    hostname: str
    system_prompt: str
    retention_days: int
    frame_ancestors: tuple[str, ...]
    drain_seconds: int
    sign_in: SignIn | None
    metrics: str
    daily_tokens: int
    guardrail: Guardrail | None
    region: str | None


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; an empty variable counts as absent.

    Raises SettingsError, with the name of the setting as its code, for a value it can't use.
    """

    def variable(name: str, default: str = "") -> str:
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
    tokens = variable("CHATBOT_DAILY_TOKENS", "0")
    if not re.fullmatch("[0-9]{1,12}", tokens):
        raise SettingsError("daily_tokens", value=tokens, example=DAILY_TOKENS)
    return Settings(
        sessions_dir=Path(variable("CHATBOT_SESSIONS_DIR", str(ROOT / "session_data"))),
        backend=backend,
        title=clean(variable("CHATBOT_TITLE", "Chatbot")),
        footer=clean(variable("CHATBOT_FOOTER")),
        contact=clean(variable("CHATBOT_CONTACT")),
        hostname=clean(variable("CHATBOT_HOSTNAME", socket.gethostname())),
        system_prompt=clean(variable("CHATBOT_SYSTEM_PROMPT")),
        retention_days=int(days),
        frame_ancestors=sites,
        drain_seconds=int(drain),
        sign_in=_load_sign_in(variable, int(days)),
        metrics=clean(variable("CHATBOT_METRICS", "")),
        daily_tokens=int(tokens),
        guardrail=_load_guardrail(variable),
        region=variable("AWS_REGION", "") or None,
    )


def makes_people_sign_in(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether there is a setting that does so, even if it can't be used."""
    return any(environment.get(name, "").strip() for name in _PROVIDER)


def _load_guardrail(variable: Callable[..., str]) -> Guardrail | None:
    id_ = variable("CHATBOT_GUARDRAIL_ID")
    version = variable("CHATBOT_GUARDRAIL_VERSION", "DRAFT")
    if id_ and not _GUARDRAIL.fullmatch(id_):
        raise SettingsError("guardrail_id", value=id_, example="a1b2c3d4e5f6")
    if not re.fullmatch("DRAFT|[1-9][0-9]{0,7}", version):
        raise SettingsError("guardrail_version", value=version)
    return Guardrail(id_, version) if id_ else None


def _load_sign_in(variable: Callable[..., str], retention_days: int) -> SignIn | None:
    """Read how people sign in. Half of the settings are a mistake, which must let nobody in."""
    names = (*_PROVIDER, "CHATBOT_ADDRESS")
    values = {name: variable(name) for name in names}
    if not any(values[name] for name in _PROVIDER):
        return None
    if missing := [name for name in names if not values[name]]:
        raise SettingsError("sign_in", missing=" and ".join(missing))
    metadata_url, client_id, client_secret, address = values.values()
    address = address.rstrip("/").lower()
    if not _ADDRESS.fullmatch(address):
        raise SettingsError("address", value=address, example=ADDRESS)
    # A page's own address, which the gate compares it with, leaves out the usual port.
    address = address.removesuffix(":443" if address.startswith("https:") else ":80")
    if not _METADATA_URL.match(metadata_url):
        raise SettingsError("metadata_url", value=metadata_url)
    hours = variable("CHATBOT_SIGN_IN_HOURS", str(SIGN_IN_HOURS))
    if not re.fullmatch("[1-9][0-9]{0,2}", hours):
        raise SettingsError("sign_in_hours", value=hours, example=SIGN_IN_HOURS)
    if 0 < retention_days * 24 < int(hours):  # a session keeps who has signed out of it
        raise SettingsError("sign_in_too_long", value=hours, days=retention_days)
    return SignIn(
        address,
        metadata_url,
        client_id,
        client_secret,
        int(hours),
        frozenset(variable("CHATBOT_SIGN_IN_GROUPS").split()),
        frozenset(variable("CHATBOT_ADMIN_GROUPS").split()),
    )
