"""What is served: the page, and the middleware between it and the browsers.

`streamlit run server.py` finds `app` here; `python3 dev.py run` does that for you.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from chatbot import service
from chatbot.page import wording
from chatbot.page.scripts import SCRIPTS
from chatbot.page.theme import colors
from chatbot.settings import Settings, SettingsError, load_settings
from chatbot.web.admission import Admission
from chatbot.web.headers import SecurityHeaders
from chatbot.web.index import Index, inline_scripts
from chatbot.web.shutdown import BalancerHealth, Shutdown
from chatbot.web.static_files import StaticFiles

log = logging.getLogger(__name__)
shutdown = Shutdown()

STREAMLITS_FILES = Path(st.__file__).parent / "static"


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Start what all visitors share before the first one comes; release the answers at the end."""
    try:
        shared = service.start()
    except SettingsError as error:  # the page says so, too
        log.error("The chatbot can't start. %s", wording.error(error))
        yield
    else:
        async with shutdown.on_sigterm(shared.settings.drain_seconds, shared.assistant.close):
            yield
        shared.assistant.close()


def load_settings_or_defaults() -> Settings:
    """Return the settings; if one of them can't be used, the page says so, but it must come."""
    try:
        return load_settings()
    except SettingsError:
        return load_settings({})


settings = load_settings_or_defaults()
app = st.App(
    "streamlit_app.py",
    lifespan=lifespan,
    middleware=[
        Middleware(Admission),
        Middleware(
            SecurityHeaders,
            scripts=[*inline_scripts(STREAMLITS_FILES), *SCRIPTS],
            frame_ancestors=settings.frame_ancestors,
        ),
        Middleware(StaticFiles, folder=STREAMLITS_FILES / "static"),
        Middleware(
            Index,
            static=STREAMLITS_FILES,
            sessions=settings.sessions_dir,
            title=settings.title,
            colors=colors(),
            is_framed=bool(settings.frame_ancestors),
        ),
        Middleware(BalancerHealth, shutdown),
    ],
)
