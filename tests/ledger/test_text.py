"""Text that every database takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transfer.ledger.text import MAX_ERROR_CHARS, storable, storable_error

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_it_is_utf_8_without_nul_and_otherwise_as_it_was(text: str) -> None:
    stored = storable(text)
    assert b"\0" not in stored.encode()
    assert storable(stored) == stored
    if "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text):
        assert stored == text


def test_what_is_escaped_can_be_read() -> None:
    assert storable("a\0b\udcffé") == "a\\x00b\\udcffé"


@given(st.text(min_size=MAX_ERROR_CHARS + 1, max_size=MAX_ERROR_CHARS + 50))
def test_words_about_errors_are_cut(text: str) -> None:
    stored = storable_error(text)
    assert stored.endswith("…")
    assert storable(text).startswith(stored[:100])


def test_words_that_fit_are_whole() -> None:
    assert storable_error("x" * MAX_ERROR_CHARS) == "x" * MAX_ERROR_CHARS
