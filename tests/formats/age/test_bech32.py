"""Bech32 against the vectors of BIP-173, and against slips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.errors import FormatError
from transfer.formats.age import bech32

# BIP-173, "Test vectors".
VALID = {
    "A12UEL5L": ("a", b""),
    "a12uel5l": ("a", b""),
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs": (
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
        b"",
    ),
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw": (
        "abcdef",
        bytes.fromhex("00443214c74254b635cf84653a56d7c675be77df"),
    ),
    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j": (
        "1",
        bytes(51),
    ),
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w": (
        "split",
        bytes.fromhex("c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d"),
    ),
    "?1ezyfcl": ("?", b""),
}
INVALID = [
    "\x201nwldj5",
    "\x7f1axkwrx",
    "\x801eym55h",
    "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
    "pzry9x0s0muk",
    "1pzry9x0s0muk",
    "x1b4n0q5v",
    "li1dgmt3",
    "de1lg7wt\xff",
    "A1G7SGD8",
    "10a06t8",
    "1qzzfhee",
    "",
    "1",
    "a12uel5l ",
    " a12uel5l",
    "a12uel5l\n",
    "A12uEL5L",
    "a12UEL5L",
    "a1lqfn3a",  # Bech32m (BIP-350)
]


@pytest.mark.parametrize("text", VALID)
def test_valid_vectors(text: str) -> None:
    prefix, content = VALID[text]
    assert bech32.decode(text) == (prefix, content)
    assert bech32.encode(prefix, content) == text.lower()


def spelled(*symbols: int) -> str:
    """Symbols with their right checksum, whether or not they make whole bytes."""
    checksum = bech32._polymod([*bech32._expanded("age"), *symbols, *[0] * 6]) ^ 1
    symbols += tuple(checksum >> shift & 31 for shift in range(25, -1, -5))
    return "age1" + "".join(bech32._ALPHABET[symbol] for symbol in symbols)


def test_padding_is_less_than_five_zero_bits() -> None:
    assert bech32.decode(spelled(31, 28)) == ("age", b"\xff")
    for symbols in [(31, 29), (31, 30), (31, 28, 0), (0,), (31, 31, 31, 31, 31, 31)]:
        with pytest.raises(FormatError, match="padding"):
            bech32.decode(spelled(*symbols))


@pytest.mark.parametrize("text", INVALID)
def test_invalid_vectors(text: str) -> None:
    with pytest.raises(FormatError):
        bech32.decode(text)


@given(st.binary(max_size=40), st.sampled_from(["age", "age-secret-key-", "a1b"]))
def test_what_is_encoded_decodes_in_either_case(content: bytes, prefix: str) -> None:
    text = bech32.encode(prefix, content)
    assert bech32.decode(text) == bech32.decode(text.upper()) == (prefix, content)


@given(st.binary(min_size=32, max_size=32), st.data())
def test_up_to_four_wrong_characters_are_found(content: bytes, data: st.DataObject) -> None:
    text = list(bech32.encode("age", content))
    places = data.draw(st.sets(st.integers(4, len(text) - 1), min_size=1, max_size=4))
    for place in places:
        others = "qpzry9x8gf2tvdw0s3jn54khce6mua7l".replace(text[place], "")
        text[place] = data.draw(st.sampled_from(others))
    with pytest.raises(FormatError, match="checksum"):
        bech32.decode("".join(text))


@given(st.text(max_size=100))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        prefix, content = bech32.decode(text)
    except FormatError:
        return
    assert bech32.encode(prefix, content) == text.lower()
