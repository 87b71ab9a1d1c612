"""Small files that are judged all at once, against the same files asked one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.golden.build import CHUNK_BYTES, OWNER
from tests.golden.make import GOLDEN
from transfer.core.paths import are_plain, path_defect
from transfer.core.records import AnyRecord, Directory, Entry, Failed, File, Frame, Header
from transfer.core.small_files import judge
from transfer.core.stream_rules import StreamRules
from transfer.errors import FormatError
from transfer.formats.segment import read_records

HEADER_BYTES = 512
_SUMS = {"blake3": "0123456789abcdef" * 4, "crc64nvme": "0" * 16, "crc32c": "f" * 8}
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=4)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)
ODD_PATHS = st.sampled_from(
    [
        "",
        "a/",
        "/a",
        "//",
        ".",
        "..",
        "a/./b",
        "a/../b",
        "a//b",
        "a\0b",
        "n" * 256,
        "é" * 128,
        "a/" * 32_768 + "a",
    ]
) | st.text("ab/.\0é", max_size=6)
SIZES = st.integers(0, 3000)


def file(path: str, offset: int, size_bytes: int, **fields: Any) -> File:
    meta = {"mode": 0o644, "mtime_ns": 0, "size_bytes": size_bytes, "offset": offset} | OWNER | _SUMS
    return File(path=path, **(meta | fields))


BENDS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"path": ODD_PATHS | PATHS}),
    st.just({"path": "", "path_base64": "/w=="}),
    st.just({"path": "", "path_base64": "YQ=="}),
    st.just({"path_base64": "/w=="}),
    st.fixed_dictionaries({"offset": st.none() | st.integers(0, 9000)}),
    st.fixed_dictionaries({"size_bytes": st.integers(0, 9000) | st.just(2**63 - 1)}),
    st.fixed_dictionaries({"chunks": st.integers(0, 2)}),
    st.fixed_dictionaries({"xattrs": st.sampled_from([{"user.a": "YQ=="}, {"user.a": "?"}, {"": ""}])}),
    st.fixed_dictionaries({"blake3": st.sampled_from(["A" * 64, "g" * 64, "é" * 64, "0" * 63 + "\n"])}),
    st.fixed_dictionaries({"crc64nvme": st.sampled_from(["F" * 16, " " * 16, "1_00000000000000"])}),
    st.fixed_dictionaries({"crc32c": st.sampled_from(["F" * 8, "-0000000"])}),
)


@st.composite
def streams(draw: st.DrawFn) -> list[AnyRecord]:
    """A B frame and its files, a few of them bent, and perhaps another record among them."""
    records: list[AnyRecord] = []
    end = 0
    for path in sorted(draw(st.sets(PATHS, min_size=1, max_size=6))):
        size = draw(SIZES)
        records.append(file(path, end + HEADER_BYTES, size))
        end += HEADER_BYTES + size
    for place in draw(st.sets(st.integers(0, len(records) - 1), max_size=2)):
        records[place] = replace(records[place], **draw(BENDS))
    if draw(st.booleans()):
        other = draw(st.sampled_from([Failed(path="m", reason="changed"), Directory(path="m/", **_META)]))
        records.insert(draw(st.integers(0, len(records))), other)
    size = end + draw(st.sampled_from([0, 0, 0, 100, -1]))
    return [
        Frame(type=draw(st.sampled_from("BBBBE")), offset=0, stored_bytes=9, bytes=max(1, size)),
        *records,
    ]


_META: dict[str, Any] = {"mode": 0o755, "mtime_ns": 0} | OWNER


def header() -> Header:
    with open(GOLDEN / "good/segments/00000000.jsonl.zst", "rb") as stored:
        first = next(iter(read_records(stored)))
    assert isinstance(first, Header)
    return first


HEADER = header()
Outcome = tuple[list[AnyRecord], str, dict[str, Any]]


def outcome(
    feed: Callable[[StreamRules, list[AnyRecord]], Iterator[Frame | Sequence[Entry]]],
    records: list[AnyRecord],
) -> Outcome:
    """What was accepted, the refusal, and what the rules remember."""
    rules = StreamRules(CHUNK_BYTES)
    rules.skip_to(replace(HEADER, sequence=-1, first_path="", last_path=""), HEADER)  # a path may repeat
    rules.start(HEADER)
    accepted: list[AnyRecord] = []
    refusal = ""
    try:
        for given_back in feed(rules, records):
            accepted += [given_back] if isinstance(given_back, Frame) else given_back
    except FormatError as error:
        refusal = str(error)
    return accepted, refusal, vars(rules)


def one_by_one(rules: StreamRules, records: list[AnyRecord]) -> Iterator[Frame | Sequence[Entry]]:
    for record in records:
        rules.accept(record)
        if isinstance(record, Frame):
            yield record
        elif isinstance(record, Entry):
            yield [record]


@settings(max_examples=500)
@given(streams())
def test_all_at_once_is_as_one_by_one(records: list[AnyRecord]) -> None:
    assert outcome(StreamRules.accept_all, records) == outcome(one_by_one, records)


def test_files_that_obey_are_taken_together() -> None:
    """The law above would also hold if nothing ever were."""
    files = [file(f"a{number}", 512 + 1024 * number, 512) for number in range(5)]
    obedient = judge(files, b"a", 512, 512 + 1024 * 5 - 512)
    assert obedient == (b"a0", b"a4", 512 + 1024 * 4 + 512, 5 * 512)
    rules = StreamRules(CHUNK_BYTES)
    rules.start(HEADER)
    frame = Frame(type="B", offset=0, stored_bytes=9, bytes=6000)
    assert list(rules.accept_all([frame, *files])) == [frame, files]


@pytest.mark.parametrize("paths", ["ba", "aa", "bbc", "acb"])
def test_files_out_of_order_are_not(paths: str) -> None:
    files = [file(path, 512 + 1024 * number, 512) for number, path in enumerate(paths)]
    assert judge(files, b"", 512, 6000) is None


def test_the_first_comes_behind_what_was_before() -> None:
    files = [file("b", 512, 512), file("c", 1536, 512)]
    assert judge(files, b"a", 512, 6000) is not None
    assert judge(files, b"b", 512, 6000) is None
    assert judge(files, b"a", 513, 6000) is None


@pytest.mark.parametrize(
    "path", ["n" * 255 + "/a", "é" * 127, "a/" * 32_767 + "a", "\U0001f600" * 63, ".a/..b"]
)
def test_unusual_paths_are_plain(path: str) -> None:
    assert are_plain([path])
    assert are_plain(["a", path])


def test_a_path_of_more_bytes_than_there_may_be() -> None:
    assert not are_plain(["a/" * 32_768 + "a"])


@given(st.lists(PATHS | ODD_PATHS, min_size=1, max_size=4))
def test_plain_paths_have_no_defect(paths: list[str]) -> None:
    """And short ones without a defect are plain."""
    fine = all(not path_defect(path.encode()) and not path.endswith("/") for path in paths)
    assert are_plain(paths) == fine


def test_files_in_another_frame_than_a_batch_are_refused() -> None:
    rules = StreamRules(CHUNK_BYTES)
    rules.start(HEADER)
    end = Frame(type="E", offset=0, stored_bytes=9, bytes=1024)
    with pytest.raises(FormatError, match="does not stand in a frame of kind B"):
        list(rules.accept_all([end, file("a", 512, 0)]))
