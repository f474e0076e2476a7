"""The language that a person reads: the one that they chose, or what the browser prefers."""

from contextlib import suppress

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from chatbot import languages
from chatbot.languages import COOKIE, say
from chatbot.page.scripts import SPEAK
from chatbot.page.state import Tab, current_tab
from chatbot.page.waiting import run_interruptibly
from chatbot.storage import StorageError

_LANGUAGE = "language"  # the key of the select box, and of the value in the session
# What tells the browser takes no room. Where the script runs from right to left, so does
# the layout, but for code and formulas; a sidebar that is closed would stand in the middle, and its
# handle would pull the wrong way.
_STYLE = """
.stElementContainer:has(#chatbot-language) { position: absolute; }
[dir="rtl"] [data-testid="stSidebar"] { transform: none; overflow: clip; }
[dir="rtl"] [data-testid="stSidebar"] > div:not([data-testid]) { display: none; }
[dir="rtl"] :is([data-testid="stSidebarCollapseButton"], [data-testid="stExpandSidebarButton"]) {
  transform: scaleX(-1);
}
[dir="rtl"] :is(pre, code, .katex) { direction: ltr; unicode-bidi: isolate; text-align: left; }
[dir="rtl"] .stMarkdown li { margin-inline: 18.4px 0; padding-inline: 4.8px 0; }
[dir="rtl"] .stButton p { unicode-bidi: plaintext; }
[dir="rtl"] [data-testid="stSidebar"] h1 { text-align: right; }
#root .st-key-chats [class*="st-key-open-"] [data-testid="stMarkdownContainer"] {
  unicode-bidi: plaintext; text-align: start; /* a title that is cut begins as it should */
}
#root .st-key-chats [class*="st-key-open-"] p { unicode-bidi: normal; }
[dir="rtl"] .stTextInput div:has(> [data-testid="stTextInputIcon"]) { padding-inline: 8px 0; }
"""


def begin_run() -> None:
    """Say each sentence of this run in the language of the person."""
    languages.use(_find())


def read_choice(tab: Tab) -> None:
    """Read which language the person chose, on this device or another one.

    Begins the run anew if that is not the one in which the page is drawn so far.
    """
    if tab.language_read:
        return
    with suppress(StorageError):  # it is tried again in the next run
        chosen = run_interruptibly(tab.session.get, _LANGUAGE)
        tab.language_read = True
        if chosen in ["", *languages.languages()]:  # whatever type it has
            tab.language = tab.kept[_LANGUAGE] = st.session_state[_LANGUAGE] = chosen
        elif not tab.person:  # in a browser where people sign in, another one may have chosen
            tab.language = _chosen(tab) or None
    if _find() != languages.current().code:
        st.rerun()


def keep_choice(tab: Tab) -> None:
    """Keep the chosen language with the chats; nothing is kept for who has none."""
    is_known = tab.language_read and tab.language is not None
    if tab.chats and is_known and tab.kept.get(_LANGUAGE) != tab.language:
        with suppress(StorageError):  # it is tried again in the next run
            run_interruptibly(tab.session.set, _LANGUAGE, tab.language)
            tab.kept[_LANGUAGE] = tab.language


def draw_language(tab: Tab) -> None:
    """Draw the choice of the language."""
    names = {"": say("As the browser")}
    names |= {code: language.name for code, language in languages.languages().items()}
    if st.session_state.get(_LANGUAGE) not in names:
        st.session_state[_LANGUAGE] = _chosen(tab)
    st.selectbox(
        say("Language"),
        list(names),
        format_func=lambda code: names[code],
        key=_LANGUAGE,
        on_change=_language_changed,
    )


def tell_browser(tab: Tab) -> None:
    """Have the browser know in which language the page is, and which one was chosen.

    The choice goes into a cookie for what is said before the page's session is known.
    """
    language = languages.current()
    st.html(
        f'<style>{_STYLE}</style><span id="chatbot-language" lang="{language.code}"'
        f' dir="{language.direction}" data-chosen="{_chosen(tab)}"></span>'
        f"<script>{SPEAK}</script>",
        unsafe_allow_javascript=True,
    )


def _language_changed() -> None:
    tab = current_tab()
    tab.language, tab.language_read = st.session_state[_LANGUAGE], True  # the disk's is older


def _chosen(tab: Tab) -> str:
    """Return the code of the chosen language, "" if it is the browser's."""
    if tab.language is not None:
        return tab.language
    chosen = st.context.cookies.get(COOKIE, "")
    return chosen if chosen in languages.languages() else ""


def _find() -> str:
    """Return the code of the person's language; "" outside of a run of the page."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ""
    wishes = st.context.headers.get("Accept-Language") or st.context.locale
    return languages.wished(_chosen(current_tab()), wishes)


languages.find_with(_find)
