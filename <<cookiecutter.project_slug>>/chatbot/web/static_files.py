"""Streamlit's own files, sent compressed and from memory, and kept by the browser for good."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chatbot.web import compressed

PREFIX = "/static/"
TYPES = {  # with "nosniff", a browser insists on the right one
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
KEPT = "public, max-age=31536000, immutable"  # a name holds a hash of what is in the file


@dataclass(frozen=True)
class File:
    """A file as it is sent: its content, whether that is compressed, and what names it."""

    body: bytes
    is_compressed: bool
    etag: str


class StaticFiles:
    """Answers requests for the files in the folder, which is served as `/static/`."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._paths = {
            f"{PREFIX}{path.relative_to(folder).as_posix()}": path
            for path in folder.rglob("*")
            if path.suffix in TYPES
        }
        self._files: dict[Path, File] = {}  # all would be 10 MB; a visitor needs a tenth of them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        response = await self._respond(scope["path"], scope["method"], Headers(scope=scope))
        await response(scope, receive, send)

    async def _respond(self, address: str, method: str, asked: Headers) -> Response:
        path = self._paths.get(address)
        if path is None or method not in ("GET", "HEAD"):
            # Streamlit would send the page, which a cache might keep in a script's place.
            return Response(status_code=404, headers={"cache-control": "no-store"})
        if path not in self._files:
            self._files[path] = await asyncio.to_thread(_load, path)
        file = self._files[path]
        headers = {"cache-control": KEPT, "etag": file.etag, "vary": "accept-encoding"}
        if file.etag in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = file.body
        if file.is_compressed and "gzip" in asked.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        elif file.is_compressed:
            body = gzip.decompress(body)
        headers["content-type"] = TYPES[path.suffix]
        return Response(body, headers=headers)


def _load(path: Path) -> File:
    is_compressed = path.suffix in compressed.SUFFIXES
    body = compressed.read(path) if is_compressed else path.read_bytes()
    return File(body, is_compressed, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
