"""Bech32 (BIP-173): the spelling of age's keys, with a checksum against slips of pen and eye.

Strict as the BIP: at most 90 characters, one case throughout, zero padding of less than five bits. Bech32m is
not accepted. No error repeats any of the text, for it may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from transfer.errors import FormatError

MAX_TEXT_CHARACTERS = 90
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_SYMBOLS = 6


def encode(prefix: str, content: bytes) -> str:
    """`content` behind `prefix`, in lower case."""
    bits = len(content) * 8
    padding = -bits % 5
    number = int.from_bytes(content, "big") << padding
    symbols = [number >> shift & 31 for shift in range(bits + padding - 5, -1, -5)]
    checksum = _polymod([*_expanded(prefix), *symbols, *[0] * _CHECKSUM_SYMBOLS]) ^ 1
    symbols += [checksum >> shift & 31 for shift in range(25, -1, -5)]
    return prefix + "1" + "".join(_ALPHABET[symbol] for symbol in symbols)


def decode(text: str) -> tuple[str, bytes]:
    """The prefix, in lower case, and the content.

    Raises:
        FormatError: the text is not Bech32, or one of its characters is wrong.
    """
    prefix, symbols = _split(text)
    if _polymod([*_expanded(prefix), *symbols]) != 1:
        raise FormatError("Bech32 text has a wrong checksum", remedy="a character is missing or wrong")
    return prefix, _joined(symbols[:-_CHECKSUM_SYMBOLS])


def _split(text: str) -> tuple[str, list[int]]:
    if len(text) > MAX_TEXT_CHARACTERS or any(not "!" <= character <= "~" for character in text):
        raise FormatError("Bech32 text is too long or holds a character that is none of its own")
    if text != text.lower() and text != text.upper():
        raise FormatError("Bech32 text mixes upper and lower case")
    prefix, separator, data = text.lower().rpartition("1")
    if not separator or not prefix or len(data) < _CHECKSUM_SYMBOLS:
        raise FormatError("Bech32 text lacks its prefix, its separator or its checksum")
    if not _VALUES.keys() >= set(data):
        raise FormatError("Bech32 text holds a character that is none of its own")
    return prefix, [_VALUES[character] for character in data]


def _joined(symbols: list[int]) -> bytes:
    """The bytes of five-bit symbols; what is left over must be less than a symbol, and zero."""
    number = 0
    for symbol in symbols:
        number = number << 5 | symbol
    padding = len(symbols) * 5 % 8
    if padding > 4 or number & ((1 << padding) - 1):
        raise FormatError("Bech32 text has wrong padding")
    return (number >> padding).to_bytes(len(symbols) * 5 // 8, "big")


def _expanded(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                checksum ^= generator
    return checksum
