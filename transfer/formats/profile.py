"""Device profiles: what a kind of device can hold, how fast it is, and how it is best filled.

A profile is a TOML file, one of device_profiles/ or the user's own. Parsing is strict: an unknown, missing or
wrong field is one UsageError that names the file, the field and what is allowed. Amounts are written as SIZE
and RATE (`core.sizes`): "80TB" are powers of 1,000, "8MiB" of 1,024.

Rules between fields:
    - The chunk size is a power of two from 64 KiB to 64 MiB: whole chunks make up parts of 5 MiB and more.
    - A batch, whole small files in one frame, is at most a chunk.
    - A pack holds at least two chunks and is at most the largest file of the device's file system.
    - The reserve, kept free for the seal, reports and the file system, leaves room for a pack.

Does not: look at a disk. Whether a real device is as large as its profile says is found out in `device`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from transfer.core.sizes import GIB, KIB, MIB, format_size_exact
from transfer.formats.toml_table import TomlTable

MIN_CHUNK_SIZE_BYTES: Final = 64 * KIB
MAX_CHUNK_SIZE_BYTES: Final = 64 * MIB
MAX_PACK_SIZE_BYTES: Final = 256 * GIB

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)
_FRACTION: Final = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)%", re.ASCII)
_MAX_AMOUNT: Final = 2**63 - 1


class FileSystem(msgspec.Struct, frozen=True, kw_only=True):
    """What the device's file system takes.

    Attributes:
        max_file_size_bytes: the largest file; None where there is no limit that matters.
        forbidden_characters: characters that no name may hold, besides "/" and NUL.
        forbids_control_characters: names may not hold U+0001 to U+001F either.
        max_name_length: the longest name, in `name_unit`.
        name_unit: "bytes", or "utf-16" code units.
        case_sensitive: names that differ in case alone are two files.
        symlinks: symbolic links can be made.
        hard_links: hard links can be made.
        unix_modes: owner, group and mode are kept.
    """

    max_file_size_bytes: int | None
    forbidden_characters: str
    forbids_control_characters: bool
    max_name_length: int
    name_unit: str
    case_sensitive: bool
    symlinks: bool
    hard_links: bool
    unix_modes: bool


class PackRules(msgspec.Struct, frozen=True, kw_only=True):
    """How packs are cut (FORMAT.md §6).

    Attributes:
        pack_size_bytes: no pack file is larger, as it is stored.
        chunk_size_bytes: the unit of content in which large files are framed.
        batch_size_bytes: the most content that small files in one frame come to.
        batch_entries: the most members in one frame.
        max_entries: the most entries of a pack; bounds its segment and the memory to read it.
    """

    pack_size_bytes: int
    chunk_size_bytes: int
    batch_size_bytes: int
    batch_entries: int
    max_entries: int


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """How the device travels.

    Attributes:
        days: days on the way, in one direction; 0 where nothing travels.
        cost: what a trip costs, in words; empty where nobody knows.
        notes: what the person who packs it should know.
    """

    days: int
    cost: str
    notes: str


class DeviceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of device.

    Attributes:
        name: what the command line calls it; letters, digits and hyphens.
        title: one line for people.
        interface: how it is connected, for people.
        capacity_bytes: what it holds; None is all that its file system has.
        reserve_bytes: how much of that stays free, as an amount.
        reserve_fraction: how much stays free, as a part of the capacity.
        level: the zstd level, 1 to 19.
        write_bytes_s: the expected speed of writing to it.
        read_bytes_s: the expected speed of reading from it.
    """

    name: str
    title: str
    interface: str
    capacity_bytes: int | None
    reserve_bytes: int
    reserve_fraction: float
    file_system: FileSystem
    pack: PackRules
    level: int
    write_bytes_s: int
    read_bytes_s: int
    carrier: Carrier

    def reserve_of(self, capacity_bytes: int) -> int:
        """Bytes to keep free of a device that holds `capacity_bytes`."""
        return self.reserve_bytes + round(self.reserve_fraction * capacity_bytes)

    def usable_bytes(self, file_system_bytes: int) -> int:
        """Bytes that may be filled on a file system of the given size, never less than 0."""
        capacity = min(file_system_bytes, self.capacity_bytes or file_system_bytes)
        return max(0, capacity - self.reserve_of(capacity))


