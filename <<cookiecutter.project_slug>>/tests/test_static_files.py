"""Streamlit's own files: compressed once, kept by browsers and caches, and never another thing."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.web import Site, served, streamlit

from chatbot.settings import ROOT
from chatbot.web.static_files import StaticFiles

SCRIPT = b"export const answer = 42;\n" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "js/index.Ab3.js": SCRIPT,
        "css/index.Cd4.css": b"p { color: red }",
        "media/font.Ef5.woff2": b"a font",
        "secret.txt": b"not to be served",
    }.items():
        (tmp_path / "static" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "static" / name).write_bytes(content)
    (tmp_path / "outside.js").write_text("outside")
    return tmp_path / "static"


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    with served(StaticFiles(streamlit, folder)) as site:
        yield site


def test_a_file_comes_compressed_and_is_kept_for_good(site: Site) -> None:
    answer = site.get("/static/js/index.Ab3.js", Accept_Encoding="gzip, deflate, br")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == SCRIPT and len(answer.body) < len(SCRIPT) / 10
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"].lower() == "accept-encoding"
    again = site.get("/static/js/index.Ab3.js", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_a_client_that_does_not_decompress_gets_the_file_as_it_is(site: Site) -> None:
    answer = site.get("/static/js/index.Ab3.js", Accept_Encoding="identity")
    assert answer.body == SCRIPT and "content-encoding" not in answer.headers


def test_a_font_is_not_compressed_again(site: Site) -> None:
    answer = site.get("/static/media/font.Ef5.woff2", Accept_Encoding="gzip")
    assert answer.body == b"a font" and "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "font/woff2"


def test_only_the_size_is_told_if_only_that_is_asked(site: Site) -> None:
    answer = site.get("/static/css/index.Cd4.css", "HEAD", Accept_Encoding="identity")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "16")


@pytest.mark.parametrize(
    "path",
    [
        "/static/js/index.Gone.js",
        "/static/secret.txt",
        "/static/../outside.js",
        "/static/%2e%2e/outside.js",
        "/static//js/index.Ab3.js",
        "/static/",
        "/static/js",
    ],
)
def test_what_is_not_there_is_not_the_page_and_not_kept(site: Site, path: str) -> None:
    answer = site.get(path)
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["cache-control"] == "no-store"


def test_other_addresses_are_streamlits(site: Site) -> None:
    assert site.get("/favicon.png").body == b"Streamlit's answer"


def test_the_copies_that_the_image_makes_are_sent(folder: Path) -> None:
    program = ROOT / "chatbot" / "web" / "compressed.py"
    subprocess.run([sys.executable, "-I", program, folder], check=True)  # without the project
    copy = folder / "js" / "index.Ab3.js.gz"
    assert gzip.decompress(copy.read_bytes()) == SCRIPT
    assert not (folder / "media" / "font.Ef5.woff2.gz").exists()
    assert copy.read_bytes()[4:8] == bytes(4)  # no time, so an image's layer stays the same
    copy.write_bytes(gzip.compress(b"the copy"))
    with served(StaticFiles(streamlit, folder)) as site:
        answer = site.get("/static/js/index.Ab3.js", Accept_Encoding="gzip")
    assert gzip.decompress(answer.body) == b"the copy"
