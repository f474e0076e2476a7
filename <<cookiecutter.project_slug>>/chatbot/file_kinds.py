"""Files that people attach: which kinds there are, what is kept of one, and what can't be taken."""

import io
import re
import struct
import threading
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakSet

from chatbot.errors import ChatbotError
from chatbot.languages import number
from chatbot.text import clean, is_blank

MEGABYTE = 1_000_000  # bytes; Bedrock's limits are in these, or in somewhat larger ones
NAME_LENGTH = 200  # characters that are kept of a name
PIXELS = 8_000  # of an image's width and height: Converse refuses more

# The kinds that Converse takes, with the media types under which they are downloaded.
IMAGES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCUMENTS = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
KINDS = IMAGES | DOCUMENTS
_TEXTS = ("csv", "html", "txt", "md")
_OTHER_ENDINGS = {"jpg": "jpeg", "htm": "html", "markdown": "md"}

# How many bytes of a document make a token. No model counts before it is asked, so these are rough:
# text is counted like that of a message. Anthropic's guide to PDFs says 1,500 to 3,000 tokens a
# page, beside its picture; at 50 kB a page that is a token for some 16 bytes. Office files are
# compressed text, and pictures.
_BYTES_PER_TOKEN = {"pdf": 16, "doc": 8, "docx": 8, "xls": 4, "xlsx": 4}
_BYTES_PER_TOKEN_OF_TEXT = 2
IMAGE_TOKENS = 1_600  # what Anthropic's guide to vision gives for a large image; Nova's are alike

ADDRESS = "files"  # the first word of the addresses at which people get their files
_HASH = re.compile(r"[0-9a-f]{64}")


class FileError(ChatbotError):
    """A file can't be taken.

    code: "no_files" (facts: model), "wrong_kind" (kinds), "empty", "too_large" (megabytes),
        "not_what_it_says", "too_many_pixels" (pixels), "too_many_documents" or "too_many_images"
        (count), "too_large_together" (megabytes), "gone". Facts also have the file's name.
    """


@dataclass(frozen=True)
class FileLimits:
    """What a model takes: the table `files` of a model in models.toml.

    kinds: those of KINDS that it takes.
    count: how many documents a request may have.
    megabytes: how large a document may be.
    images: how many images a request may have.
    image_megabytes: how large an image may be.
    total_megabytes: how large all files of a request may be together.
    """

    kinds: Sequence[str] = ()
    count: int = 5
    megabytes: float = 4.5
    images: int = 20
    image_megabytes: float = 3.75
    total_megabytes: float = 14

    def limit_of(self, kind: str) -> float:
        """Return how many megabytes a file of that kind may have."""
        return self.image_megabytes if kind in IMAGES else self.megabytes

    def count_of(self, kind: str) -> int:
        """Return how many files a request may have that are images, or documents, like that one."""
        return self.images if kind in IMAGES else self.count


NO_FILES = FileLimits()


