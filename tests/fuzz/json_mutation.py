"""Changes of JSON that know its structure: keys and values swapped, doubled, left out, replaced by extremes.

Python's json cannot write all that a hostile device can: `raw` marks a text that `dump` puts into the JSON as
it is, such as a number of 5,000 digits.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.mutation import INTEGERS, mutate_bytes

_MARK = "\ue000"
_RAW = re.compile(f'"{_MARK}([^"]*){_MARK}"')


def raw(text: str) -> str:
    """A value that stands in the JSON as this text; without double quotes, for which it has single ones."""
    return f"{_MARK}{text}{_MARK}"


PATHS = (
    "../outside",
    "a/../../outside",
    "/etc/passwd",
    "..",
    ".",
    "./a",
    "a//b",
    "a/",
    "/",
    "a\0b",
    "a/./b",
    "a" * 256,
    "a/" * 32_767 + "b",
    "\x1b[2J",
    "\u202eexe.txt",
    "\x7f",
    "a\nb",
)
TEXTS = (
    *PATHS,
    "",
    " ",
    "0" * 64,
    "A" * 64,
    "g" * 64,
    "0" * 63 + "\n",
    "\u00e9" * 300,
    "\U0001f4be" * 65_535,
    "Li4vb3V0c2lkZQ==",
    "/w==",
    "/x==",
    "////",
    "2024-02-30T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:00.123456Z",
    "0001-01-01T00:00:00+23:59",
)
RAWS = tuple(
    map(
        raw,
        (
            "1e400",
            "-1e400",
            "-0",
            "1.0",
            "1.5",
            "0e5000",
            "1e-5000",
            "NaN",
            "Infinity",
            "9" * 25,
            "9" * 5000,
            "-" + "9" * 5000,
            "[" * 5000 + "]" * 5000,
            "[" * 200_000,
            "{'a':" * 3000 + "1" + "}" * 3000,
            "'\\ud800'",
            "'a\\udfff\\ud800b'",
            "'\\u0000'",
            "'\\x'",
            "''",
            "1,'path':'twice'",
            "1,'kind':'file'",
            "1,'format_version':1",
            "null",
            "",
            "}",
            "\u00e9",
        ),
    )
)
_VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 0.5, [], {}, [[]], "", *INTEGERS, *TEXTS, *RAWS)


def dump(value: Any) -> bytes:
    """The JSON, compact, with what was marked as raw put in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = _RAW.sub(lambda found: found[1].replace("'", '"'), text)
    return text.encode("utf-8", "surrogatepass")


def parse(text: bytes) -> Any:
    """A value from its JSON; None where it is none that Python can hold."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mutate_json(rng: Random, value: Any, others: Sequence[Any]) -> Any:
    """A copy after one to four changes."""
    value = copy.deepcopy(value)
    for _ in range(1 << rng.randrange(3)):
        place = rng.choice(containers(value))
        _change(rng, place, others)
    return value


def containers(value: Any) -> list[Any]:
    """All objects and arrays in it that hold something; never none."""
    found, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list) and item:
            found.append(item)
            waiting += item.values() if isinstance(item, dict) else item
    return found or [[value]]


def new_value(rng: Random, old: Any) -> Any:
    """Something near the old value, or an extreme."""
    if isinstance(old, int) and not isinstance(old, bool) and rng.randrange(2):
        return old + rng.choice((-512, -1, 1, 2, 512, -2 * old, rng.choice(INTEGERS)))
    if isinstance(old, str) and rng.randrange(2):
        data = mutate_bytes(rng, old.encode("utf-8", "surrogatepass"), [b"../", b"\0"])
        return data.decode("utf-8", rng.choice(("replace", "surrogateescape")))
    return copy.deepcopy(rng.choice(_VALUES))


def _change(rng: Random, place: Any, others: Sequence[Any]) -> None:
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    key = rng.choice(keys)
    match rng.randrange(8):
        case 0 | 1 | 2:
            place[key] = new_value(rng, place[key])
        case 3:
            del place[key]
        case 4:
            other = rng.choice(keys)
            place[key], place[other] = place[other], place[key]
        case 5:
            _double(rng, place, key)
        case 6:  # a value of another case
            source = rng.choice(containers(rng.choice(others)))
            place[key] = copy.deepcopy(
                rng.choice(list(source.values() if isinstance(source, dict) else source))
            )
        case _:
            _rename(rng, place, key)


def _double(rng: Random, place: Any, key: Any) -> None:
    if isinstance(place, list):
        times = rng.choice((1, 1, 1, 50))
        place[key:key] = [copy.deepcopy(place[key]) for _ in range(times)]
    else:  # the key stands there twice
        place[key] = raw(f"null,'{str(key)[:64]}':null") if rng.randrange(2) else place[key]


def _rename(rng: Random, place: Any, key: Any) -> None:
    if isinstance(place, list):
        rng.shuffle(place)
    else:
        name = rng.choice((f"{key}_base64", str(key).removesuffix("_base64"), str(key).upper(), "", "x\0"))
        place[name] = place.pop(key)
