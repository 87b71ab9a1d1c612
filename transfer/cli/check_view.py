"""What `transfer check` says of what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer.cli.console import Console, clip, printable

if TYPE_CHECKING:
    from transfer.jobs.check.options import CheckOptions
    from transfer.jobs.check.results import Checked, Difference

_SHOWN = 20
_WAYS = {
    "crc64nvme": "the store's CRC64NVME",
    "crc32c": "the store's CRC32C",
    "download": "reading every byte (BLAKE3)",
    "blake3": "reading every byte (BLAKE3)",
    "checksum": "the checksum that the export saw",
    "etag": "size and the ETag that the export saw, no digest",
    "size": "size alone",
    "size-and-time": "size and time alone",
    "empty": "their size, as they are empty",
    "target": "where they lead",
    "folder": "being folders",
}


def conclude(
    console: Console,
    devices: list[str],
    target: str,
    options: CheckOptions,
    checked: Checked,
    *,
    is_silent: bool,
) -> int:
    """Say what came of a check; the exit code.

    Args:
        console: where.
        devices: as they were named.
        target: as it was named.
        options: of the check.
        checked: what came of it.
        is_silent: standard output has a list already.
    """
    if not is_silent:
        console.result(_document(devices, target, options, checked), _lines(devices, target, checked))
    for defect in checked.defects[:_SHOWN]:
        console.warn(f"a device is damaged, its manifest is whole: {defect}")
    for note in checked.notes:
        console.warn(note)
    for one in checked.first[:_SHOWN]:
        console.warn(clip(f"{one.state}: {_path(one)}: {one.reason}"))
    if checked.differences:
        told = ", ".join(f"{count:,} {state}" for state, count in sorted(checked.states.items()))
        console.warn(
            f"{checked.differences:,} entries are not the same: {told}; --combined FILE lists them all"
        )
    if checked.not_on_device:
        first = ", ".join(_path(one) for one in checked.not_on_device_first[:3])
        what = f"{checked.not_on_device:,} entries never came onto the device, and were not compared"
        console.warn(clip(f"{what}: {first}{', ...' if checked.not_on_device > 3 else ''}"))
    return checked.exit_code


def _path(one: Difference) -> str:
    from transfer.core.paths import display, from_text

    return display(from_text(one.path, one.path_base64))


def _document(devices: list[str], target: str, options: CheckOptions, checked: Checked) -> dict[str, Any]:
    states = ("missing", "extra", "different", "unproved")
    return {
        "devices": [printable(device) for device in devices],
        "target": printable(target),
        "quick": options.quick,
        "one_way": options.one_way,
        "entries": checked.entries,
        "same": sum(checked.same.values()),
        **{state: checked.states.get(state, 0) for state in states},  # type: ignore[call-overload]
        "same_by": checked.same,
        "bytes": checked.bytes,
        "first": checked.first,
        "not_on_device": checked.not_on_device,
        "not_on_device_first": checked.not_on_device_first,
        "unlinked": checked.unlinked,
        "symlinks_left_out": checked.symlinks_left_out,
        "older_versions": checked.older_versions,
        "defects": checked.defects,
        "notes": checked.notes,
    }


def _lines(devices: list[str], target: str, checked: Checked) -> list[str]:
    from transfer.core.sizes import format_size

    what = devices[0] if len(devices) == 1 else f"{len(devices)} devices"
    same = f"{sum(checked.same.values()):,} entries, {format_size(checked.bytes)}, are the same"
    is_alike = not checked.differences
    lines = [f"{what} and {target} {'are the same' if is_alike else 'are NOT the same'}: {same}"]
    ways: dict[str, int] = {}
    for how, count in checked.same.items():
        ways[_WAYS[how]] = ways.get(_WAYS[how], 0) + count
    if ways:
        lines.append("  seen by " + "; ".join(f"{way}: {count:,}" for way, count in ways.items()))
    if checked.unlinked:
        lines.append(f"  {checked.unlinked:,} hard links have the right content, in files of their own")
    if checked.symlinks_left_out:
        lines.append(f"  {checked.symlinks_left_out:,} symbolic links were left out, as asked")
    if checked.older_versions:
        lines.append(
            "  of keys with versions the newest were compared; "
            f"{checked.older_versions:,} older ones and delete markers were not"
        )
    return lines
