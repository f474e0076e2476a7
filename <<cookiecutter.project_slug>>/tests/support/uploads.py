"""Files that people attach, made as small as they can be."""

import io
import struct
import zipfile
import zlib

PDF = b"%PDF-1.7\n" + b"a page\n" * 20


def png(width: int = 3, height: int = 2) -> bytes:
    """Return a red image; of a large one, only the header, as in an image bomb."""
    row = b"\0" + b"\xc8\x3c\x3c" * min(width, 2_000)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(row * min(height, 2_000))), (b"IEND", b"")
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def office(folder: str) -> bytes:
    """Return the beginning of an office file, whose parts are in this folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(f"{folder}/main.xml", "<x/>")
    return file.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x00\x02\x00\x03\x01\x01\x11\x00\xff\xd9"
)
GIF = b"GIF89a\x03\x00\x02\x00\x00\x00\x00;"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x02\x40\x00\x00\x07\x10\x11\x11\x88\x88"

# A good file of each kind, by its name.
GOOD = {
    "a.png": png(),
    "a.jpg": JPEG,
    "a.jpeg": JPEG,
    "a.gif": GIF,
    "a.webp": WEBP,
    "a.pdf": PDF,
    "a.csv": b"a;b\n1;2 \x80\n",  # as Excel saves it
    "a.doc": OLE,
    "a.docx": office("word"),
    "a.xls": OLE,
    "a.xlsx": office("xl"),
    "a.html": b"<p>Hello</p>",
    "a.HTM": b"<p>Hello</p>",
    "a.txt": "Grüße".encode("utf-16"),
    "a.md": b"# Hello",
}
