"""Which session is this browser's: the key in its cookie, or else in its local storage.

The server sends the page with a cookie, and the page's script (web/scripts/key.js) keeps the cookie
and local storage alike, so the key comes with the first request. If the browser takes no cookie,
the script says so in the address, and streamlit-local-storage asks for the key.
"""

import logging
import sys
import time
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner_utils import script_run_context

from chatbot.identity import COOKIE, is_key, new_key
from chatbot.page.state import Tab, current_tab

TIMEOUT = 10.0  # seconds to wait for a local storage that may not answer; a phone may be slow


def _load_local_storage() -> Any:
    """Return the component itself, not its class, which blocks a thread until the browser answers.

    A component belongs to a page, so Streamlit warns when a server imports one at its start.
    """
    warnings = logging.getLogger(script_run_context.__name__)
    warnings.disabled = True
    try:
        from streamlit_local_storage import _st_local_storage
    finally:
        warnings.disabled = False
    return _st_local_storage


local_storage = _load_local_storage()


def serve_local_storage() -> None:
    """Have this task serve the component's files from its start on.

    Streamlit does so only once a page has run here. But a balancer may send the browser here for
    the files of a page that runs on another task.
    """
    get_instance().component_registry.register_component(local_storage)


def session_key(tab: Tab) -> str:
    """Return this browser's session key, which is new for a new browser.

    If cookies are blocked, this ends the script's run until the browser's local storage answers,
    which runs the script again.
    """
    if not tab.browser_key:
        cookie = st.context.cookies.get(COOKIE)
        if is_key(cookie):
            tab.browser_key = cookie
        elif st.query_params.get("cookies") == "blocked":
            tab.browser_key = _ask_local_storage(tab)
        else:
            tab.browser_key = new_key()
    return tab.browser_key


def _ask_local_storage(tab: Tab) -> str:
    stored = _mount_local_storage()
    if isinstance(stored, dict):
        key = stored.get(COOKIE)
        return key if is_key(key) else new_key()
    tab.asked_browser = tab.asked_browser or time.monotonic()
    if time.monotonic() - tab.asked_browser < TIMEOUT:
        _look_again()
        st.stop()
    return new_key()  # works until this tab is closed


_mounting = Lock()


def _mount_local_storage() -> Any:
    """Return what the browser answered, or None until it has.

    Streamlit mounts no component without pyarrow, which only components with tables need. This one
    has none, so an empty module is enough if pyarrow is not installed.
    """
    with _mounting:
        absent = "pyarrow" not in sys.modules and find_spec("pyarrow") is None
        if absent:
            sys.modules["pyarrow"] = ModuleType("pyarrow")
        try:
            return local_storage(method="getAll", key=f"{COOKIE}_stored", default=None)
        finally:
            if absent:
                del sys.modules["pyarrow"]


@st.fragment(run_every=TIMEOUT)
def _look_again() -> None:
    if time.monotonic() - current_tab().asked_browser > TIMEOUT:
        st.rerun()
