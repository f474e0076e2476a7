"""The theme's file decides how the page looks before it has loaded, too."""

import base64
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from chatbot.page import theme


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What .streamlit/config.toml says, instead of what it does say."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(st, "get_option", options.get)
    return options


def test_without_a_theme_the_first_sight_looks_like_streamlit(options: dict[str, Any]) -> None:
    light, dark = theme.variables()["light"], theme.variables()["dark"]
    assert (light["background"], dark["background"]) == ("#ffffff", "#171614")
    assert light["code"] == light["side"] == light["card"]
    assert light["font"] == '"Source Sans", sans-serif'
    assert (light["h1"], light["h6"]) == ("2.75rem", "1rem")
    assert all(light.values()) and light.keys() == dark.keys()


def test_the_first_sight_follows_the_theme(options: dict[str, Any]) -> None:
    options |= {
        "theme.textColor": "#111111",
        "theme.dark.textColor": "#eeeeee",
        "theme.light.sidebar.backgroundColor": "#fafafa",
        "theme.font": "Inter:https://fonts.example.com/inter.css, serif",
        "theme.headingFontSizes": ["2rem"],
    }
    light, dark = theme.variables()["light"], theme.variables()["dark"]
    assert (light["text"], dark["text"], light["side"]) == ("#111111", "#eeeeee", "#fafafa")
    assert light["font"] == 'Inter, "Source Serif", serif'
    assert (light["h1"], light["h2"]) == ("2rem", "2.25rem")


def test_a_base_is_for_light_and_dark(options: dict[str, Any]) -> None:
    options["theme.base"] = "dark"
    assert theme.variables()["light"] == theme.variables()["dark"]


def test_a_logo_beside_the_theme_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(theme, "LOGO", tmp_path)
    assert theme.logo() == ""
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    told = base64.b64encode(b"\x89PNG").decode()
    assert theme.logo() == f"data:image/png;base64,{told}"
    (tmp_path / "logo.svg").write_text("<svg/>")
    assert theme.logo().startswith("data:image/svg+xml;base64,")
