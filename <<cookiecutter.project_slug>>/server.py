"""What is served: the page, and the middleware between it and the browsers.

`streamlit run server.py` finds `app` here; `python3 dev.py run` does that for you.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from chatbot import service
from chatbot.settings import SettingsError

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Start what all visitors share before the first one comes; release the answers at the end."""
    try:
        assistant = service.start().assistant
    except SettingsError as error:  # the page says what is wrong with them
        log.error("The chatbot can't start: %s", error)
        yield
    else:
        yield
        assistant.close()


app = st.App("streamlit_app.py", lifespan=lifespan)
