"""The environment and models.toml, checked when the chatbot starts."""

import socket
from pathlib import Path

import pytest

from chatbot.models import load_models
from chatbot.page import wording
from chatbot.settings import Guardrail, SettingsError, load_settings


def test_everything_has_a_default() -> None:
    settings = load_settings({})
    assert settings.backend == "bedrock"
    assert settings.sessions_dir.name == "session_data"
    assert settings.region is None
    assert settings.title and not settings.system_prompt  # assistants.toml has it
    assert settings.hostname == socket.gethostname()
    assert settings.retention_days == 90
    assert settings.drain_seconds == 0


def test_the_environment_decides() -> None:
    settings = load_settings(
        {
            "CHATBOT_BACKEND": "demo",
            "CHATBOT_TITLE": " Ask us ",
            "CHATBOT_SESSIONS_DIR": "/data",
            "CHATBOT_HOSTNAME": "task-1",
        }
    )
    assert (settings.backend, settings.title) == ("demo", "Ask us")
    assert settings.hostname == "task-1"
    assert settings.sessions_dir == Path("/data")


@pytest.mark.parametrize(("days", "kept"), [("0", 0), ("365", 365), ("", 90)])
def test_retention_is_a_number_of_days(days: str, kept: int) -> None:
    assert load_settings({"CHATBOT_RETENTION_DAYS": days}).retention_days == kept


@pytest.mark.parametrize("days", ["-1", "1.5", "ninety", "1e3", "nan", "999999"])
def test_other_retention_is_refused_with_an_example(days: str) -> None:
    with pytest.raises(SettingsError, match="retention_days") as caught:
        load_settings({"CHATBOT_RETENTION_DAYS": days})
    sentence = wording.error(caught.value)
    assert f"CHATBOT_RETENTION_DAYS is '{days}'" in sentence and "such as 90, or 0" in sentence


@pytest.mark.parametrize(("seconds", "drained"), [("0", 0), ("20", 20), ("120", 120), ("", 0)])
def test_a_task_drains_for_a_number_of_seconds(seconds: str, drained: int) -> None:
    assert load_settings({"CHATBOT_DRAIN_SECONDS": seconds}).drain_seconds == drained


@pytest.mark.parametrize("seconds", ["-1", "1.5", "soon", "1e1", "nan", "9999"])
def test_another_drain_is_refused_with_an_example(seconds: str) -> None:
    with pytest.raises(SettingsError, match="drain_seconds") as caught:
        load_settings({"CHATBOT_DRAIN_SECONDS": seconds})
    sentence = wording.error(caught.value)
    assert f"CHATBOT_DRAIN_SECONDS is '{seconds}'" in sentence and "such as 20, or 0" in sentence


@pytest.mark.parametrize(("tokens", "limit"), [("0", 0), ("250000", 250_000), ("", 0)])
def test_a_day_has_a_number_of_tokens(tokens: str, limit: int) -> None:
    assert load_settings({"CHATBOT_DAILY_TOKENS": tokens}).daily_tokens == limit


@pytest.mark.parametrize("tokens", ["-1", "1.5", "100,000", "1e6", "many", "9" * 13])
def test_another_limit_of_tokens_is_refused_with_an_example(tokens: str) -> None:
    with pytest.raises(SettingsError, match="daily_tokens") as caught:
        load_settings({"CHATBOT_DAILY_TOKENS": tokens})
    sentence = wording.error(caught.value)
    assert f"CHATBOT_DAILY_TOKENS is '{tokens}'" in sentence and "such as 100000, or 0" in sentence


ARN = "arn:aws:bedrock:eu-central-1:0123456789:guardrail/a1b2"


@pytest.mark.parametrize(
    ("id_", "version", "guardrail"),
    [
        ("", "1", None),
        ("a1b2", "", Guardrail("a1b2", "DRAFT")),
        ("a1b2", "12", Guardrail("a1b2", "12")),
        (ARN, "DRAFT", Guardrail(ARN, "DRAFT")),
    ],
)
def test_a_guardrail_has_an_id_and_a_version(
    id_: str, version: str, guardrail: Guardrail | None
) -> None:
    given = {"CHATBOT_GUARDRAIL_ID": id_, "CHATBOT_GUARDRAIL_VERSION": version}
    assert load_settings(given).guardrail == guardrail


@pytest.mark.parametrize(
    ("id_", "version", "sentence"),
    [
        ("My guardrail", "1", "CHATBOT_GUARDRAIL_ID is 'My guardrail'; it must be"),
        ("a1b2", "latest", "CHATBOT_GUARDRAIL_VERSION is 'latest'; it must be a number, or DRAFT"),
        ("a1b2", "0", "CHATBOT_GUARDRAIL_VERSION is '0'"),
    ],
)
def test_another_guardrail_is_refused(id_: str, version: str, sentence: str) -> None:
    given = {"CHATBOT_GUARDRAIL_ID": id_, "CHATBOT_GUARDRAIL_VERSION": version}
    with pytest.raises(SettingsError) as caught:
        load_settings(given)
    assert sentence in wording.error(caught.value)


