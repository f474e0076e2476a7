"""Calls that wait for the storage, which a person may interrupt, and actions for the next run."""

import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, TypeVar, cast

from chatbot.page import wording
from chatbot.page.state import Action, current_tab
from chatbot.storage import StorageError
from chatbot.usage import LimitError

SLOW_AFTER = 2.0  # seconds until the page says that it waits for the storage

P = ParamSpec("P")
T = TypeVar("T")


def run_interruptibly(action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what waits for the storage, in a thread of its own; return or raise what it does.

    Meanwhile the page says so, and Streamlit can end this run, so that a message that a person
    sends while the storage does not answer is not lost. The action runs to its end in any case.
    """
    context = copy_context()  # the language of who reads what the action writes
    results: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def act() -> None:
        try:
            results.put((context.run(action, *args, **kwargs), None))
        except Exception as error:
            results.put((None, error))

    notice = current_tab().slow_notice
    thread = Thread(target=act, daemon=True)
    thread.start()
    begun = time.monotonic()
    while thread.is_alive():
        thread.join(0.1)
        if time.monotonic() - begun > SLOW_AFTER:
            notice.info(wording.slow_storage())
        elif thread.is_alive():
            notice.empty()  # does nothing, but lets Streamlit end this run
    result, error = results.get_nowait()
    if error:
        raise error
    notice.empty()
    return cast(T, result)


def run_next(action: Callable[..., object], *args: object, **new: str) -> None:
    """Have the next run do the action: unlike a callback, it can say that it waits.

    A second click does nothing while the same action waits, whatever `new` is.
    """
    pending = current_tab().pending
    if (action, args) not in [(each.call, each.arguments) for each in pending]:
        pending.append(Action(action, args, new))


def run_pending_actions() -> None:
    """Do what buttons asked for; if it fails, the page says so.

    If a click ends this run meanwhile, the next one does it again. Then this run's thread may
    still go on beside it.
    """
    tab = current_tab()
    for action in list(tab.pending):
        try:
            run_interruptibly(action.call, *action.arguments, **action.new)
        except StorageError as error:
            tab.storage_error = error
        except LimitError as error:
            tab.refused = error
        with suppress(ValueError):  # the other run has done it, too
            tab.pending.remove(action)
