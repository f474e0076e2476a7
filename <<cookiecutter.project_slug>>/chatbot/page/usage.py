"""Usage: what a person has used, and, for administrators, what everybody has."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from chatbot import usage
from chatbot.answers import Assistant
from chatbot.languages import number, say, say_count
from chatbot.markdown import as_text
from chatbot.page import wording
from chatbot.page.state import Tab
from chatbot.page.waiting import run_interruptibly, run_next
from chatbot.records import Owner
from chatbot.storage import StorageError
from chatbot.usage import Total

DAYS = 7  # that are shown, today included
ROWS = 100  # of everybody's usage, at most


def draw_usage(tab: Tab, assistant: Assistant) -> None:
    """Draw what the person has used, where it is limited or the person has signed in."""
    if not (tab.person or assistant.daily_tokens):
        return
    with st.expander(say("My usage")):
        try:
            run_interruptibly(tab.session.usage.refresh)
        except StorageError as error:
            st.caption(wording.error(error))
            return
        used = tab.session.usage
        st.caption(wording.used_today(used.tokens(usage.today()), assistant.daily_tokens))
        since = usage.days_ago(DAYS - 1)
        totals = sorted(used.totals.copy().items(), reverse=True)
        _draw_table(
            (say("Day"), say("Model"), say("Tokens")),
            (
                (
                    (
                        day,
                        assistant.name_of(model),
                        wording.tokens(total.tokens, total.cached),
                    ),
                    total,
                )
                for (day, model), total in totals
                if day >= since
            ),
        )


def draw_everyones_usage(tab: Tab, sessions_dir: Path, admin_groups: frozenset[str]) -> None:
    """Draw what everybody has used, for a person in one of these groups; nothing for others."""
    if not usage.is_administrator(tab.person, admin_groups):
        return
    with st.expander(say("Everybody's usage")):
        st.link_button(say("Download as CSV"), "/usage.csv", icon=":material/download:")
        st.button(
            say_count("Show the last day", "Show the last {count} days", DAYS),
            icon=":material/refresh:",
            on_click=run_next,
            args=(_read_everyones_usage, tab, sessions_dir),
        )
        if tab.everyones_usage is None:
            return
        totals: dict[tuple[str, str, Owner | None], Total] = defaultdict(Total)
        for row in tab.everyones_usage:
            totals[row.day, row.session, row.owner] += row.total
        shown = list(totals.items())[:ROWS]
        _draw_table(
            (say("Day"), say("Person"), say("Tokens")),
            (
                (
                    (
                        day,
                        _name_of_person(session, owner),
                        wording.tokens(total.tokens, total.cached),
                    ),
                    total,
                )
                for (day, session, owner), total in shown
            ),
        )
        if len(shown) < len(totals):
            st.caption(wording.more_rows(len(totals) - len(shown)))


def _read_everyones_usage(tab: Tab, sessions_dir: Path) -> None:
    tab.everyones_usage = usage.list_rows(sessions_dir, usage.days_ago(DAYS - 1))


def _name_of_person(session: str, owner: Owner | None) -> str:
    return (owner.name or owner.subject) if owner else session[:8]


def _draw_table(names: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Total]]) -> None:
    """Draw a table in Markdown: Streamlit's own needs pyarrow."""
    rows = list(rows)
    if not rows:
        return
    has_cost = any(total.cost for _, total in rows)
    lines = [(*names, say("US dollars")) if has_cost else names]
    lines.append(("---",) * len(lines[0]))
    for cells, total in rows:
        cost = (number(total.cost, 2) if total.cost else "?",) if has_cost else ()
        lines.append(tuple(map(as_text, (*cells, *cost))))
    st.markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
