"""The list of chats, with what can be done to them."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo

import streamlit as st

from chatbot import search
from chatbot.export import JSON, MARKDOWN, path_of
from chatbot.identity import COOKIE
from chatbot.languages import say
from chatbot.markdown import as_text
from chatbot.page import dialogs, wording
from chatbot.page.clock import time_zone
from chatbot.page.dialogs import DELETE, DOWNLOAD, RENAME
from chatbot.page.scripts import DOWNLOAD_HERE
from chatbot.page.state import Tab, current_tab
from chatbot.page.waiting import run_interruptibly, run_next
from chatbot.sessions import UNDO_SECONDS, ConversationSummary, stamp_of
from chatbot.storage import StorageError

SEARCH = "search-chats"  # the key of the input
PIN, UNPIN = "pin", "unpin"

# A title and its menu stay on one line, however narrow the sidebar is. The menu's label, which
# names the chat, is for screen readers. The open chat is bold, and has a bar at its side.
_STYLE = f"""<style>
.st-key-chats .stHorizontalBlock {{ flex-wrap: nowrap; }}
.st-key-chats [class*="st-key-open-"] {{ flex: 1 1 0; min-width: 0; }}
.st-key-chats [class*="st-key-open-"] :is(button, button *) {{ justify-content: start; }}
.st-key-chats [class*="st-key-open-"] button :is(div, p) {{
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0;
}}
.st-key-chats [class*="st-key-open-"] button {{ padding-inline: 0.5rem; text-align: start; }}
.st-key-chats [class*="st-key-open-"] button[kind="secondary"] {{
  border-inline-start: 3px solid;
}}
.st-key-chats [class*="st-key-open-"] button[kind="secondary"] p {{ font-weight: 600; }}
.st-key-chats [class*="st-key-menu-"] button {{ min-width: 2rem; padding-inline: 0.25rem; }}
.st-key-chats [class*="st-key-menu-"] button [data-testid="stMarkdownContainer"] {{
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}}
.st-key-chats [class*="st-key-menu-"] button > div > [aria-hidden="true"]:last-child {{
  display: none; /* an arrow */
}}
.st-key-chats .stHorizontalBlock button {{ min-height: 2rem; padding-block: 0.125rem; }}
.st-key-chats [data-testid="stSkeleton"] {{ height: 2rem; }}
.st-key-chats [data-testid="stCaptionContainer"] {{ padding-inline: 0.5rem; }}
.stHorizontalBlock.st-key-removed {{ flex-wrap: nowrap; }}
.st-key-look-again, .stHtml:has(> #chats-drawn) {{ display: none; }}
.st-key-removed {{ animation: removed {UNDO_SECONDS}s step-end forwards; }}
@keyframes removed {{ to {{ visibility: hidden; height: 0; min-height: 0; overflow: hidden; }} }}
</style>"""


def draw_new_chat(tab: Tab) -> None:
    """Draw the button that begins a new chat."""
    st.button(
        say("New chat"),
        key="new-chat",
        icon=":material/add:",
        width="stretch",
        on_click=tab.open_new_conversation,
    )


def draw_chats(tab: Tab) -> None:
    """Draw the list of chats, with a search above it and a menu beside each."""
    st.html(_STYLE)
    query = st.text_input(
        say("Search chats"),
        key=SEARCH,
        type="search",
        live=True,
        placeholder=say("Search chats"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    with st.empty():
        _draw_removed(tab)
    with st.container(key="chats", gap="xxsmall"):
        _draw_all(tab, _found(tab, query) if query.strip() else _listed(tab))


Draw = Callable[[], object]


def _draw_all(tab: Tab, elements: list[Draw]) -> None:
    """Draw the elements, and nothing in the places of those that were there before.

    A run lasts as long as an answer, and until it ends, what an earlier one has drawn stays.
    """
    for draw in elements:
        draw()
    for _ in range(tab.chats_drawn - len(elements)):
        st.empty()
    tab.chats_drawn = len(elements)


def _listed(tab: Tab) -> list[Draw]:
    pinned = [chat for chat in tab.chats if chat.pinned]
    others = [chat for chat in tab.chats if not chat.pinned]
    newest, older = others[: tab.chats_shown], others[tab.chats_shown :]
    shown = [*newest, *(chat for chat in older if chat.id == tab.conversation.id)]
    groups = [(say("Pinned"), pinned)] if pinned else []
    groups += group_by_age(shown, datetime.now(time_zone()))
    elements: list[Draw] = []
    for name, chats in groups:
        elements.append(lambda name=name: st.caption(as_text(name)))  # type: ignore[misc]
        elements += [lambda chat=chat: _draw_chat(tab, chat) for chat in chats]  # type: ignore[misc]
    return [*elements, *_more(tab, len(others) - len(shown))]


def _found(tab: Tab, query: str) -> list[Draw]:
    """Return the chats that a search finds, each with where it has the words."""
    try:
        ids = set(run_interruptibly(search.find, tab.session, tab.chats, query))
        found = [chat for chat in tab.chats if chat.id in ids]
        shown = found[: tab.chats_shown]
        matches = run_interruptibly(
            lambda: [search.show_match(tab.session, chat, query) for chat in shown]
        )
    except StorageError as error:
        sentence = wording.error(error)
        return [lambda: st.caption(as_text(sentence))]
    if not found:
        return [lambda: st.caption(as_text(wording.nothing_found(query.strip())))]
    elements: list[Draw] = [lambda: st.caption(wording.found(len(found)))]
    for match in matches:
        elements.append(lambda match=match: _draw_match(tab, match))  # type: ignore[misc]
    return [*elements, *_more(tab, len(found) - len(shown))]


def _draw_match(tab: Tab, match: search.Match) -> None:
    with st.container(gap=None):
        _draw_chat(tab, match.chat)
        if match.word.strip():
            texts = (match.before, match.word, match.after)
            before, word, after = (f"{_blank(text)}{as_text(text)}" for text in texts)
            st.caption(f"{before}{_blank(match.before[-1:])}**{word.strip()}**{after}")


def _blank(text: str) -> str:
    """Return the blank that a text begins with, which Markdown's escapes would lose."""
    return " " if text[:1].isspace() else ""


def _more(tab: Tab, hidden: int) -> list[Draw]:
    if hidden <= 0:
        return []
    label = say("Show more ({count})", count=hidden)
    return [
        lambda: st.button(label, key="more-chats", type="tertiary", on_click=tab.show_more_chats)
    ]


def group_by_age(
    chats: Iterable[ConversationSummary], now: datetime
) -> list[tuple[str, list[ConversationSummary]]]:
    """Return the chats by the age of their last messages, each group with its name.

    now: with the time zone of who looks, whose days count.
    """
    groups: dict[str, list[ConversationSummary]] = {}
    for chat in chats:
        groups.setdefault(_age(chat.written, now, now.tzinfo), []).append(chat)
    return list(groups.items())


def _age(written: int, now: datetime, zone: tzinfo | None) -> str:
    try:
        day = datetime.fromtimestamp(written / 1e9, zone).date()
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return wording.month(1970, 1)
    days = (now.date() - day).days
    if days < 2:
        return say("Yesterday") if days == 1 else say("Today")
    if days < 30:
        return say("Last 7 days") if days < 7 else say("Last 30 days")
    return wording.month(day.year, day.month)


def _draw_chat(tab: Tab, chat: ConversationSummary) -> None:
    title = chat.title or wording.untitled(chat.id)
    row = st.container(horizontal=True, gap="xxsmall", vertical_alignment="center")
    row.button(
        as_text(title),
        key=f"open-{chat.id}",
        type="secondary" if chat.id == tab.conversation.id else "tertiary",
        width="stretch",
        on_click=tab.open_conversation,
        args=(chat.id,),
    )
    labels = {
        RENAME: f":material/edit: {say('Rename')}",
        UNPIN if chat.pinned else PIN: (
            f":material/keep_off: {say('Unpin')}"
            if chat.pinned
            else f":material/keep: {say('Pin')}"
        ),
        MARKDOWN: f":material/download: {say('Download Markdown')}",
        JSON: f":material/data_object: {say('Download JSON')}",
        DELETE: f":material/delete: {say('Delete')}",
    }
    row.menu_button(
        as_text(wording.actions_of(title)),
        list(labels),
        format_func=labels.__getitem__,
        key=f"menu-{chat.id}",
        icon=":material/more_horiz:",
        type="tertiary",
        on_click=_act,
        args=(chat.id,),
    )


def _act(chat_id: str) -> None:
    """Do what was chosen in a chat's menu."""
    tab, action = current_tab(), st.session_state.get(f"menu-{chat_id}")
    if action in (RENAME, DELETE):
        tab.ask(action, chat_id)
    elif action in (PIN, UNPIN):
        run_next(tab.session.pin_conversation, chat_id, action == PIN)
    elif action in (MARKDOWN, JSON):
        if tab.person or st.context.cookies.get(COOKIE) == tab.browser_key:
            tab.download = (chat_id, action, tab.download[2] + 1)
        else:  # an address would lead nowhere
            tab.ask(DOWNLOAD, chat_id)


def _draw_removed(tab: Tab) -> None:
    """Say that a chat was deleted, with a button that brings it back while that is possible."""
    if tab.too_late:
        st.caption(wording.too_late())
        tab.too_late = False
    elif tab.removed and time.monotonic() < tab.removed.until:
        with st.container(key="removed", horizontal=True, vertical_alignment="center"):
            st.caption(as_text(wording.deleted_chat(tab.removed.title)))
            st.button(
                say("Undo"),
                key="undo",
                icon=":material/undo:",
                on_click=dialogs.bring_back,
                args=(tab,),
            )


def draw_missing(tab: Tab) -> None:
    """Say that the address leads to no chat."""
    if tab.missing:
        st.warning(wording.chat_is_missing(), icon=":material/search_off:")


def draw_download(tab: Tab) -> None:
    """Have the browser get the file that was asked for, once."""
    chat_id, ending, number = tab.download
    if chat_id:
        st.html(
            f"""<a id="download-{number}" class="download" href="{path_of(chat_id, ending)}"></a>
            <script>{DOWNLOAD_HERE}</script>""",
            unsafe_allow_javascript=True,
        )
        tab.download = ("", "", number)


def draw_stamp(tab: Tab) -> None:
    """Tell the page's script what is drawn; it has the page look again when there is more.

    web/scripts/news.js asks for the stamp of what there is, and clicks the button.
    """
    if tab.storage_error:
        return
    stamp = f"{stamp_of(tab.chats)}-{tab.conversation.size}"
    st.html(f'<span id="chats-drawn" data-stamp="{stamp}"></span>')
    st.button(say("Look again"), key="look-again")