def test_an_unknown_backend_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="backend") as caught:
        load_settings({"CHATBOT_BACKEND": "magic"})
    sentence = "CHATBOT_BACKEND is 'magic'; it must be bedrock or demo."
    assert wording.error(caught.value) == sentence


def test_the_models_that_ship_are_valid() -> None:
    for model in load_models().values():
        assert model.name and model.id
        assert model.context_window > model.inference["maxTokens"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a", "can't be read"),
        ("", "offers no model"),
        ("a = 1", "'a' is outside of a table"),
        ("[a]\nname = 'A'", "needs name, id and context_window"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 'big'", "wrong type"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\ninput_price = -1", "wrong type"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\noutput_price = nan", "wrong type"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\nfallback = 'b'", "name of another table"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\nfallback = 'a'", "name of another table"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\nguardrail = 'no'", "wrong type"),
        ("[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\ncolour = 'red'", "needs name, id"),
        (
            "[a]\nname = 'A'\nid = 'a'\ncontext_window = 9\nfiles = {kinds = ['exe']}",
            "files in [a] can't",
        ),
    ],
)
def test_a_wrong_models_file_is_explained(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_models(file)
    assert sentence in wording.error(caught.value)


def test_bytes_that_are_no_text_do_not_break_the_page() -> None:
    """Python keeps them as halves of surrogate pairs."""
    names = ("CHATBOT_TITLE", "CHATBOT_HOSTNAME", "CHATBOT_SYSTEM_PROMPT")
    settings = load_settings(dict.fromkeys(names, "A\udcff"))
    assert {settings.title, settings.hostname, settings.system_prompt} == {"A\ufffd"}


PROVIDER = {
    "CHATBOT_ADDRESS": "https://Chat.example.com/",
    "CHATBOT_SIGN_IN_METADATA_URL": "https://id.example.com/.well-known/openid-configuration",
    "CHATBOT_SIGN_IN_CLIENT_ID": "chatbot",
    "CHATBOT_SIGN_IN_CLIENT_SECRET": "very secret",
}


def test_people_sign_in_where_a_provider_is_named() -> None:
    sign_in = load_settings(PROVIDER).sign_in
    assert sign_in and sign_in.address == "https://chat.example.com"
    assert (sign_in.hours, sign_in.groups, sign_in.admin_groups) == (12, frozenset(), frozenset())
    groups = {"CHATBOT_SIGN_IN_GROUPS": " staff  managers ", "CHATBOT_ADMIN_GROUPS": "it"}
    chosen = load_settings(PROVIDER | groups | {"CHATBOT_SIGN_IN_HOURS": "1"}).sign_in
    assert chosen and chosen.groups == {"staff", "managers"}
    assert chosen.hours == 1 and chosen.admin_groups == {"it"}
    assert "very secret" not in repr(sign_in)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://chat.example.com:443", "https://chat.example.com"),
        ("http://localhost:80/", "http://localhost"),
        ("https://chat.example.com:8443", "https://chat.example.com:8443"),
        ("http://localhost:443", "http://localhost:443"),
    ],
)
def test_the_address_is_as_browsers_have_it(given: str, address: str) -> None:
    sign_in = load_settings(PROVIDER | {"CHATBOT_ADDRESS": given}).sign_in
    assert sign_in and sign_in.address == address


def test_nobody_signs_in_where_none_is_named() -> None:
    assert load_settings({"CHATBOT_ADDRESS": PROVIDER["CHATBOT_ADDRESS"]}).sign_in is None


@pytest.mark.parametrize("missing", list(PROVIDER))
def test_half_of_a_sign_in_is_a_mistake(missing: str) -> None:
    for value in ("", "  "):
        with pytest.raises(SettingsError) as caught:
            load_settings(PROVIDER | {missing: value})
        assert f"set {missing} as well" in wording.error(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHATBOT_ADDRESS", "chat.example.com"),
        ("CHATBOT_ADDRESS", "https://chat.example.com/path"),
        ("CHATBOT_ADDRESS", "https://user@chat.example.com"),
        ("CHATBOT_SIGN_IN_METADATA_URL", "id.example.com"),
        ("CHATBOT_SIGN_IN_METADATA_URL", "http://id.example.com/metadata"),
        ("CHATBOT_SIGN_IN_METADATA_URL", "http://localhost.example.com/metadata"),
        ("CHATBOT_SIGN_IN_HOURS", "0"),
        ("CHATBOT_SIGN_IN_HOURS", "1.5"),
        ("CHATBOT_SIGN_IN_HOURS", "1000"),
    ],
)
def test_a_sign_in_that_can_not_work_is_a_mistake(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(PROVIDER | {name: value})
    assert name in wording.error(caught.value) and value in wording.error(caught.value)


def test_a_sign_in_does_not_outlive_what_is_kept_of_it() -> None:
    hours = {"CHATBOT_SIGN_IN_HOURS": "25"}
    with pytest.raises(SettingsError):
        load_settings(PROVIDER | hours | {"CHATBOT_RETENTION_DAYS": "1"})
    for days in ("2", "0"):
        assert load_settings(PROVIDER | hours | {"CHATBOT_RETENTION_DAYS": days}).sign_in
