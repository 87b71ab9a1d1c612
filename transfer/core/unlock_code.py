"""Unlock codes: the secret that opens a device of people without keys, made to be read out on the phone.

A code is 30 characters in six groups of five, as in `7Q2MX-0C9TB-...`: 128 random bits as 26 characters of
Crockford's alphabet (no I, L, O, U), and 4 check characters.

Guarantees:

- Up to four wrong characters are always found, two that changed places among them, so that a slip of the pen
  is told apart from the code of another device before anything is opened. Where one character is wrong, its
  group is named.
- Capitals, blanks and dashes do not matter, and O, I and L are read as 0, 1 and 1.
- `text`, the spelling with capitals and dashes, is the passphrase itself, for the `age` program as well.
- Neither repr nor an error ever holds a code, or a piece of one.

The check characters are a Reed-Solomon code over the field of 32 elements (x^5 + x^2 + 1, generator 2, roots
2^0 to 2^3): its distance of five is what the guarantee rests on. They make guessing no easier: whoever knows
the 26 others knows them as well.

Does not: make randomness, or know what a code opens.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from transfer.errors import UsageError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENTROPY_BYTES: Final = 16
GROUP_CHARACTERS: Final = 5
CODE_CHARACTERS: Final = 30
_DATA_CHARACTERS: Final = 26
_CHECK_CHARACTERS: Final = CODE_CHARACTERS - _DATA_CHARACTERS
_PADDING_BITS: Final = 5 * _DATA_CHARACTERS - 8 * ENTROPY_BYTES
_MAX_CHARACTERS: Final = 200  # as typed, with whatever blanks and dashes

# What a person may type for a dash: a mail program or a telephone makes others of it.
_DASHES: Final = "-_.\u00ad\u2010\u2011\u2012\u2013\u2014\u2212"
_READ_AS: Final = (
    dict(zip(map(ord, string.ascii_lowercase), string.ascii_uppercase, strict=True))
    | str.maketrans("OoIiLl", "001111")
    | dict.fromkeys(map(ord, _DASHES))
)
_REMEDY: Final = "type it as it was printed: six groups of five characters"


def _powers() -> list[int]:
    """2^0 to 2^30 in the field of 32 elements."""
    powers = [1]
    while len(powers) < 31:
        doubled = powers[-1] << 1
        powers.append(doubled ^ 0b100101 if doubled & 32 else doubled)
    return powers


_POWERS: Final = _powers()
_LOGARITHMS: Final = {power: exponent for exponent, power in enumerate(_POWERS)}


@dataclass(frozen=True, slots=True, repr=False)
class UnlockCode:
    """A code whose check characters fit.

    Attributes:
        text: its one spelling: capitals, six groups of five, dashes between. This is the passphrase.
    """

    text: str

    @classmethod
    def from_entropy(cls, entropy: bytes) -> UnlockCode:
        """The code of 16 random bytes."""
        if len(entropy) != ENTROPY_BYTES:
            raise ValueError(f"a code is made of {ENTROPY_BYTES} bytes, not of {len(entropy)}")
        number = int.from_bytes(entropy) << _PADDING_BITS
        data = [number >> 5 * place & 31 for place in reversed(range(_DATA_CHARACTERS))]
        return cls(_spell([*data, *_check_symbols(data)]))

    @classmethod
    def parse(cls, text: str) -> UnlockCode:
        """A code as a person typed it.

        Raises:
            UsageError: it is no code, or has a typing error; says which group where only one is wrong.
        """
        symbols = _symbols(text)
        syndromes = _syndromes(symbols)
        if any(syndromes):
            raise UsageError(f"the unlock code has a typing error{_place(syndromes)}", remedy=_REMEDY)
        if symbols[_DATA_CHARACTERS - 1] & ((1 << _PADDING_BITS) - 1):
            raise UsageError("the unlock code is none of this program's", remedy=_REMEDY)
        return cls(_spell(symbols))

    def __repr__(self) -> str:
        return "UnlockCode(...)"


def _spell(symbols: Sequence[int]) -> str:
    letters = "".join(ALPHABET[symbol] for symbol in symbols)
    starts = range(0, CODE_CHARACTERS, GROUP_CHARACTERS)
    return "-".join(letters[start : start + GROUP_CHARACTERS] for start in starts)


def _symbols(text: str) -> list[int]:
    """The values of the 30 characters."""
    letters = "".join(text[:_MAX_CHARACTERS].split()).translate(_READ_AS)
    if len(text) > _MAX_CHARACTERS or len(letters) != CODE_CHARACTERS:
        found = "far more" if len(text) > _MAX_CHARACTERS else str(len(letters))
        what = f"the unlock code has {found} characters instead of {CODE_CHARACTERS}"
        raise UsageError(what, remedy=_REMEDY)
    for place, letter in enumerate(letters):
        if letter not in ALPHABET:
            group = place // GROUP_CHARACTERS + 1
            what = f"group {group} of the unlock code has a character that no code has"
            raise UsageError(what, remedy="codes have digits and the letters A to Z without I, L, O and U")
    return [ALPHABET.index(letter) for letter in letters]


def _times(one: int, other: int) -> int:
    """The product in the field."""
    return _POWERS[(_LOGARITHMS[one] + _LOGARITHMS[other]) % 31] if one and other else 0


def _check_symbols(data: Sequence[int]) -> list[int]:
    """What makes all four syndromes zero: the remainder of the data, shifted, by the generator polynomial."""
    generator = [1]
    for exponent in range(_CHECK_CHARACTERS):  # times (x + 2^exponent)
        raised = [_times(factor, _POWERS[exponent]) for factor in generator]
        generator = [high ^ low for high, low in zip([*generator, 0], [0, *raised], strict=True)]
    rest = [0] * _CHECK_CHARACTERS
    for symbol in data:
        lead = symbol ^ rest[0]
        shifted = [*rest[1:], 0]
        rest = [old ^ _times(lead, factor) for old, factor in zip(shifted, generator[1:], strict=True)]
    return rest


def _syndromes(symbols: Sequence[int]) -> list[int]:
    """The code's polynomial at each root: all zero for a code without errors."""
    values = []
    for exponent in range(_CHECK_CHARACTERS):
        value = 0
        for symbol in symbols:
            value = _times(value, _POWERS[exponent]) ^ symbol
        values.append(value)
    return values


def _place(syndromes: Sequence[int]) -> str:
    """The group of the error if there is but one: then each syndrome is the one before times 2^place."""
    if not all(syndromes):
        return ""
    steps = {(_LOGARITHMS[later] - _LOGARITHMS[earlier]) % 31 for earlier, later in pairwise(syndromes)}
    place = CODE_CHARACTERS - 1 - steps.pop()
    if steps or place < 0:
        return ""
    return f" in group {place // GROUP_CHARACTERS + 1}"
