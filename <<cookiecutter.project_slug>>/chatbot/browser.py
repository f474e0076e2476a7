"""Which session is this browser's: a key in a cookie and in its local storage.

The cookie comes with the first request, so the page is drawn at once. Local storage stays where
cookies are cleared or blocked. A script in the page keeps the two alike; where only local storage
knows the key, the script fetches the page again, with the cookie if the browser takes one. Where
it takes none, the address says so, and streamlit-local-storage asks for the key.
"""

import sys
import time
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

import streamlit as st
from streamlit_local_storage import _st_local_storage as local_storage

from chatbot.sessions import is_key, new_key

NAME = "chatbot_session"  # of the cookie and of the item in local storage
PATIENCE = 3.0  # seconds to wait for a local storage that may not answer

# The component itself, not its class LocalStorage: that one blocks a thread of the server until
# the browser answers. It is imported by all, so that each task can serve it to those who need it.

# `proven` is whether the key came with a cookie: else, one in local storage goes before it. The
# item has the form that streamlit-local-storage gives it. A reload that did not help is not tried
# again: a proxy may have taken the cookie away.
_SCRIPT = """<script>{
    const name = "%(name)s", key = "%(key)s", proven = %(proven)s;
    const attempt = (action) => { try { return action(); } catch { return null; } };
    const stored = attempt(() => JSON.parse(localStorage.getItem(name))[name]);
    const mine = proven || !/^k[0-9a-f]{32}$/.test(stored) ? key : stored;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `${name}=${mine}; path=/; max-age=34560000; samesite=lax${secure}`;
    attempt(() => localStorage.setItem(name, JSON.stringify({[name]: mine})));
    const again = `${name}_again`;
    if (mine === key) {
        attempt(() => sessionStorage.removeItem(again));
    } else if (document.cookie.includes(mine) && !attempt(() => sessionStorage.getItem(again))) {
        attempt(() => sessionStorage.setItem(again, "1"));
        location.reload();
    } else {
        const address = new URL(location.href);
        address.searchParams.set("cookies", "blocked");
        location.replace(address);
    }
}</script>"""  # 400 days is the longest life that browsers grant to a cookie


def session_key() -> str:
    """Return this browser's session key, which is new for a new browser.

    Where cookies are blocked, it ends the script's run until the browser's local storage answers,
    which runs the script again.
    """
    if NAME not in st.session_state:
        cookie = st.context.cookies.get(NAME)
        if is_key(cookie):
            key = cookie
        elif st.query_params.get("cookies") == "blocked":
            key = _ask_local_storage()
        else:
            key = new_key()
        st.session_state[NAME] = key
    return str(st.session_state[NAME])


def remember(key: str) -> None:
    """Keep the key in the browser. Draws nothing, but takes a place on the page."""
    proven = "true" if st.context.cookies.get(NAME) == key else "false"
    # A key has letters and digits only, so it can't break out of the script.
    script = _SCRIPT % {"name": NAME, "key": key, "proven": proven}
    st.html(script, unsafe_allow_javascript=True)


def _ask_local_storage() -> str:
    stored = _mount_local_storage()
    if isinstance(stored, dict):
        key = stored.get(NAME)
        return key if is_key(key) else new_key()
    since = st.session_state.setdefault(f"{NAME}_asked", time.monotonic())
    if time.monotonic() - since < PATIENCE:
        _look_again()
        st.stop()
    return new_key()  # works until this tab is closed


_mounting = Lock()


def _mount_local_storage() -> Any:
    """Return what the browser answered, or None as long as it has not.

    Streamlit mounts no component without pyarrow, which it needs for a component with a table. This
    one has none, so an empty module does where requirements.txt leaves pyarrow out.
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


@st.fragment(run_every=PATIENCE)
def _look_again() -> None:
    if time.monotonic() - st.session_state.get(f"{NAME}_asked", 0.0) > PATIENCE:
        st.rerun()
