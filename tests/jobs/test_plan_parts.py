"""The parts of a plan: sizes in steps, devices in order, times."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.formats.profile import PackRules
from transfer.jobs.plan.collisions import Collisions
from transfer.jobs.plan.histogram import Histogram
from transfer.jobs.plan.sample import Sampled, SamplePoints, compress_sample
from transfer.jobs.plan.schedule import DAY_S, FillTime, make_schedule
from transfer.jobs.plan.spans import ENTRY_BYTES, MAX_LISTED_DEVICES, PACK_BYTES, Spans, stored_bytes

CHUNK = 1 << 20
PACK = PackRules(
    pack_size_bytes=64 * CHUNK,
    chunk_size_bytes=CHUNK,
    batch_size_bytes=CHUNK,
    batch_entries=500,
    max_entries=20_000,
)
any_size = st.integers(0, 40).flatmap(lambda bits: st.integers(0, 1 << bits)) | st.integers(0, 2**63 - 1)


@settings(max_examples=60)
@given(st.lists(any_size, max_size=30))
def test_every_file_is_in_the_one_step_of_its_size(sizes: list[int]) -> None:
    histogram = Histogram()
    for size in sizes:
        histogram.add(size)
    steps = histogram.steps()
    assert all(one.below_bytes == next_.at_least_bytes for one, next_ in pairwise(steps))
    for step in steps:
        inside = [size for size in sizes if step.at_least_bytes <= size < step.below_bytes]
        assert (step.files, step.bytes) == (len(inside), sum(inside))
    assert sum(step.files for step in steps) == len(sizes)
    assert not steps or (steps[0].files and steps[-1].files)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5000), max_size=60))
def test_a_sample_is_spread_evenly_over_all_bytes(sizes: list[int]) -> None:
    samples = SamplePoints(limit=8, distance_bytes=16)
    starts = {}
    total = 0
    for number, size in enumerate(sizes):
        path = b"%d" % number
        starts[path] = total, size
        samples.add(path, size)
        total += size
    assert all(0 <= offset < starts[path][1] for path, offset in samples.points)
    places = [starts[path][0] + offset for path, offset in samples.points]
    assert bool(places) == bool(total)
    assert len(places) <= 8
    if len(places) > 1:
        distance = places[1]
        assert distance % 16 == 0
        assert places == list(range(0, total, distance))
        assert len(places) > 4 or distance == 16


def test_what_a_sample_can_be_compressed_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/random").write_bytes(os.urandom(3_000_000))
    (tmp_path / "zeros").write_bytes(bytes(1_000_000))
    os.symlink("zeros", tmp_path / "link")
    samples = SamplePoints()
    samples.add(b"folder/random", 3_000_000)
    samples.add(b"gone", 300_000)
    samples.add(b"link", 300_000)
    samples.add(b"zeros", 1_000_000)
    *_, found = compress_sample(os.fsencode(tmp_path), samples.points, 3, follow_links=False)
    assert found.unreadable == 2
    assert 3_500_000 < found.bytes <= 4_000_000
    assert 0.70 < found.part < 0.80
    assert Sampled().part == 1


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3_000_000), max_size=60), st.integers(3_100_000, 9_000_000))
def test_devices_are_filled_in_order_with_whole_entries(sizes: list[int], room: int) -> None:
    spans = Spans(room, PACK)
    begun = []
    for number, size in enumerate(sizes):
        assert spans.fits_a_device(size)
        if spans.add(b"%d" % number, size):
            begun.append(number)
    spans.finish()
    assert spans.devices == len(begun) == len(spans.listed)
    ends = [*begun[1:], len(sizes)] if begun else []
    for fill, first, end in zip(spans.listed, begun, ends, strict=True):
        taken = [stored_bytes(size, CHUNK) for size in sizes[first:end]]
        assert (fill.entries, fill.stored_bytes) == (end - first, sum(taken) + PACK_BYTES)
        assert fill.bytes == sum(sizes[first:end])
        assert (fill.first_path, fill.last_path) == (str(first), str(end - 1))
        assert fill.stored_bytes <= room
        if end < len(sizes):
            assert fill.stored_bytes + stored_bytes(sizes[end], CHUNK) > room


def test_many_devices_are_counted_and_the_first_are_listed() -> None:
    spans = Spans(5096, PACK)
    for number in range(150):
        assert spans.has_room(700) is False
        spans.add(b"%d" % number, 700)
    spans.finish()
    assert (spans.devices, len(spans.listed)) == (150, MAX_LISTED_DEVICES)
    assert not spans.fits_a_device(1001 - ENTRY_BYTES)


def test_packs_take_some_room_themselves() -> None:
    """As many as there are where each is but half full."""
    spans = Spans(1 << 30, PACK)
    spans.add(b"a", 400 * CHUNK)
    spans.finish()
    takes = stored_bytes(400 * CHUNK, CHUNK)
    assert spans.listed[0].stored_bytes == takes + 13 * PACK_BYTES


def test_one_device_holds_everything_where_its_room_is_not_known() -> None:
    spans = Spans(None, PACK)
    for _ in range(3):
        assert spans.fits_a_device(2**62)
        spans.add(b"a", 2**62)
    spans.finish()
    assert (spans.devices, spans.listed[0].entries) == (1, 3)


def collisions(paths: list[bytes], by: str = "windows") -> list[tuple[bytes, str]]:
    looked = Collisions()
    return [
        (where, other) for path in sorted(paths) for told, where, other in looked.found(path) if told == by
    ]


def test_names_that_are_the_same_to_a_target() -> None:
    paths = [b"README", b"readme", b"Readme", b"d/", b"d/A", b"d/a", b"D/", b"D/a", b"d/x/", b"d/x/a"]
    assert collisions(paths) == [(b"Readme", "README"), (b"d/", "D"), (b"d/a", "A"), (b"readme", "README")]
    keys = [b"A", b"A/b", b"A/b", b"Dir/x/1", b"Dir/x/2", b"dir/x/1", b"dir/x/2", b"k//a"]
    assert collisions(keys) == [(b"dir/", "Dir")]
    composed, decomposed = "é".encode(), "e\u0301".encode()
    assert collisions([composed, decomposed], "macos") == [(composed, "e\u0301")]
    assert collisions([composed, decomposed]) == []
    assert collisions([b"\xff", b"\xfe", b"IMG", "É".encode(), composed]) == [(composed, "É")]


a_path = st.lists(st.text("aAbB", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@settings(max_examples=100)
@given(st.sets(a_path, max_size=12))
def test_every_name_that_differs_in_case_alone_is_told(paths: set[str]) -> None:
    """All but the first of those that are the same, in each folder by itself."""
    held: dict[str, set[str]] = {}
    for path in paths:
        names = path.split("/")
        for depth, name in enumerate(names):
            held.setdefault("/".join(names[:depth]), set()).add(name)
    found = {where.decode().rstrip("/") for where, _ in collisions([path.encode() for path in paths])}
    for folder, names in held.items():
        told = {name for name in names if f"{folder}/{name}".lstrip("/") in found}
        kinds = {name.lower() for name in names}
        assert len(told) == len(names) - len(kinds)
        assert {name.lower() for name in names - told} == kinds


def test_memory_is_bounded_in_a_folder_of_many_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.jobs.plan.collisions.MAX_REMEMBERED", 3)
    capitals = [f"A{number}".encode() for number in range(9)]
    assert collisions([*capitals, b"a1", b"a8"]) == [(b"a1", "A1")]


def test_small_files_take_time_by_the_file_and_large_ones_by_the_byte() -> None:
    fill = FillTime(1_000_000, 0.01)
    for size in (0, 10, 10_000, 5_000_000):
        fill.add(size)
    assert fill.total_s == pytest.approx(0.03 + 5)


def test_the_carrier_against_the_wire() -> None:
    ten_terabytes = 10 * 10**12
    times = make_schedule(
        fill_s=40_000.0,
        write_bytes_s=250_000_000,
        file_cost_s=0.0,
        carrier_days=2,
        read_bytes_s=500_000_000,
        content_bytes=ten_terabytes,
        uplink_bits_s=100_000_000,
        utilization=0.8,
    )
    assert times.import_s == 20_000
    assert times.total_s == 40_000 + 2 * DAY_S + 20_000
    assert times.wire_s == 1_000_000
    assert times.even_uplink_bits_s is not None
    even = make_schedule(
        fill_s=40_000.0,
        write_bytes_s=250_000_000,
        file_cost_s=0.0,
        carrier_days=2,
        read_bytes_s=500_000_000,
        content_bytes=ten_terabytes,
        uplink_bits_s=round(times.even_uplink_bits_s),
        utilization=0.8,
    )
    assert even.wire_s == pytest.approx(even.total_s)


def test_nothing_to_carry() -> None:
    times = make_schedule(
        fill_s=0,
        write_bytes_s=1,
        file_cost_s=0,
        carrier_days=0,
        read_bytes_s=1,
        content_bytes=0,
        uplink_bits_s=8,
        utilization=1,
    )
    assert (times.total_s, times.wire_s, times.even_uplink_bits_s) == (0, 0, None)
