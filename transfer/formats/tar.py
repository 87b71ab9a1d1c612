"""Tar headers of POSIX.1-2001 (pax), built straight from an entry's values: FORMAT.md §8.

The bytes are a pure function of the values, so a verifier can build them anew and compare. Nothing is parsed
here: no reader of ours trusts a tar header.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache

from transfer.core.record_rules import tar_name
from transfer.core.records import Begin, Data, Directory, File, Hardlink, Symlink

BLOCK_BYTES = 512
END_OF_ARCHIVE = bytes(2 * BLOCK_BYTES)

REGULAR, HARD_LINK, SYMBOLIC_LINK, FOLDER = b"0", b"1", b"2", b"5"

_NS = 1_000_000_000
_MAX_OCTAL_11 = 8**11
_MAX_OCTAL_7 = 8**7
_BLANKS = 8 * 0x20  # the checksum field counts as eight blanks (POSIX ustar)
_USTAR = b"ustar\00000"


def padding_bytes(size: int) -> int:
    """How many zero bytes fill content of `size` up to a whole block."""
    return -size % BLOCK_BYTES


def record_header(record: Data | Begin) -> bytes:
    """The header bytes of the member that `record` describes."""
    name = tar_name(record)
    match record:
        case File() | Begin():
            typeflag, size, target = FOLDER if name.endswith(b"/") else REGULAR, record.size_bytes, b""
        case Directory():
            typeflag, size, target = FOLDER, 0, b""
        case Symlink():
            typeflag, size, target = SYMBOLIC_LINK, 0, record.target_bytes
        case Hardlink():
            typeflag, size, target = HARD_LINK, 0, record.target_bytes
    owner = (record.mode, record.uid, record.gid, record.user, record.group)
    return member_header(name, typeflag, size, record.mtime_ns, owner, target, record.xattrs)


def member_header(
    path: bytes,
    typeflag: bytes,
    size: int,
    mtime_ns: int,
    owner: tuple[int, int, int, str, str],
    target: bytes = b"",
    xattrs: Mapping[str, str] | None = None,
) -> bytes:
    """One member's extended header, where one is needed, and its ustar header.

    Args:
        path: entry path; a directory's ends in "/".
        typeflag: one of REGULAR, HARD_LINK, SYMBOLIC_LINK, FOLDER.
        size: content bytes that follow.
        mtime_ns: modification time, ns since the epoch.
        owner: mode, uid, gid, user name, group name.
        target: link target.
        xattrs: names to base64 values.
    """
    pax = _path_records(path, target)
    if size >= _MAX_OCTAL_11:
        pax += _record(b"size", b"%d" % size)
    middle, tail, static_sum, owner_pax = _static_fields(owner, typeflag)
    pax += owner_pax
    seconds, ns = divmod(mtime_ns, _NS)
    if ns or not 0 <= seconds < _MAX_OCTAL_11:
        pax += _record(b"mtime", _decimal(mtime_ns))
    if xattrs:
        pax += _xattr_records(xattrs)
    head = path[:100].ljust(100, b"\0") + middle
    numbers = b"%011o\0%011o\0" % (
        size if size < _MAX_OCTAL_11 else 0,
        seconds if 0 <= seconds < _MAX_OCTAL_11 else 0,
    )
    link = target[:100]
    checksum = static_sum + sum(path[:100]) + sum(numbers) + sum(link)
    ustar = b"%b%b%06o\0 %b%b%b" % (head, numbers, checksum, typeflag, link.ljust(100, b"\0"), tail)
    return _extended(pax) + ustar if pax else ustar


def _path_records(path: bytes, target: bytes) -> bytes:
    """The pax records for names that do not fit, or do not say their encoding, in the ustar fields."""
    path_fits = len(path) <= 100 and path.isascii()
    target_fits = len(target) <= 100 and target.isascii()
    if path_fits and target_fits:
        return b""
    pax = b"" if _is_utf8(path) and _is_utf8(target) else _record(b"hdrcharset", b"BINARY")
    if not path_fits:
        pax += _record(b"path", path)
    if not target_fits:
        pax += _record(b"linkpath", target)
    return pax


@lru_cache(maxsize=4096)
def _static_fields(owner: tuple[int, int, int, str, str], typeflag: bytes) -> tuple[bytes, bytes, int, bytes]:
    """What most members of a tree share.

    Returns:
        The fields between name and size, those behind the link name, the sum of both, and pax records.
    """
    mode, uid, gid, user, group = owner
    pax = b""
    for key, number in ((b"uid", uid), (b"gid", gid)):
        if number >= _MAX_OCTAL_7:
            pax += _record(key, b"%d" % number)
    names = user.encode(), group.encode()
    for key, name in zip((b"uname", b"gname"), names, strict=True):
        if len(name) > 31 or not name.isascii():
            pax += _record(key, name)
    middle = b"%07o\0%07o\0%07o\0" % (
        mode,
        uid if uid < _MAX_OCTAL_7 else 0,
        gid if gid < _MAX_OCTAL_7 else 0,
    )
    fields = [name[:31].ljust(32, b"\0") for name in names]
    tail = _USTAR + fields[0] + fields[1] + b"0000000\0" * 2 + bytes(155 + 12)
    return middle, tail, sum(middle) + sum(tail) + sum(typeflag) + _BLANKS, pax


def _extended(pax: bytes) -> bytes:
    return _extended_header(len(pax)) + pax + bytes(padding_bytes(len(pax)))


@lru_cache(maxsize=1024)
def _extended_header(size: int) -> bytes:
    """The ustar header before `size` bytes of pax records (typeflag x)."""
    head = b"PaxHeader".ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0%011o\0" % (size, 0)
    tail = bytes(100) + _USTAR + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
    return head + b"%06o\0 x" % (sum(head) + sum(tail) + ord("x") + _BLANKS) + tail


def _record(key: bytes, value: bytes) -> bytes:
    """One pax record, "LENGTH KEY=VALUE\\n", whose length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)
    return b"%d %b=%b\n" % (length, key, value)


def _decimal(mtime_ns: int) -> bytes:
    """Seconds as a decimal: sign, whole seconds, up to nine digits behind the point, no trailing zeros."""
    seconds, ns = divmod(abs(mtime_ns), _NS)
    sign = b"-" if mtime_ns < 0 else b""
    fraction = (b".%09d" % ns).rstrip(b"0") if ns else b""
    return b"%b%d%b" % (sign, seconds, fraction)


def _xattr_records(xattrs: Mapping[str, str]) -> bytes:
    names = sorted((name.encode(), value) for name, value in xattrs.items())
    return b"".join(_record(b"SCHILY.xattr." + name, base64.b64decode(value)) for name, value in names)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
