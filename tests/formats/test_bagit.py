"""The text of a bag's tag files, against what the standard says."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.errors import FormatError, UsageError
from transfer.formats import bagit

DIGEST = "ab" * 32
TODAY = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (b"a/b c", "data/a/b c"),
        (b"100%", "data/100%25"),
        (b"a\nb\r\n", "data/a%0Ab%0D%0A"),
        (b"%0A", "data/%250A"),
        ("\u00e9/ \u4e2d".encode(), "data/\u00e9/ \u4e2d"),
    ],
)
def test_manifest_line(path: bytes, line: str) -> None:
    assert bagit.manifest_line(path, DIGEST) == f"{DIGEST}  {line}\n".encode()
    assert bagit.is_misread(path) == (line != f"data/{path.decode()}")


@settings(max_examples=100)
@given(st.text(st.sampled_from("a%0AD25\r\n\u00e9 "), min_size=1, max_size=12))
def test_lines_come_apart_again(path: str) -> None:
    line = bagit.manifest_line(path.encode(), DIGEST).decode()
    assert line.count("\n") == 1
    digest, _, spelled = line.removesuffix("\n").partition("  ")
    assert digest == DIGEST
    decoded = spelled.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert decoded == f"data/{path}"


@pytest.mark.parametrize("path", [b"\xff", b"../a", b"a//b", b"/a", b""])
def test_what_no_bag_holds(path: bytes) -> None:
    with pytest.raises(FormatError):
        bagit.manifest_line(path, DIGEST)
    assert bool(bagit.payload_defect(path)) == (path == b"\xff")


def test_bag_info() -> None:
    fields = [bagit.info_field("Source-Organization: A: B"), bagit.info_field("Contact-Name:X")]
    info = bagit.bag_info(fields * 2, bagging_date=TODAY, payload_bytes=12, payload_files=3)
    given = "Source-Organization: A: B\nContact-Name: X\n"
    assert info.decode() == given * 2 + "Bagging-Date: 2026-03-04\nPayload-Oxum: 12.3\n"


@pytest.mark.parametrize(
    "text",
    [
        *("no colon", ": value", "Label:", "Payload-Oxum: 1.1", "bagging-date: 2020-01-01", "a: \x1b[0m"),
        *("a\nb: c", "a: b\nc", "a\x85b: c", "a: " + "b" * 9000),
    ],
    ids=[
        *("no-colon", "no-label", "no-value", "oxum", "date", "escape"),
        *("line-in-label", "line", "next-line", "long"),
    ],
)
def test_facts_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        bagit.info_field(text)
    assert error.value.what.isprintable()
    assert len(error.value.what) < 300


def test_algorithms() -> None:
    bagit.check_algorithms(["sha512", "sha256"])
    for wrong in ([], ["md5"], ["sha256", "crc"]):
        with pytest.raises(UsageError):
            bagit.check_algorithms(wrong)


def test_tag_manifest() -> None:
    assert bagit.tag_manifest({"b.txt": "2", "a.txt": "1"}) == b"1  a.txt\n2  b.txt\n"
    assert bagit.digests_of(b"", ["sha256"])["sha256"].startswith("e3b0c44298fc")