def read_limits(table: Mapping[str, object]) -> FileLimits:
    """Return the limits that a table of models.toml gives; raises ValueError if it can't."""
    try:
        limits = FileLimits(**table)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError("an unknown field") from error
    kinds, numbers = limits.kinds, [value for name, value in table.items() if name != "kinds"]
    if not isinstance(kinds, list) or not all(kind in list(KINDS) for kind in kinds):
        raise ValueError("an unknown kind")
    for limit in numbers:
        if not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 < limit < 1e3:
            raise ValueError("not a limit")
    if not all(isinstance(each, int) for each in (limits.count, limits.images)):
        raise ValueError("not a number of files")
    return FileLimits(**{**table, "kinds": tuple(kinds)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class File:
    """A file of a prompt.

    hash: what its content is kept under; see chatbot/attachments.py.
    name: what the person calls it, for people to read.
    kind: one of KINDS.
    size: bytes.
    """

    hash: str
    name: str
    kind: str
    size: int

    @property
    def is_image(self) -> bool:
        return self.kind in IMAGES

    @property
    def tokens(self) -> int:
        """About how many tokens a model has for it."""
        if self.is_image:
            return IMAGE_TOKENS
        return self.size // _BYTES_PER_TOKEN.get(self.kind, _BYTES_PER_TOKEN_OF_TEXT) + 1

    def to_json(self) -> dict[str, Any]:
        """Return what a record keeps of it."""
        return asdict(self)


def files_from_json(values: Iterable[object]) -> tuple[File, ...]:
    """Return the files of a record; what is no file, which somebody else wrote, is left out."""
    found = []
    for value in values:
        if isinstance(value, dict):
            hash_, name, kind = (str(value.get(each, "")) for each in ("hash", "name", "kind"))
            size = value.get("size")
            if not isinstance(size, int) or not 0 < size <= 2**53:  # nobody could write it down
                continue
            if kind in KINDS and _HASH.fullmatch(hash_):
                found.append(File(hash_, clean_name(name), kind, size))
    return tuple(found)


class Upload:
    """A file that is not saved yet.

    name: what the person calls it.
    content: its bytes; they are in memory as long as this is.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = clean_name(name), content
        with _uploads_lock:
            _uploads.add(self)


_uploads: WeakSet[Upload] = WeakSet()
_uploads_lock = threading.Lock()


def count_unsaved_bytes() -> int:
    """Return how many bytes of files wait in this process's memory until they are saved."""
    with _uploads_lock:
        return sum(len(upload.content) for upload in _uploads)


def clean_name(name: str) -> str:
    """Return a file's name as it is shown: without a path, in one line, cut to NAME_LENGTH.

    Characters that are not seen could make one name look like another.
    """
    last = re.split(r"[/\\]", clean(name))[-1]
    seen = "".join(each if each.isprintable() else " " for each in last)
    words = " ".join(seen.split())
    stem, dot, ending = words.rpartition(".")
    if dot and len(ending) <= 10:
        return f"{stem[: NAME_LENGTH - len(ending) - 1]}.{ending}"
    return words[:NAME_LENGTH] or "file"


def size_of(size: int) -> str:
    """Return a number of bytes as people read it."""
    if size < 1_000:
        return f"{size} B"
    if size < MEGABYTE:
        return f"{round(size / 1_000)} KB"
    return f"{number(size / MEGABYTE, 1)} MB"


def kind_of(name: str) -> str:
    """Return the kind that a file's name promises, or ""."""
    ending = name.rpartition(".")[2].lower()
    ending = _OTHER_ENDINGS.get(ending, ending)
    return ending if ending in KINDS and "." in name else ""


def endings_of(kinds: Collection[str]) -> list[str]:
    """Return the endings of names of these kinds, for the browser's choice of files."""
    others = [ending for ending, kind in _OTHER_ENDINGS.items() if kind in kinds]
    return [*(kind for kind in KINDS if kind in kinds), *others]


def check(
    uploads: Sequence[Upload], kept: Sequence[File], limits: FileLimits, model: str
) -> Iterator[str | FileError]:
    """Yield the kind of each upload, or why it can't be taken.

    kept: files of the same message that were taken before.
    limits, model: what the model takes, and its name.
    """
    taken = [(file.kind, file.size) for file in kept]
    for upload in uploads:
        try:
            kind = _check_alone(upload, limits, model)
            same = [each for each, _ in taken if (each in IMAGES) == (kind in IMAGES)]
            if len(same) >= limits.count_of(kind):
                code = "too_many_images" if kind in IMAGES else "too_many_documents"
                raise FileError(code, name=upload.name, count=limits.count_of(kind))
            together = sum(size for _, size in taken) + len(upload.content)
            if together > limits.total_megabytes * MEGABYTE:
                megabytes = f"{limits.total_megabytes:g}"
                raise FileError("too_large_together", name=upload.name, megabytes=megabytes)
        except FileError as error:
            yield error
        else:
            taken.append((kind, len(upload.content)))
            yield kind


def _check_alone(upload: Upload, limits: FileLimits, model: str) -> str:
    kind, name, content = kind_of(upload.name), upload.name, upload.content
    if not limits.kinds:
        raise FileError("no_files", name=name, model=model)
    if kind not in limits.kinds:
        raise FileError("wrong_kind", name=name, kinds=", ".join(limits.kinds), model=model)
    if not content:
        raise FileError("empty", name=name)
    if len(content) > limits.limit_of(kind) * MEGABYTE:
        raise FileError("too_large", name=name, megabytes=f"{limits.limit_of(kind):g}")
    if kind in _TEXTS:
        text = to_text(content)
        if text is None:
            raise FileError("not_what_it_says", name=name)
        if is_blank(text):
            raise FileError("empty", name=name)
    elif kind in IMAGES:
        if image_kind(content) != kind:
            raise FileError("not_what_it_says", name=name)
        size = image_size(content)
        if size is None:
            raise FileError("not_what_it_says", name=name)
        if max(size) > PIXELS:
            raise FileError("too_many_pixels", name=name, pixels=PIXELS)
    elif not _is_document(content, kind):
        raise FileError("not_what_it_says", name=name)
    return kind


def to_text(content: bytes) -> str | None:
    """Return the text of a file, whatever program has saved it; None if it is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")  # what Excel still saves a CSV file in


def image_kind(content: bytes) -> str:
    """Return which kind of image the content is, by how it begins; "" if it is none."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "webp"
    return ""


def image_size(content: bytes) -> tuple[int, int] | None:
    """Return an image's width and height in pixels, as its header says; None if it says nothing.

    A small file may claim a huge size, which a browser would find out only while it draws.
    """
    try:
        size = _SIZES[image_kind(content)](content)
    except (LookupError, struct.error):
        return None
    return size if size and min(size) > 0 else None


def _png_size(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack(">II", content[16:24])
    return (width, height) if content[12:16] == b"IHDR" else None


def _gif_size(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack("<HH", content[6:10])
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    position = 2
    while content[position] == 0xFF:
        mark = content[position + 1]
        if mark == 0xFF:  # between two segments there may be any number of these
            position += 1
            continue
        (length,) = struct.unpack(">H", content[position + 2 : position + 4])
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return width, height
        position += 2 + length
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if kind == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return bits % 0x4000 + 1, bits // 0x4000 % 0x4000 + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


_SIZES = {"png": _png_size, "gif": _gif_size, "jpeg": _jpeg_size, "webp": _webp_size}


# What a file can do to a reader that does not expect it.
_BROKEN = (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, ValueError)


def _is_document(content: bytes, kind: str) -> bool:
    if kind == "pdf":
        return b"%PDF-" in content[:1024]
    if kind in ("doc", "xls"):
        return content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    folder = {"docx": "word/", "xlsx": "xl/"}[kind]
    try:  # only the list of what is in it is read, so it can't grow
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.startswith(folder) for name in archive.namelist())
    except (zipfile.BadZipFile, struct.error, *_BROKEN):
        return False
