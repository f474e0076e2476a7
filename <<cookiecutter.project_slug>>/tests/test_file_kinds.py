"""Which files are taken, and what is said about the others."""

import pytest
from support.uploads import GIF, GOOD, JPEG, OLE, PDF, WEBP, office, png

from chatbot.file_kinds import (
    KINDS,
    FileError,
    FileLimits,
    Upload,
    check,
    clean_name,
    files_from_json,
    image_size,
    read_limits,
)

LIMITS = FileLimits(tuple(KINDS))


def codes(limits: FileLimits, *uploads: tuple[str, bytes]) -> list[str]:
    """Return the kinds of the files that are taken, and the codes of why others are not."""
    found = check([Upload(*each) for each in uploads], [], limits, "The Model")
    return [each.code if isinstance(each, FileError) else each for each in found]


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_that_converse_takes_is_taken(name: str) -> None:
    [kind] = codes(LIMITS, (name, GOOD[name]))
    assert kind == {"jpg": "jpeg", "htm": "html"}.get(name[2:].lower(), name[2:])


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.exe", b"MZ", "wrong_kind"),
        ("pdf", PDF, "wrong_kind"),
        ("a.svg", b"<svg/>", "wrong_kind"),
        ("a.pdf", b"", "empty"),
        ("a.txt", b" \n", "empty"),
        ("a.txt", b"\xef\xbb\xbf", "empty"),
        ("a.pdf", b"<html>", "not_what_it_says"),
        ("a.png", JPEG, "not_what_it_says"),
        ("a.jpg", b"\xff\xd8\xff", "not_what_it_says"),
        ("a.gif", b"GIF89a", "not_what_it_says"),
        ("a.webp", WEBP[:20], "not_what_it_says"),
        ("a.docx", office("xl"), "not_what_it_says"),
        ("a.docx", OLE, "not_what_it_says"),  # one with a password
        ("a.xlsx", b"PK\x03\x04", "not_what_it_says"),
        ("a.doc", PDF, "not_what_it_says"),
        ("a.csv", b"a\0b", "not_what_it_says"),
        ("a.png", png(8_001, 1), "too_many_pixels"),
        ("a.png", png(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        ("a.png", png(0, 5), "not_what_it_says"),
        ("a.pdf", PDF + bytes(4_500_000), "too_large"),
        ("a.png", png() + bytes(3_750_000), "too_large"),
    ],
)
def test_what_a_model_would_refuse_is_not_taken(name: str, content: bytes, code: str) -> None:
    assert codes(LIMITS, (name, content)) == [code]


def test_a_model_that_reads_text_only_takes_no_file() -> None:
    assert codes(FileLimits(), ("a.pdf", PDF)) == ["no_files"]


def test_the_good_files_are_taken_up_to_the_models_number() -> None:
    documents = [(f"{number}.pdf", PDF) for number in range(7)]
    taken = codes(LIMITS, ("bad.pdf", b"x"), *documents, ("a.png", png()))
    assert taken == ["not_what_it_says", *["pdf"] * 5, *["too_many_documents"] * 2, "png"]
    assert codes(LIMITS, *[("a.gif", GIF)] * 21)[-1] == "too_many_images"
    large = ("a.pdf", PDF + bytes(4_000_000))
    assert codes(LIMITS, *[large] * 4)[-1] == "too_large_together"


@pytest.mark.parametrize(
    ("content", "size"),
    [(png(7, 5), (7, 5)), (JPEG, (3, 2)), (GIF, (3, 2)), (WEBP, (3, 2)), (PDF, None), (b"", None)],
)
def test_the_size_of_an_image_is_in_its_header(
    content: bytes, size: tuple[int, int] | None
) -> None:
    assert image_size(content) == size


@pytest.mark.parametrize("content", [each for each in GOOD.values() if each])
def test_no_cut_of_a_file_breaks_the_check(content: bytes) -> None:
    for name in GOOD:
        for length in range(0, min(len(content), 400), 3):
            assert len(codes(LIMITS, (name, content[:length]))) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\report.pdf", "report.pdf"),
        ("a\n\u202eb\0.pdf", "a b .pdf"),
        ("", "file"),
        ("\ud83d.pdf", "\ufffd.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_a_name_is_one_line_without_a_path(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_a_record_that_somebody_else_wrote_has_only_files_that_can_be() -> None:
    good = {"hash": "0" * 64, "name": "a/b.pdf", "kind": "pdf", "size": 5}
    bad = [{}, "x", None, good | {"hash": "../x"}, good | {"kind": "exe"}, good | {"size": "5"}]
    bad.append(good | {"size": -1})
    [file] = files_from_json([*bad, good])
    assert (file.name, file.size) == ("b.pdf", 5)


@pytest.mark.parametrize(
    "table",
    [
        {"kinds": ["exe"]},
        {"kinds": "pdf"},
        {"kinds": [["pdf"]]},
        {"kinds": ["pdf"], "count": "5"},
        {"kinds": ["pdf"], "count": 1.5},
        {"kinds": ["pdf"], "images": True},
        {"kinds": ["pdf"], "megabytes": 0},
        {"kinds": ["pdf"], "total_megabytes": float("nan")},
        {"kinds": ["pdf"], "colour": 1},
    ],
)
def test_limits_that_can_be_none_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        read_limits(table)
