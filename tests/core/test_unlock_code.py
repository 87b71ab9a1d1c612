"""Unlock codes: what is printed is read, however it is typed; slips are found before anything is opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.unlock_code import ALPHABET, CODE_CHARACTERS, UnlockCode
from transfer.errors import UsageError

entropies = st.binary(min_size=16, max_size=16)
codes = entropies.map(UnlockCode.from_entropy)


def bare(code: UnlockCode) -> str:
    return code.text.replace("-", "")


def times(one: int, other: int) -> int:
    """The product in the field of 32 elements by its definition: polynomials modulo x^5 + x^2 + 1."""
    product = 0
    for bit in range(5):
        product ^= (one << bit) * (other >> bit & 1)
    for bit in range(8, 4, -1):
        product ^= (0b100101 << bit - 5) * (product >> bit & 1)
    return product


def test_a_known_code() -> None:
    assert UnlockCode.from_entropy(bytes(16)).text == "00000-00000-00000-00000-00000-00000"
    assert UnlockCode.from_entropy(bytes(range(16))).text == "000G4-0R40M-30E20-9185G-R38E1-W0JQ3"


@given(entropies)
def test_a_code_is_its_bits_and_a_word_of_the_reed_solomon_code(entropy: bytes) -> None:
    symbols = [ALPHABET.index(letter) for letter in bare(UnlockCode.from_entropy(entropy))]
    number = 0
    for symbol in symbols[:26]:
        number = number << 5 | symbol
    assert number >> 2 == int.from_bytes(entropy)
    assert number & 3 == 0
    for root in (1, 2, 4, 8):
        value = 0
        for symbol in symbols:
            value = times(value, root) ^ symbol
        assert value == 0


@given(codes, st.data())
def test_what_is_printed_is_read_however_it_is_typed(code: UnlockCode, data: st.DataObject) -> None:
    assert [len(group) for group in code.text.split("-")] == [5] * 6
    typed = ""
    for letter in bare(code):
        spellings = {"0": "0Oo", "1": "1IiLl"}.get(letter, letter + letter.lower())
        gap = data.draw(st.sampled_from(["", "", "", " ", "-", " - ", "\u2013", "\n", "\u00a0"]))
        typed += data.draw(st.sampled_from(spellings)) + gap
    assert UnlockCode.parse(typed) == code


@given(codes, st.integers(0, CODE_CHARACTERS - 1), st.integers(1, 31))
def test_any_one_wrong_character_is_found_and_its_group_named(
    code: UnlockCode, place: int, shift: int
) -> None:
    letters = bare(code)
    wrong = ALPHABET[(ALPHABET.index(letters[place]) + shift) % 32]
    with pytest.raises(UsageError) as caught:
        UnlockCode.parse(letters[:place] + wrong + letters[place + 1 :])
    assert caught.value.what == f"the unlock code has a typing error in group {place // 5 + 1}"


@given(
    codes, st.dictionaries(st.integers(0, CODE_CHARACTERS - 1), st.integers(1, 31), min_size=1, max_size=4)
)
def test_up_to_four_wrong_characters_are_found(code: UnlockCode, wrong: dict[int, int]) -> None:
    letters = [
        ALPHABET[(ALPHABET.index(letter) + wrong.get(place, 0)) % 32]
        for place, letter in enumerate(bare(code))
    ]
    with pytest.raises(UsageError, match="typing error"):
        UnlockCode.parse("".join(letters))


@given(codes, st.integers(0, CODE_CHARACTERS - 2))
def test_two_that_changed_places_are_found(code: UnlockCode, place: int) -> None:
    letters = bare(code)
    swapped = letters[:place] + letters[place + 1] + letters[place] + letters[place + 2 :]
    if swapped == letters:
        assert UnlockCode.parse(swapped) == code
    else:
        with pytest.raises(UsageError, match="typing error"):
            UnlockCode.parse(swapped)


@given(st.text(max_size=300))
def test_any_text_is_a_code_or_refused(text: str) -> None:
    try:
        assert UnlockCode.parse(text).text == UnlockCode.parse(UnlockCode.parse(text).text).text
    except UsageError as error:
        assert error.remedy


GOOD = UnlockCode.from_entropy(bytes(range(16))).text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "has 0 characters instead of 30"),
        (GOOD[:-1], "has 29 characters"),
        (GOOD + "0", "has 31 characters"),
        ("0" * 201, "has far more characters"),
        (GOOD[:7] + "U" + GOOD[8:], "group 2 of the unlock code has a character that no code has"),
        (GOOD[:7] + "\u00df" + GOOD[8:], "group 2 of the unlock code has a character"),
        (GOOD[:7] + "\u0661" + GOOD[8:], "group 2 of the unlock code has a character"),
        (GOOD[:7] + "\u0131" + GOOD[8:], "group 2 of the unlock code has a character"),
    ],
)
def test_what_is_no_code_is_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        UnlockCode.parse(text)
    assert "000G4" not in str(caught.value)


@pytest.mark.parametrize("group", ["1FKQA", "2Y3BM", "3HGWY"])
def test_a_code_with_bits_where_there_is_no_entropy_is_refused(group: str) -> None:
    with pytest.raises(UsageError, match="none of this program's"):
        UnlockCode.parse("00000" * 5 + group)


def test_a_code_is_not_shown_by_chance() -> None:
    code = UnlockCode.from_entropy(bytes(range(16)))
    assert not any(group in f"{code} {code!r} {[code]}" for group in code.text.split("-"))


def test_entropy_of_another_size_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="made of 16 bytes, not of 15"):
        UnlockCode.from_entropy(bytes(15))