def parse_profile(text: bytes, where: str) -> DeviceProfile:
    """Read a profile; `where` names the file in errors.

    Raises:
        UsageError: not TOML, a field that is unknown, missing or wrong, or fields that contradict each other.
    """
    table = TomlTable.parse(text, where)
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.error(
            "name", f"{name[:80]!r} is not a name", "use up to 64 of a-z, 0-9 and inner hyphens"
        )
    reserve_bytes, reserve_fraction = _parse_reserve(table)
    compression, speed = table.table("compression"), table.table("speed")
    profile = DeviceProfile(
        name=name,
        title=table.text("title"),
        interface=table.text("interface"),
        capacity_bytes=table.size("capacity", word="all"),
        reserve_bytes=reserve_bytes,
        reserve_fraction=reserve_fraction,
        file_system=_parse_file_system(table.table("file_system")),
        pack=_parse_pack(table.table("pack")),
        level=compression.integer("level", 1, 19),
        write_bytes_s=speed.rate("write"),
        read_bytes_s=speed.rate("read"),
        carrier=_parse_carrier(table.table("carrier")),
    )
    for read in (compression, speed, table):
        read.close()
    _check_together(profile, table)
    return profile


def _parse_reserve(table: TomlTable) -> tuple[int, float]:
    text = table.text("reserve")
    match = _FRACTION.fullmatch(text)
    if match:
        return 0, float(match[1]) / 100
    if "%" in text:
        raise table.error(
            "reserve", f"{text[:80]!r} is not a share", 'write "2%" or "0.5%", or a size such as "1GiB"'
        )
    return table.size_in("reserve", 0, _MAX_AMOUNT), 0.0


def _parse_file_system(table: TomlTable) -> FileSystem:
    read = FileSystem(
        max_file_size_bytes=table.size("max_file_size", word="none"),
        forbidden_characters=table.text("forbidden_characters"),
        forbids_control_characters=table.flag("forbids_control_characters"),
        max_name_length=table.integer("max_name_length", 8, 65_535),
        name_unit=table.choice("name_unit", ("bytes", "utf-16")),
        case_sensitive=table.flag("case_sensitive"),
        symlinks=table.flag("symlinks"),
        hard_links=table.flag("hard_links"),
        unix_modes=table.flag("unix_modes"),
    )
    table.close()
    return read


def _parse_pack(table: TomlTable) -> PackRules:
    read = PackRules(
        pack_size_bytes=table.size_in("pack_size", 2 * MIN_CHUNK_SIZE_BYTES, MAX_PACK_SIZE_BYTES),
        chunk_size_bytes=table.size_in("chunk_size", MIN_CHUNK_SIZE_BYTES, MAX_CHUNK_SIZE_BYTES, "8MiB"),
        batch_size_bytes=table.size_in("batch_size", 1, MAX_CHUNK_SIZE_BYTES, "4MiB"),
        batch_entries=table.integer("batch_entries", 1, 100_000, 500),
        max_entries=table.integer("max_entries", 1, 10_000_000, 100_000),
    )
    table.close()
    if read.chunk_size_bytes.bit_count() != 1:
        chunk = format_size_exact(read.chunk_size_bytes)
        raise table.error("chunk_size", f"{chunk} is not a power of two", 'write "8MiB", "16MiB" or another')
    if read.batch_size_bytes > read.chunk_size_bytes:
        raise table.error("batch_size", "is larger than chunk_size", "a batch fills at most one chunk")
    if read.batch_entries > read.max_entries:
        raise table.error("batch_entries", "is larger than max_entries", "a pack holds whole batches")
    if read.pack_size_bytes < 2 * read.chunk_size_bytes:
        raise table.error("pack_size", "is less than two chunks", "make it larger, or chunk_size smaller")
    return read


def _parse_carrier(table: TomlTable) -> Carrier:
    read = Carrier(
        days=table.integer("days", 0, 365), cost=table.text("cost", ""), notes=table.text("notes", "")
    )
    table.close()
    return read


def _check_together(profile: DeviceProfile, table: TomlTable) -> None:
    pack_size, largest = profile.pack.pack_size_bytes, profile.file_system.max_file_size_bytes
    if largest is not None and pack_size > largest:
        limit = format_size_exact(largest)
        raise table.error(
            "pack.pack_size", f"is larger than file_system.max_file_size, {limit}", "make it smaller"
        )
    capacity = profile.capacity_bytes
    if capacity is not None and profile.usable_bytes(capacity) < pack_size:
        raise table.error(
            "reserve", "leaves no room for a pack within capacity", "lower reserve or pack.pack_size"
        )
