from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.core.parts import TARGET_PART_SIZE_BYTES, plan_parts
from transfer.core.s3_limits import AWS_LIMITS, S3Limits
from transfer.core.sizes import GIB, KIB, MIB
from transfer.errors import UsageError

CHUNK = 8 * MIB
sizes = st.integers(0, AWS_LIMITS.object_max_bytes)
chunks = st.one_of(st.integers(20, 29).map(lambda power: 1 << power), st.integers(1 * MIB, 256 * MIB))


@given(sizes, chunks)
@example(0, CHUNK)
@example(1, CHUNK)
@example(TARGET_PART_SIZE_BYTES, CHUNK)
@example(TARGET_PART_SIZE_BYTES + 1, CHUNK)
@example(10_000 * TARGET_PART_SIZE_BYTES, CHUNK)
@example(10_000 * TARGET_PART_SIZE_BYTES + 1, CHUNK)
@example(AWS_LIMITS.object_max_bytes, CHUNK)
def test_every_plan_is_one_the_store_takes(size: int, chunk: int) -> None:
    try:
        plan = plan_parts(size, chunk)
    except UsageError:
        # Only where whole chunks cannot make parts large enough below the store's largest.
        assert size > AWS_LIMITS.parts_max * (AWS_LIMITS.part_max_bytes // chunk * chunk)
        return
    first, last = plan.part(1), plan.part(plan.part_count)
    assert 1 <= plan.part_count <= AWS_LIMITS.parts_max
    assert plan.part_size_bytes % chunk == 0
    assert plan.part_size_bytes <= AWS_LIMITS.part_max_bytes
    assert (first.number, first.offset_bytes) == (1, 0)
    assert last.offset_bytes + last.size_bytes == size
    assert 0 < last.size_bytes <= plan.part_size_bytes or size == 0
    if plan.part_count > 1:
        assert first.size_bytes == plan.part_size_bytes >= AWS_LIMITS.part_min_bytes
    assert plan.single_put == (plan.part_count == 1)


@given(st.integers(0, 3000), st.integers(1, 50))
def test_parts_cover_the_object_once_and_in_order(size: int, chunk: int) -> None:
    limits = S3Limits(parts_max=40, part_min_bytes=100, part_max_bytes=400)
    try:
        plan = plan_parts(size, chunk, limits)
    except UsageError:
        assert size > 40 * (400 // chunk * chunk)
        return
    covered = [
        byte for part in plan for byte in range(part.offset_bytes, part.offset_bytes + part.size_bytes)
    ]
    assert covered == [*range(size)]
    assert [part.number for part in plan] == [*range(1, plan.part_count + 1)]


@given(sizes, st.integers(20, 25).map(lambda power: 1 << power))
def test_parts_have_the_target_size_unless_that_makes_too_many(size: int, chunk: int) -> None:
    plan = plan_parts(size, chunk)
    if size <= AWS_LIMITS.parts_max * TARGET_PART_SIZE_BYTES:
        assert plan.part_size_bytes == TARGET_PART_SIZE_BYTES
    else:  # not a chunk larger than needed
        assert (plan.chunks_per_part - 1) * chunk * AWS_LIMITS.parts_max < size


def test_figures_of_the_default_chunk() -> None:
    assert plan_parts(CHUNK, CHUNK).single_put
    assert plan_parts(TARGET_PART_SIZE_BYTES, CHUNK).single_put
    assert not plan_parts(TARGET_PART_SIZE_BYTES + 1, CHUNK).single_put
    assert plan_parts(48 * 1024 * GIB, CHUNK).part_size_bytes == 5040 * MIB


def test_a_chunk_beyond_the_target_is_a_part() -> None:
    assert plan_parts(GIB, 256 * MIB).part_size_bytes == 256 * MIB


def test_a_store_with_a_small_single_put_gets_a_part_instead() -> None:
    plan = plan_parts(2 * MIB, 64 * KIB, S3Limits(single_put_max_bytes=MIB))
    assert (plan.single_put, plan.part_count) == (False, 1)


@pytest.mark.parametrize(
    ("size", "chunk", "limits", "word"),
    [
        (AWS_LIMITS.object_max_bytes + 1, CHUNK, AWS_LIMITS, "larger"),
        (5 * 1024 * GIB + 1, CHUNK, S3Limits(object_max_bytes=5 * 1024 * GIB), "larger"),
        (20_000 * MIB, 3 * MIB, S3Limits(part_max_bytes=5 * MIB, parts_max=100), "chunk"),
    ],
)
def test_what_cannot_be_stored(size: int, chunk: int, limits: S3Limits, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_parts(size, chunk, limits)
    assert word in caught.value.remedy
    assert f"{size:,} bytes" in caught.value.what


def test_parts_are_numbered_from_one() -> None:
    plan = plan_parts(200 * MIB, CHUNK)
    for number in (0, plan.part_count + 1):
        with pytest.raises(ValueError, match="part"):
            plan.part(number)
