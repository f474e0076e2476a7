"""Connections of a boto3 client that another thread can break off, whatever they wait for."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from chatbot.models import Cancellation

# Connections are made deep inside botocore, in the thread that sends the request.
_cancellation: ContextVar[Cancellation] = ContextVar("cancellation")


@contextmanager
def breakable_by(cancellation: Cancellation) -> Iterator[None]:
    """Let the cancellation break off the requests that this thread sends meanwhile.

    A request that is broken off raises an error of some kind, and is not sent again. Only the name
    look-up and the TCP handshake run to their own end, or to the connection timeout.
    """
    token = _cancellation.set(cancellation)
    try:
        yield
    finally:
        _cancellation.reset(token)


def make_breakable(client: Any) -> None:
    """Prepare a boto3 client, which has sent nothing yet, for `breakable_by`."""
    pools = client._endpoint.http_session._pool_classes_by_scheme
    pools.update({scheme: _breakable(pool) for scheme, pool in pools.items()})
    for event in ("before-send", "needs-retry"):
        client.meta.events.register_first(event, _refuse_if_cancelled)


def shut_down(response: Any) -> None:
    """Wake the thread that reads from a response of urllib3, whose reading then fails."""
    _try(response.shutdown)


def _refuse_if_cancelled(**_: object) -> None:
    cancellation = _cancellation.get(None)
    if cancellation and cancellation.cancelled:
        raise CancelledError


def _on_cancel(break_off: Callable[[], object]) -> None:
    cancellation = _cancellation.get(None)
    if cancellation:
        cancellation.on_cancel(partial(_try, break_off))


def _try(break_off: Callable[[], object]) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
        break_off()


def _breakable(pool: Any) -> Any:
    """Return the class of urllib3's connection pools, with connections that can be broken off.

    What breaks one off belongs to one request only: the connection may serve another one next.
    """

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        _line: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            self._line = connected.dup()  # TLS takes over the other one
            self._break_off_line()
            return connected

        def _break_off_line(self) -> None:
            if self._line:
                _on_cancel(partial(self._line.shutdown, socket.SHUT_RDWR))

        def request(self, *args: Any, **kwargs: Any) -> None:
            self._break_off_line()
            super().request(*args, **kwargs)

        def getresponse(self) -> Any:
            response = super().getresponse()
            _on_cancel(response.shutdown)
            return response

        def close(self) -> None:
            super().close()
            if self._line:
                self._line.close()

    class Pool(pool):  # type: ignore[misc]
        ConnectionCls = Connection

    return Pool
