"""Which session is this browser's: a key in its local storage and in a cookie.

The cookie comes with the first request, so a page that has one is drawn at once. Local storage
answers half a second later, but stays where cookies are cleared or blocked. Either is enough,
and each visit writes both.
"""

import time

import streamlit as st
from streamlit_local_storage import _st_local_storage as local_storage

from chatbot.sessions import is_key, new_key

NAME = "chatbot_session"  # of the cookie and of the item in local storage
PATIENCE = 3.0  # seconds to wait for a browser that lets us use neither

# The component itself, not its class LocalStorage: that one blocks a thread of the server until
# the browser answers, which a browser without local storage never does.


def session_key() -> str:
    """Return this browser's session key, which is new for a new browser.

    Ends the script's run while the browser is asked for its local storage; its answer runs the
    script again.
    """
    if NAME not in st.session_state:
        cookie = st.context.cookies.get(NAME)
        st.session_state[NAME] = cookie if is_key(cookie) else _ask_local_storage()
    return str(st.session_state[NAME])


def remember(key: str) -> None:
    """Keep the key in the browser. Draws nothing, but takes a place on the page."""
    local_storage(method="setItem", itemKey=NAME, itemValue=key, key=f"{NAME}_set", default=0)
    _set_cookie(key)


def _set_cookie(key: str, condition: str = "true") -> None:
    """Write the cookie where the condition, in JavaScript, holds."""
    # The key is made of letters and digits, so it can't break out of the script. 400 days is the
    # longest life that browsers grant to a cookie.
    st.html(
        f"""<script>
        if ({condition})
            document.cookie = "{NAME}={key}; path=/; max-age=34560000; samesite=lax"
                + (location.protocol === "https:" ? "; secure" : "");
        </script>""",
        unsafe_allow_javascript=True,
    )


def _ask_local_storage() -> str:
    fresh = str(st.session_state.setdefault(f"{NAME}_new", new_key()))
    # A new browser has its cookie before it can say anything, so that nothing it says is orphaned
    # by a refresh in its first second.
    _set_cookie(fresh, f'!localStorage.getItem("{NAME}")')
    stored = local_storage(method="getAll", key=f"{NAME}_get", default=None)
    if isinstance(stored, dict):
        key = stored.get(NAME)
        return str(key) if is_key(key) else fresh
    since = st.session_state.setdefault(f"{NAME}_asked", time.monotonic())
    if time.monotonic() - since < PATIENCE:
        _look_again()
        st.stop()
    return fresh  # works until this tab is closed


@st.fragment(run_every=PATIENCE)
def _look_again() -> None:
    if time.monotonic() - st.session_state.get(f"{NAME}_asked", 0.0) > PATIENCE:
        st.rerun()
