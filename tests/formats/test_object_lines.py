"""The list of objects in a folder: what is written is read back, and nothing else is."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.core.paths import path_defect
from transfer.core.records import ObjectFacts
from transfer.errors import FormatError
from transfer.formats.object_lines import (
    HEAD_LINE,
    MAX_LINE_BYTES,
    ObjectLine,
    decode_object_lines,
    encode_object_line,
)

BLAKE3 = "0" * 64
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
PATHS = TEXT.filter(lambda path: not path.endswith("/") and not path_defect(path.encode()))


def line(path: str, key: str = "k", **facts: object) -> ObjectLine:
    return ObjectLine(path=path, key=key, size_bytes=7, blake3=BLAKE3, object=ObjectFacts(**facts))  # type: ignore[arg-type]


def decode(text: bytes) -> list[ObjectLine]:
    return list(decode_object_lines(io.BytesIO(text)))


@settings(max_examples=60)
@given(st.dictionaries(PATHS, st.tuples(TEXT, st.dictionaries(TEXT, TEXT, max_size=3)), max_size=6))
def test_what_is_written_is_read_back(objects: dict[str, tuple[str, dict[str, str]]]) -> None:
    lines = [
        line(path, key, user=user, content_type="text/x")
        for path, (key, user) in sorted(objects.items(), key=lambda item: item[0].encode())
    ]
    assert decode(HEAD_LINE + b"".join(map(encode_object_line, lines))) == lines


def test_what_belongs_to_a_device_alone_is_left_out() -> None:
    told = line("a", member="b", history=True, version_id="7", etag="e")
    assert decode(HEAD_LINE + encode_object_line(told)) == [line("a", version_id="7", etag="e")]


GOOD = encode_object_line(line("b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "does not begin"),
        (GOOD, "does not begin"),
        (HEAD_LINE.replace(b"1}", b"2}"), "format version 2"),
        (HEAD_LINE + GOOD[:-1], "cut short"),
        (HEAD_LINE + GOOD + GOOD, "line 3 .*out of order"),
        (HEAD_LINE + GOOD + encode_object_line(line("a")), "out of order"),
        (HEAD_LINE + encode_object_line(line("../a")), "line 2"),
        (HEAD_LINE + encode_object_line(line("a/")), "is a folder, and has content"),
        (HEAD_LINE + encode_object_line(line("a", "é" * 513)), "1,024"),
        (HEAD_LINE + b"{}\n", "line 2"),
        (HEAD_LINE + b"\n", "line 2"),
        (HEAD_LINE + GOOD.replace(b'"key"', b'"kez"'), "line 2"),
        (HEAD_LINE + GOOD.replace(b"{}", b'{"history":true}'), "no list has"),
        (HEAD_LINE + b"\xff\n", "line 2"),
        (HEAD_LINE + b"[" * 100_000 + b"\n", "line 2"),
        (HEAD_LINE + b" " * (MAX_LINE_BYTES + 1), "has a line over"),
        (HEAD_LINE + b" " * (MAX_LINE_BYTES + 1) + b"\n", "has a line over"),
    ],
    ids=range(17),
)
def test_what_is_no_list_is_refused_with_its_place(text: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        decode(text)


def test_an_object_line_says_what_it_is() -> None:
    fields = msgspec.json.decode(encode_object_line(line("a/b", "/a//b", tags={"x": "y"})))
    assert fields == {
        "path": "a/b",
        "key": "/a//b",
        "size_bytes": 7,
        "blake3": BLAKE3,
        "object": {"tags": {"x": "y"}},
    }
