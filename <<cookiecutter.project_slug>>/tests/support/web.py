"""An ASGI application served on loopback, and requests to it as a browser sends them."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """An application that is served on a port of loopback."""

    port: int

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Send a request; an underscore in a header's name stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        cookies = response.headers.get_all("set-cookie") or []
        answer = Answer(response.status, received, response.read(), cookies)
        connection.close()
        return answer


@contextmanager
def served(app: ASGIApp) -> Iterator[Site]:
    """Serve the application until the block ends."""
    config = uvicorn.Config(
        app,
        port=0,
        log_level="warning",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,  # a test that fails may leave a request without its answer
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()  # so that the first request waits until the thread has started
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Site(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


# Stands for Streamlit, which answers whatever the middleware passes on.
streamlit = PlainTextResponse("Streamlit's answer")
