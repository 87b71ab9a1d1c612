"""SIZE and RATE: what is written means what rclone means by it, and what is shown can be read back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.core import sizes
from transfer.errors import UsageError

# A size shown as 8192 PiB, by rounding, is beyond the largest one that can be read.
SHOWN = st.integers(min_value=0, max_value=2**62)
SIZES = st.integers(min_value=0, max_value=sizes.MAX_SIZE_BYTES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("8M", 8 * 2**20),
        ("8MiB", 8 * 2**20),
        ("8mib", 8 * 2**20),
        ("8MB", 8_000_000),
        ("8 MiB", 8 * 2**20),
        ("1.5G", 3 * 2**29),
        (".5k", 512),
        ("1.K", 1024),
        ("10GB", 10**10),
        ("80TB", 80 * 10**12),
        ("2P", 2**51),
        ("0.1K", 102),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_size_means_what_rclone_means_by_it(text: str, expected: int) -> None:
    assert sizes.parse_size(text) == expected


def test_a_number_without_a_suffix_counts_in_the_unit_of_the_option() -> None:
    assert sizes.parse_size("512", bare_unit_bytes=1024) == 512 * 1024
    assert sizes.parse_size("512B", bare_unit_bytes=1024) == 512


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "M",
        ".",
        "8X",
        "8Mi",
        "8iB",
        "8 M iB",
        "1e3",
        "0x10",
        "1_000",
        "off",
        "4GiB - 1",
        "٣",
        "8M/s",
    ],
)
def test_what_is_no_size_is_an_error_that_names_option_value_and_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        sizes.parse_size(text, what="--pack-size")
    assert "--pack-size" in caught.value.what
    assert repr(text) in caught.value.what
    assert "8MiB" in caught.value.remedy


def test_a_size_beyond_63_bits_is_an_error_and_does_not_take_long() -> None:
    for text in ("9223372036854775808", "8192P", "9" * 40):
        with pytest.raises(UsageError, match="too large"):
            sizes.parse_size(text)
    with pytest.raises(UsageError) as caught:
        sizes.parse_size("9" * 1_000_000)
    assert len(caught.value.what) < 200


@pytest.mark.parametrize(("text", "expected"), [("10M", 10 * 2**20), ("200MB/s", 200_000_000), ("1B/s", 1)])
def test_a_rate_is_a_size_a_second(text: str, expected: int) -> None:
    assert sizes.parse_rate(text) == expected


@pytest.mark.parametrize("text", ["0", "0/s", "off", "10M/h", "10M/s/s", ""])
def test_what_is_no_rate_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="not a rate"):
        sizes.parse_rate(text)


@given(SIZES)
@example(80 * 10**12)
@example(2**32 - 1)
def test_the_exact_form_reads_back_as_the_same_number(size: int) -> None:
    assert sizes.parse_size(sizes.format_size_exact(size)) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (80 * 10**12, "80TB"),
        (8 * 2**20, "8MiB"),
        (2**32 - 1, "4294967295B"),
        (0, "0B"),
        (1000, "1KB"),
        (10**15, "1PB"),
    ],
)
def test_the_exact_form_is_the_one_people_write(size: int, text: str) -> None:
    assert sizes.format_size_exact(size) == text


@given(SHOWN)
@example(1023)
@example(999)
@example(1024**2 - 1)
def test_the_short_form_has_three_digits_and_is_right_to_half_a_percent(size: int) -> None:
    shown = sizes.format_size(size)
    assert abs(sizes.parse_size(shown) - size) <= size * 0.006
    assert sum(map(str.isdigit, shown)) <= 3 or shown.endswith("PiB")


@given(SHOWN, SHOWN)
def test_the_short_form_keeps_the_order(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert sizes.parse_size(sizes.format_size(low)) <= sizes.parse_size(sizes.format_size(high))


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86_399, "1 d 0 h"),
        (273_600, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_durations_have_two_units_and_carry_over(duration_s: float, text: str) -> None:
    assert sizes.format_duration(duration_s) == text


def test_a_rate_for_people() -> None:
    assert sizes.format_rate(210 * 2**20) == "210 MiB/s"
