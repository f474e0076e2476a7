"""What is served: the page, and the middleware between it and the browsers.

`streamlit run server.py` finds `app` here; `python3 dev.py run` does that for you.
"""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from chatbot import service, sign_in
from chatbot.page import browser, replies, wording
from chatbot.page.scripts import SCRIPTS
from chatbot.page.theme import variables
from chatbot.page.uploads import count_held_bytes
from chatbot.settings import Settings, SettingsError, load_settings, makes_people_sign_in
from chatbot.web import gate
from chatbot.web.admission import Admission
from chatbot.web.downloads import Downloads
from chatbot.web.files import Files
from chatbot.web.gate import Gate
from chatbot.web.headers import SecurityHeaders
from chatbot.web.index import Index, inline_scripts
from chatbot.web.language import ReadersLanguage
from chatbot.web.leaving import Leaving
from chatbot.web.shutdown import BalancerHealth, Shutdown
from chatbot.web.static_files import StaticFiles
from chatbot.web.uploads import Uploads
from chatbot.web.usage_csv import UsageCsv

log = logging.getLogger(__name__)
shutdown = Shutdown()

STREAMLITS_FILES = Path(st.__file__).parent / "static"


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Start what all visitors share before the first one comes; release the answers at the end."""
    browser.serve_local_storage()
    replies.keep()
    try:
        shared = service.start()
    except SettingsError as error:  # the page says so, too
        log.error("%s", wording.cannot_start(error))
        yield
    else:
        async with shutdown.on_sigterm(shared.settings.drain_seconds, shared.assistant.close):
            yield
        shared.assistant.close()


def load_settings_or_defaults() -> Settings:
    """Return the settings; if one of them can't be used, the page says so, but it must come.

    Where people have to sign in, the server ends instead: a mistake must not open the page to all.
    """
    try:
        return load_settings()
    except SettingsError as error:
        if makes_people_sign_in():
            sys.exit(wording.cannot_start(error))
        return load_settings({})


def gates(settings: Settings) -> list[Middleware]:
    """Return what keeps those out who have not signed in."""
    if settings.sign_in is None:
        return []
    return [
        Middleware(
            Gate,
            settings=settings.sign_in,
            sessions=settings.sessions_dir,
            title=settings.title,
            colors=variables(),
        )
    ]


settings = load_settings_or_defaults()
app = st.App(
    "streamlit_app.py",
    lifespan=lifespan,
    secrets=sign_in.secrets(settings.sign_in) if settings.sign_in else None,
    middleware=[
        Middleware(Admission),
        Middleware(
            SecurityHeaders,
            scripts=[*inline_scripts(STREAMLITS_FILES), *SCRIPTS, gate.SCRIPT],
            frame_ancestors=settings.frame_ancestors,
        ),
        # Streamlit's own files are no secret, and CloudFront asks for them without cookies.
        Middleware(StaticFiles, folder=STREAMLITS_FILES / "static"),
        Middleware(ReadersLanguage),
        *gates(settings),
        Middleware(
            UsageCsv,
            sessions=settings.sessions_dir,
            admin_groups=settings.sign_in.admin_groups if settings.sign_in else frozenset(),
        ),
        Middleware(Files, sessions=settings.sessions_dir),
        Middleware(Uploads, held=count_held_bytes),
        Middleware(
            Downloads, sessions=settings.sessions_dir, signs_in=settings.sign_in is not None
        ),
        Middleware(
            Index,
            static=STREAMLITS_FILES,
            sessions=settings.sessions_dir,
            title=settings.title,
            colors=variables(),
            is_framed=bool(settings.frame_ancestors),
        ),
        Middleware(Leaving),
        Middleware(BalancerHealth, shutdown),
    ],
)
