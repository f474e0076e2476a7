"""The theme's colors, for what a browser shows before Streamlit has loaded."""

import streamlit as st

OPTIONS = {
    "text": "textColor",
    "background": "backgroundColor",
    "card": "secondaryBackgroundColor",
}
# Streamlit's own, which .streamlit/config.toml may replace.
DEFAULTS = {
    "light": {"text": "#2f2d2b", "background": "#ffffff", "card": "rgb(240 242 246 / 50%)"},
    "dark": {"text": "#edebe8", "background": "#171614", "card": "rgb(38 39 48 / 50%)"},
}


def colors() -> dict[str, dict[str, str]]:
    """Return the colors in CSS, by the names in OPTIONS, for "light" and for "dark"."""
    return {scheme: _colors_of(st.get_option("theme.base") or scheme) for scheme in DEFAULTS}


def _colors_of(scheme: str) -> dict[str, str]:
    return {
        name: st.get_option(f"theme.{scheme}.{option}")
        or st.get_option(f"theme.{option}")
        or DEFAULTS[scheme][name]
        for name, option in OPTIONS.items()
    }
