"""Whether the bytes that were read are those that the store has a checksum of.

Of the sums a store tells of a whole object the best one is computed while the bytes pass: CRC64NVME, CRC32C,
CRC32, SHA256, SHA1, else the MD5 that is the ETag of an object stored in one piece without keys of its own.
The sum of an upload in parts ("composite") is one over the sums of its parts: only who knows where they end
can check it. Most programs make all parts but the last one of the same size, so that of the first one is a
guess at all: where the sum then holds, the bytes are proven; where not, the guess was wrong or the bytes are,
and nobody can tell. Nothing is claimed where nothing could be compared.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from awscrt import checksums as crt

from transfer.errors import IntegrityError
from transfer.stores.checksums import encode
from transfer.stores.values import ChecksumKind, Checksums, ObjectInfo

_MD5_ETAG = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PARTS_ETAG = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})", re.ASCII)
_PARTS_MAX: Final = 100_000  # Amazon's are 10,000; others are more generous
_ETAG_IS_MD5: Final = frozenset({"", "AES256"})  # what an object is encrypted by, where its ETag is one
_COMPOSITE: Final = "composite "
_REMEDY = (
    "the bytes were damaged on their way or in the bucket: run the command again; where it says the same, "
    "the object is damaged"
)


class _Sum(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...
    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, compute: Callable[[bytes, int], int], width_bytes: int) -> None:
        self._compute = compute
        self._width_bytes = width_bytes
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._compute(data, self._value)  # type: ignore[arg-type]  # it takes any buffer

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width_bytes, "big")


_SUMS: Final[dict[str, Callable[[], _Sum]]] = {
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC32": lambda: _Crc(zlib.crc32, 4),
    "SHA256": hashlib.sha256,
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}


class ContentCheck:
    """Checks the bytes of one whole object, given in their order.

    Attributes:
        name: of the sum it checks (`CRC32C`; `composite CRC32C`); None where there is none to check.
    """

    def __init__(
        self,
        info: ObjectInfo,
        part_sizes: Sequence[int] | None = None,
        *,
        first_part_bytes: int | None = None,
    ) -> None:
        """Choose the sum.

        Args:
            info: of the object.
            part_sizes: in bytes, of the parts it was uploaded in, where somebody knows them.
            first_part_bytes: of the first part, where that is all one knows (`Store.first_part_size`).
        """
        self._is_guess = part_sizes is None
        if part_sizes is None and first_part_bytes:
            part_sizes = _equal_parts(info, first_part_bytes)
        self._info = info
        self._size_bytes = 0
        self.name: str | None = None
        self._expected = ""
        self._sum: _Sum | None = None
        if (whole := _whole_sum(info)) is not None:
            self.name, self._expected = whole
            self._sum = _SUMS[self.name]()
        elif (
            part_sizes
            and sum(part_sizes) == info.size_bytes
            and (of_parts := _sum_of_parts(info, part_sizes))
        ):
            algorithm, self._expected = of_parts
            self.name = f"{_COMPOSITE}{algorithm}"
            self._sum = _Composite(_SUMS[algorithm], part_sizes)

    def update(self, data: bytes | memoryview) -> None:
        """The next bytes of the object."""
        self._size_bytes += data.nbytes if isinstance(data, memoryview) else len(data)
        if self._sum is not None:
            self._sum.update(data)

    def verify(self) -> str | None:
        """Compare, when all bytes were given.

        Returns:
            The name of the sum that holds; None where there was none to compare.

        Raises:
            IntegrityError: the bytes are not those the store has the sum of, or not as many.
        """
        if self._size_bytes != self._info.size_bytes:
            raise _wrong(self._info, "size", f"{self._info.size_bytes:,}", f"{self._size_bytes:,}")
        if self._sum is None or self.name is None:
            return None
        digest = self._sum.digest()
        found = digest.hex() if self.name.endswith("MD5") else base64.b64encode(digest).decode()
        if found != self._expected and self._is_guess and self.name.startswith(_COMPOSITE):
            return None
        if found != self._expected:
            raise _wrong(self._info, self.name, self._expected, found)
        return self.name


def has_composite_only(info: ObjectInfo) -> bool:
    """Whether all that the store tells are sums of parts: then `Store.first_part_size` may be of use."""
    told = [*info.checksums.values(), *([info.etag] if _PARTS_ETAG.fullmatch(info.etag) else [])]
    return bool(told) and _whole_sum(info) is None


def known_sums_hold(info: ObjectInfo, checksums: Checksums) -> str | None:
    """The same from CRCs that were taken of the whole object already, without its bytes.

    Returns:
        The name of the CRC that holds; None where the store tells neither of the whole object.

    Raises:
        IntegrityError: the object read is not the one the store has the CRC of.
    """
    for kind, value in (
        (ChecksumKind.CRC64NVME, checksums.crc64nvme),
        (ChecksumKind.CRC32C, checksums.crc32c),
    ):
        expected = info.checksums.get(kind.value, "")
        if expected and "-" not in expected:
            if expected != encode(value, kind):
                raise _wrong(info, kind.value, expected, encode(value, kind))
            return kind.value
    return None


class _Composite:
    """The sum over the sums of parts."""

    def __init__(self, make: Callable[[], _Sum], part_sizes: Sequence[int]) -> None:
        self._make = make
        self._sizes = [*part_sizes]
        self._at = 0
        self._left = self._sizes[0]
        self._whole, self._part = make(), make()

    def update(self, data: bytes | memoryview, /) -> None:
        view = memoryview(data).cast("B")
        while view.nbytes:
            piece = view[: self._left]
            self._part.update(piece)
            self._left -= piece.nbytes
            view = view[piece.nbytes :]
            if not self._left:
                self._next_part()
                if self._at == len(self._sizes):
                    return  # more bytes than parts: the size tells

    def digest(self) -> bytes:
        return self._whole.digest()

    def _next_part(self) -> None:
        self._whole.update(self._part.digest())
        self._part = self._make()
        self._at += 1
        self._left = self._sizes[self._at] if self._at < len(self._sizes) else 0


def _whole_sum(info: ObjectInfo) -> tuple[str, str] | None:
    """The best sum of the whole object, and its value as the store writes it."""
    for name in _SUMS:
        told = info.checksums.get(name, "")
        if told and "-" not in told:
            return name, told
    if info.encrypted_by in _ETAG_IS_MD5 and _MD5_ETAG.fullmatch(info.etag):
        return "MD5", info.etag
    return None


def _equal_parts(info: ObjectInfo, first_bytes: int) -> Sequence[int] | None:
    """The sizes of the parts, were all but the last as large as the first; None for far too many."""
    parts = -(-info.size_bytes // first_bytes) if first_bytes > 0 else 0
    if not 0 < parts <= _PARTS_MAX:
        return None
    return [*([first_bytes] * (parts - 1)), info.size_bytes - first_bytes * (parts - 1)]


def _sum_of_parts(info: ObjectInfo, part_sizes: Sequence[int]) -> tuple[str, str] | None:
    """The best composite sum over so many parts, and its value without their number."""
    if any(size < 1 for size in part_sizes):
        return None
    for name in _SUMS:
        value, dash, count = info.checksums.get(name, "").partition("-")
        if dash and count == str(len(part_sizes)):
            return name, value
    match = _PARTS_ETAG.fullmatch(info.etag)
    if match and info.encrypted_by in _ETAG_IS_MD5 and match[1] == str(len(part_sizes)):
        return "MD5", info.etag.partition("-")[0]
    return None


def _wrong(info: ObjectInfo, name: str, told: str, found: str) -> IntegrityError:
    version = f" (version {info.version_id})" if info.version_id else ""
    return IntegrityError(
        f"object {info.key!r}{version}: its {name} is {told} in the store, {found} as read", remedy=_REMEDY
    )
