"""Many small files at once: what the rules ask of each record by itself, asked of all of them together.

Most records of a device are small files, and to ask each by itself takes longer than all else that reading a
manifest does. Here the rules are put to columns: one look at all paths, one at all sums. The answer is "they
obey" or "ask each": whoever asks then goes through them one by one, which finds what is wrong, or that
nothing is. So this never refuses anything, and has no words for it.

Does not: know of frames beyond their size, or take what is rare (paths that are not UTF-8, extended
attributes): such files are asked one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import add, attrgetter, ge, lt
from typing import NamedTuple

from transfer.core.paths import MAX_KEY_BYTES, are_plain
from transfer.core.records import File, ObjectFacts

_HEX_DIGITS = b"0123456789abcdef"
_columns = attrgetter(
    *("path", "path_base64", "xattrs", "chunks", "object", "offset", "size_bytes"),
    *("blake3", "crc64nvme", "crc32c"),
)


class Obedient(NamedTuple):
    """Files that obey the rules: between which paths, and where the content of the last one ends."""

    first_path: bytes
    last_path: bytes
    content_end: int
    content_bytes: int


def judge(
    files: Sequence[File], last_path: bytes, content_end: int, frame_bytes: int, *, keys: bool = False
) -> Obedient | None:
    """Whether files obey all rules that small files of one B frame have to; None: ask each.

    Args:
        files: their records, one at least, in the order of the segment.
        last_path: what their paths have to come behind.
        content_end: what their content has to lie behind.
        frame_bytes: and inside of.
        keys: their paths are keys of a bucket.
    """
    paths, encoded, xattrs, chunks, objects, offsets, sizes, *sums = zip(*map(_columns, files), strict=True)
    if not (all(map(_is_simple, objects)) if keys else objects.count(None) == len(objects)):
        return None
    if any(encoded) or any(xattrs) or None in offsets or chunks.count(None) < len(files):
        return None
    ends = [content_end, *map(add, offsets, sizes)]
    if ends[-1] > frame_bytes or not all(map(ge, offsets, ends)):
        return None
    if keys and max(map(len, paths)) > MAX_KEY_BYTES // 4:  # characters of up to four bytes
        return None
    first, last = paths[0].encode(), paths[-1].encode()
    in_order = last_path < first and all(map(lt, paths, paths[1:]))  # code points sort as their UTF-8 does
    if not (in_order and are_plain(paths) and _are_hex(chain.from_iterable(sums))):
        return None
    return Obedient(first, last, ends[-1], sum(sizes))


def _is_simple(facts: ObjectFacts | None) -> bool:
    """Whether an object has its own name in tar, and metadata so short that it need not be measured."""
    return facts is not None and not (facts.member or facts.history or len(facts.user) + len(facts.tags) > 3)


def _are_hex(sums: Iterable[str]) -> bool:
    return not "".join(sums).encode().translate(None, _HEX_DIGITS)
