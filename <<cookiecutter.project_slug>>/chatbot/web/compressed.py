"""Compressed copies of Streamlit's own files, which it would send as they are.

`python compressed.py FOLDER` writes each copy beside its file, once: the image does so when it is
built. Elsewhere, a file is compressed when a browser first asks for it.
"""

import gzip
import sys
from pathlib import Path

SUFFIXES = (".css", ".js", ".json", ".svg", ".wasm")  # other files are compressed in themselves


def read(path: Path) -> bytes:
    """Return the file's content, compressed by gzip. Raises OSError."""
    copy = _copy_of(path)
    return copy.read_bytes() if copy.exists() else _compress(path, level=6)


def write_copies(folder: Path) -> int:
    """Write the copies of all files in the folder; return how many. Raises OSError."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    for path in paths:
        _copy_of(path).write_bytes(_compress(path, level=9))
    return len(paths)


def _copy_of(path: Path) -> Path:
    return path.with_name(path.name + ".gz")


def _compress(path: Path, level: int) -> bytes:
    return gzip.compress(path.read_bytes(), level, mtime=0)  # the same bytes in each build


if __name__ == "__main__":
    print(f"Compressed {write_copies(Path(sys.argv[1]))} files")
