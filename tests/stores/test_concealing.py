"""Credentials stay out of errors, however an endpoint repeats them."""

from __future__ import annotations

import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.sigv4 import Credentials
from transfer.errors import AccessError, StoreError
from transfer.stores.concealing import PIECE_CHARS, Concealer

TOKEN = "FwoGZXIvYXdzEBYaDKx/9+Zq=" * 3
KNOWN = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", TOKEN)


def concealer() -> Concealer:
    made = Concealer()
    made.learn(KNOWN)
    return made


@pytest.mark.parametrize("secret", [KNOWN.access_key, KNOWN.secret_key, TOKEN])
@pytest.mark.parametrize("spell", [str, lambda secret: quote(secret, safe=""), lambda secret: secret[3:-2]])
def test_what_was_sent_is_not_said(secret: str, spell: object) -> None:
    said = f"403 AccessDenied for {spell(secret)}, sorry"  # type: ignore[operator]
    assert concealer().concealed(said) == "403 AccessDenied for ***, sorry"


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 60), st.integers(0, 20))
def test_no_piece_is_left_wherever_it_stands(before: str, behind: str, start: int, size: int) -> None:
    piece = TOKEN[start : start + PIECE_CHARS + size]
    told = concealer().concealed(before + piece + behind)
    assert len(piece) < PIECE_CHARS or piece not in told
    assert "***" in told or told == before + piece + behind


def test_other_text_stays_as_it_is() -> None:
    said = "PUT s3://bucket/key at https://s3.example.org: 503 SlowDown Please reduce your request rate."
    assert concealer().concealed(said) == said
    short = Concealer()
    short.learn(Credentials("minio", "secret", None))
    assert short.concealed("the secret of minio") == "the secret of minio"


def test_an_error_says_nothing_of_them_nor_does_its_traceback() -> None:
    guard = concealer()
    with pytest.raises(StoreError) as caught, guard.guarding():
        cause = ValueError(f"header {TOKEN}")
        raise StoreError(f"no {TOKEN}", remedy=TOKEN, code=KNOWN.access_key) from cause
    error = caught.value
    assert (error.what, error.remedy, error.code, error.args) == ("no ***", "***", "***", ("no ***",))
    shown = "".join(traceback.format_exception(error))
    assert TOKEN not in shown
    assert "ValueError" not in shown


def test_credentials_that_were_renewed_are_known_as_those_before_are() -> None:
    guard = concealer()
    guard.learn(Credentials("AKIANEWKEYNEWKEY", "another/secret/key", None))
    with pytest.raises(AccessError, match=r"^\*\*\* and \*\*\*$"), guard.guarding():
        raise AccessError(f"{KNOWN.access_key} and AKIANEWKEYNEWKEY")
