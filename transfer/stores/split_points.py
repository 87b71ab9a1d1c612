"""Where a key space may be cut, so that its pieces can be listed at once: guesses, good ones or bad ones.

Nobody can ask a bucket where its middle is. So the next cuts are guessed from the keys just listed: behind
the folders that the last key is in, at every so many of the folders that follow, and, where keys lie flat, as
far on as the listed ones reach, counted in the characters they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

_DELIMITER: Final = "/"
_DIGITS: Final = "0123456789"
_HEX: Final = "0123456789abcdef"
_NEXT: Final = chr(ord(_DELIMITER) + 1)
_RESOLUTION_CHARS: Final = 4
"""So many characters are counted with, from the first one in which the listed keys differ."""
_SAMPLES: Final = 64


def folder_of(keys: Sequence[str], prefix: str) -> str:
    """The deepest folder that all of these ascending keys are in; the prefix where there is none below it."""
    common = _common(keys[0], keys[-1])
    return max(prefix, common[: common.rfind(_DELIMITER) + 1], key=len)


def folder_above(folder: str, prefix: str) -> str:
    """The folder that a folder is in; no higher than the prefix."""
    return max(prefix, folder[: folder[:-1].rfind(_DELIMITER) + 1], key=len)


def folders_in(keys: Sequence[str], folder: str) -> int:
    """How many folders directly under a folder these keys are in."""
    tails = (key[len(folder) :].partition(_DELIMITER) for key in keys)
    return len({name for name, cut, _ in tails if cut})


def behind_folders(last: str, prefix: str) -> list[str]:
    """For each folder under the prefix that a key is in: a place right behind all that is in it."""
    tail = last[len(prefix) :]
    cuts = [at for at, char in enumerate(tail) if char == _DELIMITER]
    return [prefix + tail[:at] + _NEXT for at in cuts]


def further_on(keys: Sequence[str], folder: str, wanted: int) -> list[str]:
    """Places in a folder behind its listed keys, each as far from the one before as they reach.

    Args:
        keys: ascending, all in the folder.
        folder: or any prefix of theirs.
        wanted: how many places, at most.
    """
    start, differ = len(folder), len(_common(keys[0], keys[-1]))
    samples = [key[start:] for key in (keys[0], *keys[:: len(keys) // _SAMPLES + 1], keys[-1])]
    alphabets = _alphabets(samples, differ - start)
    first, last = _number(samples[0], alphabets), _number(samples[-1], alphabets)
    step, beyond = last - first, prod(map(len, alphabets))
    places = range(last + step, beyond, step)[:wanted] if step > 0 else ()
    return [folder + _text(place, alphabets) for place in places]


def _alphabets(samples: Sequence[str], differ: int) -> list[str]:
    """For each place in a key what may stand there: more than was seen, as far as one can tell."""
    window = {char for text in samples for char in text[differ : differ + _RESOLUTION_CHARS]}
    letters = window - {*_DIGITS}
    is_hex = bool(letters) and letters <= {*_HEX}
    alphabets = []
    for at in range(differ + _RESOLUTION_CHARS):
        seen = {text[at] for text in samples if at < len(text)}
        if is_hex and seen <= {*_HEX}:
            alphabets.append(_HEX)
        elif seen <= {*_DIGITS}:
            alphabets.append(_DIGITS)
        else:
            alphabets.append("".join(sorted(seen | window if at >= differ and len(seen) > 1 else seen)))
    return alphabets


def _common(first: str, second: str) -> str:
    """What both begin with."""
    same = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        same += 1
    return first[:same]


def _number(text: str, alphabets: Sequence[str]) -> int:
    """A key as a number, whose digits are its characters."""
    value = 0
    for at, alphabet in enumerate(alphabets):
        value = value * len(alphabet) + (alphabet.index(text[at]) if at < len(text) else 0)
    return value


def _text(number: int, alphabets: Sequence[str]) -> str:
    chars = []
    for alphabet in reversed(alphabets):
        number, digit = divmod(number, len(alphabet))
        chars.append(alphabet[digit])
    return "".join(reversed(chars))
