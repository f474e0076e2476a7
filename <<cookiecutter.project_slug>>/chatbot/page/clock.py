"""The time where the person is."""

from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def time_zone() -> tzinfo:
    """Return the browser's time zone, UTC if it is not known.

    The browser could claim any name. Where the machine doesn't know it, the offset has to do, which
    is wrong for a time beyond a change of the clocks.
    """
    try:
        if st.context.timezone:
            return ZoneInfo(st.context.timezone)
    except (KeyError, OSError, ValueError):
        pass
    minutes = st.context.timezone_offset
    if isinstance(minutes, int) and abs(minutes) < 24 * 60:
        return timezone(-timedelta(minutes=minutes))
    return UTC
