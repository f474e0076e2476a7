"""Files of a message on the page: images as thumbnails, documents as links to download them."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

import streamlit as st

from chatbot.file_kinds import ADDRESS, File, size_of

STYLE = """
.chat-files { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 8px; }
.chat-files a {
  display: flex; align-items: center; gap: 8px; max-width: 100%; padding: 6px 10px;
  color: inherit; text-decoration: none; border: 1px solid rgb(128 128 128 / 35%);
  border-radius: 8px; font-size: 14px;
}
.chat-files a:is(:hover, :focus-visible) { border-color: currentColor; }
.chat-files a:has(img) { padding: 0; overflow: hidden; }
.chat-files img {
  display: block; height: 120px; max-width: 100%; min-width: 60px; object-fit: cover;
}
.chat-files b {
  font-weight: 400; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  unicode-bidi: isolate;
}
.chat-files small { flex: none; opacity: 0.75; font-size: 12px; }
"""


def draw_files(files: Sequence[File]) -> None:
    """Draw the files of a message, in one element whether there are any or not."""
    if files:
        st.html(f'<div class="chat-files">{"".join(map(_link, files))}</div>')
    else:
        st.empty()


def _link(file: File) -> str:
    address = escape(f"./{ADDRESS}/{file.hash}/{quote(file.name, safe='')}")
    name, about = escape(file.name), f"{file.kind.upper()} · {size_of(file.size)}"
    if file.is_image:
        shown = f'<img src="{address}" alt="{name}" loading="lazy">'
    else:
        shown = f"<b>{name}</b><small>{about}</small>"
    return f'<a href="{address}" download="{name}" title="{name} ({about})">{shown}</a>'


def most_megabytes() -> int:
    """Return how large a file may be that is uploaded: .streamlit/config.toml says so."""
    return int(st.get_option("server.maxUploadSize"))


def draw_names(files: Sequence[tuple[str, int]]) -> None:
    """Draw the names and sizes of files that are not saved yet, in one element.

    files: the name and the bytes of each.
    """
    if files:
        shown = (
            f"<a><b>{escape(name)}</b><small>{size_of(size)}</small></a>" for name, size in files
        )
        st.html(f'<div class="chat-files">{"".join(shown)}</div>')
    else:
        st.empty()
