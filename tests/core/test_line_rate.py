"""Rates of lines: bits as lines are sold, bytes where they are named, nothing that could be both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.line_rate import format_line_rate, parse_line_rate
from transfer.errors import UsageError


@pytest.mark.parametrize(
    ("text", "bits_s"),
    [
        ("100Mbit", 100_000_000),
        ("100 Mbit/s", 100_000_000),
        ("100Mbps", 100_000_000),
        ("2.5Gbit", 2_500_000_000),
        ("1gbit", None),
        ("64kbit", 64_000),
        ("64Kbit", 64_000),
        ("12MB/s", 96_000_000),
        ("12.5MB", 100_000_000),
        ("1MiB/s", 8 * 1024**2),
        ("8bit", 8),
        ("100M", None),
        ("100Mb", None),
        ("100Mb/s", None),
        ("100mb", None),
        ("100", None),
        ("0Mbit", None),
        ("7bit", None),
        ("-1Mbit", None),
        ("1e3Mbit", None),
        ("9999999Tbit", None),
        ("", None),
        ("Mbit", None),
        ("\u0661Mbit", None),
        ("1.MB/s/s", None),
    ],
)
def test_what_a_line_carries(text: str, bits_s: int | None) -> None:
    if bits_s is None:
        with pytest.raises(UsageError, match="--uplink"):
            parse_line_rate(text, what="--uplink")
    else:
        assert parse_line_rate(text) == bits_s


@given(st.text(max_size=20))
def test_any_text_is_a_rate_or_refused(text: str) -> None:
    try:
        assert 8 <= parse_line_rate(text) <= 10**18
    except UsageError as error:
        assert error.remedy


@pytest.mark.parametrize(
    ("bits_s", "text"),
    [
        (100_000_000, "100 Mbit/s"),
        (2_500_000_000, "2.5 Gbit/s"),
        (999_600, "1 Mbit/s"),
        (386.4, "386 bit/s"),
        (12_340, "12.3 kbit/s"),
        (5e15, "5000 Tbit/s"),
    ],
)
def test_rates_for_people(bits_s: float, text: str) -> None:
    assert format_line_rate(bits_s) == text
