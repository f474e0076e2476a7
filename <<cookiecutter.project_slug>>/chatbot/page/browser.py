"""Which session is this browser's: a key in a cookie and in its local storage.

The cookie comes with the first request, so the page is drawn at once. Local storage stays if the
cookies are cleared or blocked. A script in the page keeps the two alike. If only local storage has
the key, the script sets the cookie and reloads the page. If the browser takes no cookie, the script
says so in the address, and streamlit-local-storage asks for the key. If the browser keeps neither,
the script shows a sentence that says so.
"""

import sys
import time
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

import streamlit as st
from streamlit_local_storage import _st_local_storage as local_storage

from chatbot.identity import is_key, new_key
from chatbot.page import wording
from chatbot.page.state import Tab, current_tab

NAME = "chatbot_session"  # of the cookie and of the item in local storage
TIMEOUT = 3.0  # seconds to wait for a local storage that may not answer

# The component itself, not its class LocalStorage: the class blocks a thread of the server until
# the browser answers. Every task imports it, so that each can serve its files.

# `proven` says that the key came with a cookie; if it did not, a key in local storage wins. The
# item has the form that streamlit-local-storage gives it. A reload that did not help is not
# repeated: a proxy may have taken the cookie away.
_SCRIPT = """<p id="%(name)s_lost" role="status" hidden>%(lost)s</p><script>{
    const name = "%(name)s", key = "%(key)s", proven = %(proven)s;
    const attempt = (action) => { try { return action(); } catch { return null; } };
    const stored = attempt(() => JSON.parse(localStorage.getItem(name))[name]);
    const mine = proven || !/^k[0-9a-f]{32}$/.test(stored) ? key : stored;
    const secure = location.protocol === "https:" ? "; secure" : "";
    const cookie = `${name}=${mine}; path=/; max-age=34560000; samesite=lax${secure}`;
    attempt(() => { document.cookie = cookie; });
    attempt(() => localStorage.setItem(name, JSON.stringify({[name]: mine})));
    const inCookie = attempt(() => document.cookie.includes(mine));
    const inStorage = attempt(() => localStorage.getItem(name).includes(mine));
    document.getElementById(`${name}_lost`).hidden = inCookie || inStorage;
    const again = `${name}_again`;
    if (mine === key) {
        attempt(() => sessionStorage.removeItem(again));
    } else if (inCookie && !attempt(() => sessionStorage.getItem(again))) {
        attempt(() => sessionStorage.setItem(again, "1"));
        location.reload();
    } else {
        const address = new URL(location.href);
        address.searchParams.set("cookies", "blocked");
        location.replace(address);
    }
}</script>"""  # 400 days is the longest life that browsers grant to a cookie


def session_key(tab: Tab) -> str:
    """Return this browser's session key, which is new for a new browser.

    If cookies are blocked, this ends the script's run until the browser's local storage answers,
    which runs the script again.
    """
    if not tab.browser_key:
        cookie = st.context.cookies.get(NAME)
        if is_key(cookie):
            tab.browser_key = cookie
        elif st.query_params.get("cookies") == "blocked":
            tab.browser_key = _ask_local_storage(tab)
        else:
            tab.browser_key, tab.key_is_new = new_key(), True
    return tab.browser_key


def remember(key: str) -> None:
    """Set the cookie and the item in local storage; say so if the browser keeps neither."""
    proven = "true" if st.context.cookies.get(NAME) == key else "false"
    # A key has letters and digits only, so it can't break out of the script.
    values = {"name": NAME, "key": key, "proven": proven, "lost": wording.NOTHING_KEPT}
    script = _SCRIPT % values
    st.html(script, unsafe_allow_javascript=True)


def _ask_local_storage(tab: Tab) -> str:
    stored = _mount_local_storage()
    if isinstance(stored, dict):
        key = stored.get(NAME)
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
            return local_storage(method="getAll", key=f"{NAME}_stored", default=None)
        finally:
            if absent:
                del sys.modules["pyarrow"]


@st.fragment(run_every=TIMEOUT)
def _look_again() -> None:
    if time.monotonic() - current_tab().asked_browser > TIMEOUT:
        st.rerun()
