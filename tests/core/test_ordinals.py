"""Numbers of devices, as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.ordinals import may_go_on, ranges, told_devices


@given(st.sets(st.integers(1, 40)))
def test_ranges_tell_each_number_once(numbers: set[int]) -> None:
    told_numbers: list[int] = []
    for text in ranges(sorted(numbers)):
        first, _, last = text.partition(" to ")
        told_numbers += range(int(first), int(last or first) + 1)
    assert told_numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("missing", "present", "said"),
    [
        ([2], [1], "device 2, and perhaps later ones"),
        ([1], [2], "device 1"),
        ([1, 3, 4, 5], [2, 6], "devices 1, 3 to 5"),
        ([1, 3], [2], "devices 1, 3, and perhaps later ones"),
        (list(range(1, 99, 2)), [100], f"devices {', '.join(map(str, range(1, 41, 2)))}, and more"),
    ],
    ids=["next", "earlier", "between", "both", "many"],
)
def test_devices_are_told_from_counts(missing: list[int], present: list[int], said: str) -> None:
    assert told_devices(missing, later=may_go_on(missing, present)) == said
