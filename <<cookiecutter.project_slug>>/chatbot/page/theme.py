"""The theme in .streamlit/config.toml, for what a browser shows before Streamlit has loaded."""

import base64
from pathlib import Path

import streamlit as st

from chatbot.settings import ROOT

COLORS = {
    "text": "textColor",
    "background": "backgroundColor",
    "card": "secondaryBackgroundColor",
    "code": "codeBackgroundColor",
    "code-text": "codeTextColor",
    "line": "borderColor",
    "side": "sidebar.backgroundColor",
}
# Streamlit's own, for what the file leaves out.
DEFAULTS = {
    "light": {"text": "#2f2d2b", "background": "#ffffff", "card": "#f8f8f7", "line": "#dddcd8"},
    "dark": {"text": "#edebe8", "background": "#171614", "card": "#2d2b27", "line": "#43413c"},
}
# What a color is if neither the file nor Streamlit gives it a value of its own.
INSTEAD = {"code": "card", "code-text": "text", "side": "card"}
FONTS = {
    "sans-serif": '"Source Sans", sans-serif',
    "serif": '"Source Serif", serif',
    "monospace": '"Source Code Pro", monospace',
}
HEADINGS = ("2.75rem", "2.25rem", "1.75rem", "1.5rem", "1.25rem", "1rem")  # Streamlit's own
LOGO = ROOT / ".streamlit"


def variables() -> dict[str, dict[str, str]]:
    """Return the values of CSS variables by their names, for "light" and for "dark".

    There are colors, by the names in COLORS, the fonts "font" and "code-font", and "h1" to "h6",
    the sizes of headings.
    """
    alike = {
        "font": _font(st.get_option("theme.font") or "sans-serif"),
        "code-font": _font(st.get_option("theme.codeFont") or "monospace"),
        **{f"h{number}": size for number, size in enumerate(_heading_sizes(), 1)},
    }
    return {
        scheme: _colors_of(st.get_option("theme.base") or scheme) | alike for scheme in DEFAULTS
    }


def logo() -> str:
    """Return the logo as the address of an image that holds it, or "" if there is none."""
    for name, kind in (("logo.svg", "svg+xml"), ("logo.png", "png")):
        file = LOGO / name
        if file.is_file():
            return _image(file, kind)
    return ""


def _image(file: Path, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _colors_of(scheme: str) -> dict[str, str]:
    colors = {
        name: st.get_option(f"theme.{scheme}.{option}")
        or st.get_option(f"theme.{option}")
        or DEFAULTS[scheme].get(name, "")
        for name, option in COLORS.items()
    }
    return {name: color or colors[INSTEAD[name]] for name, color in colors.items()}


def _font(names: str) -> str:
    """Return the font as CSS has it; a family that is loaded from an address keeps its name."""
    each = [name.strip() for name in names.split(",")]
    return ", ".join(FONTS.get(name, name.partition(":")[0]) for name in each)


def _heading_sizes() -> list[str]:
    sizes = st.get_option("theme.headingFontSizes") or []
    if isinstance(sizes, str):
        sizes = [sizes] * len(HEADINGS)
    return [*sizes, *HEADINGS[len(sizes) :]]
