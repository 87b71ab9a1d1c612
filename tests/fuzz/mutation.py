"""Changes of bytes, chosen by a given source of chance."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random

MAX_CASE_BYTES = 256 << 10
_NUMBERS = (0, 1, 2, 7, 8, 15, 16, 17, 127, 128, 255, 256, 511, 512, 1023, 1024, 4096, 65535, 65536, 65552)
_EDGES = tuple(1 << power for power in (20, 24, 26, 30, 31, 32, 40, 53, 62, 63, 64))
INTEGERS = (*_NUMBERS, *_EDGES, *(edge - 1 for edge in _EDGES), *(edge + 1 for edge in _EDGES))
_FORMATS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def mutate_bytes(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """The case after one to eight changes; `others` are cases that pieces may be taken from."""
    for _ in range(1 << rng.randrange(4)):
        case = rng.choice(_CHANGES)(rng, case, others)[:MAX_CASE_BYTES]
    return case


def mutate_fields(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """As `mutate_bytes`, of strings with their lengths before them, one in the other, as SSH has them: what
    changes inside keeps right lengths around it."""
    fields, rest = _fields(case)
    if not fields or not rng.randrange(3):
        return mutate_bytes(rng, case, others)
    at = rng.randrange(len(fields))
    match rng.randrange(6):
        case 0:
            del fields[at]
        case 1:
            fields.insert(rng.randrange(len(fields) + 1), fields[at])
        case _:
            fields[at] = mutate_fields(rng, fields[at], others)
    return b"".join(struct.pack(">I", len(field)) + field for field in fields) + rest


def _fields(data: bytes) -> tuple[list[bytes], bytes]:
    """The strings that the data begins with, and what is behind them."""
    fields = []
    while len(data) >= 4 and (size := int.from_bytes(data[:4])) <= len(data) - 4:
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    return fields, data


def span(rng: Random, size: int) -> tuple[int, int]:
    """Start and end of a piece of `size` bytes, mostly a short one."""
    start = rng.randrange(size + 1)
    return start, min(size, start + rng.choice((1, 1, 2, 4, 8, 16, 64, 512, size)))


def _flip(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    if not case:
        return rng.randbytes(1)
    changed = bytearray(case)
    changed[rng.randrange(len(case))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    start, end = span(rng, len(case))
    fill = rng.choice((b"\0", b"\xff", b"\n", b" ", b'"', b"A"))
    return case[:start] + fill * (end - start) + case[end:]


def _insert(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(case) + 1)
    return case[:start] + rng.randbytes(rng.choice((1, 2, 4, 16, 80))) + case[start:]


def _delete(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    start, end = span(rng, len(case))
    return case[:start] + case[end:]


def _repeat(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    start, end = span(rng, len(case))
    times = min(rng.choice((2, 2, 3, 10, 1000)), 1 + MAX_CASE_BYTES // max(1, end - start))
    return case[:start] + case[start:end] * times + case[end:]


def _cut(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(case) + 1)
    return case[:at] if rng.randrange(4) else case[at:]


def _integer(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    form = rng.choice(_FORMATS)
    size = struct.calcsize(form)
    number = rng.choice(INTEGERS) % (1 << 8 * size)
    start = rng.randrange(max(1, len(case) - size + 1))
    return case[:start] + struct.pack(form, number) + case[start + size :]


def _nudge(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """A number that may be a length becomes a little more or less."""
    form = rng.choice(_FORMATS)
    size = struct.calcsize(form)
    if len(case) < size:
        return case
    start = rng.randrange(len(case) - size + 1)
    (number,) = struct.unpack_from(form, case, start)
    number = (number + rng.choice((-16, -2, -1, 1, 2, 16))) % (1 << 8 * size)
    return case[:start] + struct.pack(form, number) + case[start + size :]


def _splice(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    start, end = span(rng, len(other))
    at, behind = span(rng, len(case))
    return case[:at] + other[start:end] + case[rng.choice((at, behind)) :]


def _cross(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of one, the end of another."""
    other = rng.choice(others)
    return case[: rng.randrange(len(case) + 1)] + other[rng.randrange(len(other) + 1) :]


def _move_line(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    lines = case.split(b"\n")
    taken = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.randrange(3)):  # none: it is taken out; two: it stands there twice
        lines.insert(rng.randrange(len(lines) + 1), taken)
    return b"\n".join(lines)


_CHANGES = (
    _flip,
    _flip,
    _set,
    _insert,
    _delete,
    _repeat,
    _cut,
    _integer,
    _nudge,
    _splice,
    _cross,
    _move_line,
)
