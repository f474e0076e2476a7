"""Who signed in: what Streamlit needs for it, and what its cookie says afterwards.

Streamlit talks to the provider, with Authlib, and keeps what the provider said of a person in a
signed cookie, which every task can check. web/gate.py asks for it in front of everything.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.starlette.starlette_app_utils import (
    create_signed_value,
    decode_signed_value,
    generate_xsrf_token_string,
)
from streamlit.web.server.starlette.starlette_server_config import (
    USER_COOKIE_NAME,
    XSRF_COOKIE_NAME,
)

from chatbot.identity import Person
from chatbot.settings import SignIn
from chatbot.text import clean

LOGIN, CALLBACK, SIGN_OUT = "/auth/login", "/oauth2callback", "/auth/logout"  # Streamlit's own
COOKIE, XSRF_COOKIE = USER_COOKIE_NAME, XSRF_COOKIE_NAME
SEAL = "chatbot_sign_in_seal"  # a cookie that says which parts of COOKIE belong together
NAME_LENGTH = 200  # characters

# Claims that hold a person's name or groups; which of them there are depends on the provider.
_NAMES = ("email", "preferred_username", "name", "cognito:username")
_GROUPS = ("groups", "roles", "cognito:groups")


@dataclass(frozen=True)
class SignedIn:
    """A person who signed in.

    id: tells this sign-in from the person's other ones.
    """

    person: Person
    id: str


def cookie_secret() -> str:
    """Return what signs cookies: STREAMLIT_SERVER_COOKIE_SECRET, else this process's own."""
    return str(st.get_option("server.cookieSecret"))


def secrets(sign_in: SignIn) -> dict[str, Any]:
    """Return the secrets that Streamlit needs for st.login, st.user and st.logout."""
    from joserfc.jws import JWSRegistry  # it takes memory, which is saved elsewhere

    # A token must be signed, even by a provider that lists "none" among its algorithms.
    JWSRegistry.algorithms.pop("none", None)
    return {
        "auth": {
            "redirect_uri": f"{sign_in.address}{CALLBACK}",
            # Without it, Streamlit signs what the callback needs with a secret of the process.
            "cookie_secret": cookie_secret(),
            "client_id": sign_in.client_id,
            "client_secret": sign_in.client_secret,
            "server_metadata_url": sign_in.metadata_url,
            # Some providers, such as Cognito, know PKCE but don't say so.
            "client_kwargs": {"code_challenge_method": "S256"},
        }
    }


def login_address() -> str:
    """Return the address on this server that leads to the provider; it is good for two minutes."""
    return str(generate_login_redirect_url("default"))


def new_xsrf_token() -> str:
    """Return a value of XSRF_COOKIE, which the page needs to connect as a person.

    Streamlit gives it with files that this page does not ask for before it connects; without it,
    st.user knows nobody.
    """
    return str(generate_xsrf_token_string())


def read_cookie(cookies: Mapping[str, str], sign_in: SignIn) -> SignedIn | None:
    """Return who signed in, as the cookie says; None if nobody did, or too long ago."""
    told, seal = _read(cookies, sign_in), _content(cookies, SEAL, sign_in)
    has_parts = told != _content(cookies, COOKIE, sign_in)
    if has_parts and seal != _digest(told):  # parts of two sign-ins could name a third person
        return None
    try:
        claims = json.loads(told or b"null")
    except ValueError:
        return None
    if not isinstance(claims, dict) or not (claims.get("iss") and claims.get("sub")):
        return None
    return SignedIn(_person(claims), str(claims.get("nonce") or claims.get("iat")))


def new_seal(cookies: Mapping[str, str], sign_in: SignIn) -> str:
    """Return a value of SEAL for the cookies with which Streamlit completes a sign-in.

    Streamlit divides a long cookie into parts, and signs each of them alone.
    """
    value: bytes = create_signed_value(cookie_secret(), SEAL, _digest(_read(cookies, sign_in)))
    return value.decode()


def _read(cookies: Mapping[str, str], sign_in: SignIn) -> bytes | None:
    """Return what COOKIE says, put together from its parts if it has some."""
    told: bytes | None = get_cookie_with_chunks(
        lambda name: _content(cookies, name, sign_in), COOKIE
    )
    return told


def _content(cookies: Mapping[str, str], name: str, sign_in: SignIn) -> bytes | None:
    """Return what a signed cookie says; None if it is too old, or not ours."""
    value, days = cookies.get(name, ""), sign_in.hours / 24
    content: bytes | None = decode_signed_value(cookie_secret(), name, value, days)
    return content


def _digest(content: bytes | None) -> bytes:
    return hashlib.sha256(content or b"").hexdigest().encode()


def may_enter(person: Person, sign_in: SignIn) -> bool:
    """Return whether the person is in one of the groups that may use the chatbot."""
    return not sign_in.groups or not sign_in.groups.isdisjoint(person.groups)


def _person(claims: Mapping[str, Any]) -> Person:
    issuer, subject = clean(str(claims["iss"])), clean(str(claims["sub"]))
    name = next((claims[each] for each in _NAMES if claims.get(each)), subject)
    groups: set[str] = set()
    for each in _GROUPS:
        told = claims.get(each)
        told = told if isinstance(told, list) else [told]  # of one group, some send only its name
        groups |= {group for group in told if isinstance(group, str)}
    return Person(issuer, subject, clean(str(name))[:NAME_LENGTH], frozenset(groups))
