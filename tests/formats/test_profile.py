"""Device profiles: those that come along are sound, every mistake in one's own is named with its remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.device.profiles import load_profile, profile_names
from transfer.errors import UsageError
from transfer.formats.packaged import packaged_names, read_packaged
from transfer.formats.profile import DeviceProfile, parse_profile

GOOD = """\
name = "disk"
title = "A disk"
interface = "USB"
capacity = "1TB"
reserve = "1%"
[file_system]
max_file_size = "none"
forbidden_characters = ""
forbids_control_characters = false
max_name_length = 255
name_unit = "bytes"
case_sensitive = true
symlinks = true
hard_links = true
unix_modes = true
[pack]
pack_size = "1GiB"
[compression]
level = 3
[speed]
write = "100MB/s"
read = "200MB/s"
[carrier]
days = 2
"""


def changed(old: str, new: str) -> bytes:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new).encode()


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_that_comes_along_loads_by_its_name_and_keeps_its_promises(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    # A crash costs at most one pack: less than a minute of writing.
    assert profile.pack.pack_size_bytes < 60 * profile.write_bytes_s
    assert (
        profile.capacity_bytes is None
        or profile.usable_bytes(profile.capacity_bytes) > 0.9 * profile.capacity_bytes
    )


def test_the_profiles_that_come_along_are_those_of_the_documentation() -> None:
    assert profile_names() == [
        "exfat-portable",
        "fat32-stick",
        "folder",
        "nas-share",
        "sd-card-512gb",
        "snowball-edge-80tb",
        "snowcone-ssd-14tb",
        "usb-hdd-16tb",
        "usb-ssd-4tb",
    ]


def test_every_field_arrives() -> None:
    profile = parse_profile(GOOD.encode(), "disk.toml")
    assert (profile.name, profile.title, profile.interface) == ("disk", "A disk", "USB")
    assert (profile.capacity_bytes, profile.level) == (10**12, 3)
    assert (profile.write_bytes_s, profile.read_bytes_s) == (100_000_000, 200_000_000)
    assert profile.file_system.max_file_size_bytes is None
    assert (profile.carrier.days, profile.carrier.cost, profile.carrier.notes) == (2, "", "")


def test_what_a_pack_does_not_say_has_its_default() -> None:
    pack = parse_profile(GOOD.encode(), "disk.toml").pack
    assert (pack.pack_size_bytes, pack.chunk_size_bytes, pack.batch_size_bytes) == (2**30, 2**23, 2**22)
    assert (pack.batch_entries, pack.max_entries) == (500, 100_000)


def test_the_reserve_is_a_share_of_what_there_is_or_an_amount() -> None:
    share = parse_profile(GOOD.encode(), "disk.toml")
    assert share.usable_bytes(2 * 10**12) == 990_000_000_000
    assert share.usable_bytes(10**11) == 99_000_000_000
    amount = parse_profile(changed('"1%"', '"10GB"'), "disk.toml")
    assert amount.usable_bytes(2 * 10**12) == 990_000_000_000
    assert amount.usable_bytes(10**9) == 0
    whole = parse_profile(changed('"1TB"', '"all"'), "disk.toml")
    assert (whole.capacity_bytes, whole.usable_bytes(2 * 10**12)) == (None, 1_980_000_000_000)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('name = "disk"\n', "", "disk.toml: name: is missing, it must be a text in quotes"),
        ('"disk"', '"My Disk"', "name: 'My Disk' is not a name"),
        ('"A disk"', '"""A\ndisk"""', "title: must be one line"),
        ('"A disk"', f'"{"x" * 1001}"', "title: must be one line of at most 1,000"),
        ('"1TB"', '"1 terabyte"', "capacity: '1 terabyte' is not a size"),
        ('"1TB"', "1000", "capacity: must be a text in quotes, not '1000'"),
        ('"1%"', '"1 %"', "reserve: '1 %' is not a share"),
        ('"1%"', '"-1%"', "reserve: '-1%' is not a share"),
        ('"1%"', '"plenty"', "reserve: 'plenty' is not a size"),
        ('"1%"', '"1TB"', "reserve: leaves no room for a pack"),
        ('"1%"', '"99.950%"', "reserve: leaves no room for a pack"),
        ("[file_system]", "[filesystem]", "file_system.max_file_size: is missing"),
        ('"none"', '"1MB"', "pack.pack_size: is larger than file_system.max_file_size, 1MB"),
        ("max_name_length = 255", "max_name_length = 7", "file_system.max_name_length: 7 is out of range"),
        ('"bytes"', '"letters"', "file_system.name_unit: 'letters' is not allowed"),
        ("symlinks = true", 'symlinks = "yes"', "file_system.symlinks: must be true or false, not 'yes'"),
        ('"1GiB"', '"15MiB"', "pack.pack_size: is less than two chunks"),
        ('"1GiB"', '"1TB"', "pack.pack_size: 1000000000000 bytes are out of range"),
        ('"1GiB"', '"1GiB"\nchunk_size = "9MiB"', "pack.chunk_size: 9MiB is not a power of two"),
        ('"1GiB"', '"1GiB"\nchunk_size = "128MiB"', "pack.chunk_size: 134217728 bytes are out of range"),
        ('"1GiB"', '"1GiB"\nchunk_size = "32KiB"', "pack.chunk_size: 32768 bytes are out of range"),
        ('"1GiB"', '"1GiB"\nchunk_size = "1MiB"', "pack.batch_size: is larger than chunk_size"),
        ('"1GiB"', '"1GiB"\nmax_entries = 10', "pack.batch_entries: is larger than max_entries"),
        ('"1GiB"', '"1GiB"\nchunksize = "8MiB"', "pack.chunksize: unknown field"),
        ("level = 3", "level = 20", "compression.level: 20 is out of range"),
        ("level = 3", "level = 0", "compression.level: 0 is out of range"),
        ("level = 3", "level = true", "compression.level: must be a whole number, not 'True'"),
        ("level = 3", "level = 3.0", "compression.level: must be a whole number, not '3.0'"),
        ('"100MB/s"', '"fast"', "speed.write: 'fast' is not a rate"),
        ("days = 2", "days = 2\ncosts = 9", "carrier.costs: unknown field"),
        ("days = 2", "days = 2\n[extra]\nx = 1", "extra: unknown field"),
        ("[pack]", "[[pack]]", "pack: must be a table"),
        ("days = 2", "days = ", "disk.toml: not TOML"),
        ("days = 2", "days = 2\ndays = 3", "disk.toml: not TOML"),
    ],
)
def test_a_mistake_is_one_error_that_names_file_and_field(old: str, new: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_profile(changed(old, new), "disk.toml")
    assert caught.value.what.startswith("disk.toml: ")
    assert what in caught.value.what
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ('"1GiB"', '"1GiB"\nchunksize = "8MiB"', "did you mean 'chunk_size'?"),
        ("days = 2", "days = 2\ncosts = 9", "known here: cost, days, notes"),
        ('"bytes"', '"letters"', 'allowed are "bytes", "utf-16"'),
        ("level = 3", "level = 20", "allowed is 1 to 19"),
        ('"1TB"', '"much"', 'write "all", or'),
        ('"100MB/s"', '"fast"', "200MB/s"),
    ],
)
def test_the_remedy_says_what_is_allowed(old: str, new: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_profile(changed(old, new), "disk.toml")
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b'name = "\xff"', "not UTF-8 at byte 8"),
        (b"#" * 65_537, "larger than 65,536 bytes"),
        (b"a = " + b"[" * 20_000, "not TOML"),
        (b"", "name: is missing"),
    ],
)
def test_what_is_no_profile_at_all_is_refused(text: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"x.toml: {what}")):
        parse_profile(text, "x.toml")


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 30))
def test_any_text_is_a_profile_or_one_usage_error(noise: bytes, at: int, cut: int) -> None:
    text = GOOD.encode()
    try:
        profile = parse_profile(text[:at] + noise + text[at + cut :], "disk.toml")
    except UsageError as error:
        assert error.what.startswith("disk.toml: ")
    else:
        assert isinstance(profile, DeviceProfile)


def test_a_profile_of_ones_own_is_given_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "disk.toml"
    path.write_text(GOOD)
    assert load_profile(str(path)).name == "disk"
    with pytest.raises(UsageError, match="No such file"):
        load_profile("missing.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        load_profile(f"{tmp_path}/")


@pytest.mark.parametrize(("name", "meant"), [("usb-ssd", "usb-ssd-4tb"), ("snowbal", "snowball-edge-80tb")])
def test_a_wrong_name_gets_the_nearest_one_and_the_list(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_profile(name)
    assert f"did you mean {meant!r}?" in caught.value.remedy
    assert all(known in caught.value.remedy for known in profile_names())


def test_packaged_files_are_found_by_kind_and_a_missing_one_is_our_fault() -> None:
    assert packaged_names("device_profiles", ".toml") == profile_names()
    with pytest.raises(FileNotFoundError, match=r"device_profiles/none\.toml"):
        read_packaged("device_profiles", "none.toml")
