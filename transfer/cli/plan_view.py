"""A plan as people read it: sizes and devices, times with what they rest on, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from transfer.cli.console import clip, printable, table
from transfer.core.line_rate import format_line_rate
from transfer.core.sizes import format_duration, format_rate, format_size, format_size_exact

if TYPE_CHECKING:
    from transfer.jobs.plan.options import PlanOptions
    from transfer.jobs.plan.outcome import Planned
    from transfer.jobs.plan.refusals import By, Refusal

_SHOWN = 20
_SHOWN_DEVICES = 20
_BAR_CHARS = 20

_LOST: dict[By, str] = {
    "bucket": "refused by the destination",
    "symlink": "symbolic links, which a bucket has no place for (--symlinks)",
    "device": "larger than a device",
    "skipped": "skipped by copy, as they are no files",
    "failed": "not to be read",
    "archived": "archived, so that they have to be restored first",
}
_RENAMED: dict[By, str] = {"folder": "in any folder", "windows": "on Windows", "macos": "on macOS"}


def lines(found: Planned, options: PlanOptions) -> list[str]:
    """The plan itself."""
    told = [f"{found.source}, on devices of profile {found.profile}", *_holdings(found)]
    if found.sizes:
        told += ["", *_sizes(found)]
    told += ["", *_devices(found), *_times(found, options)]
    if found.devices is not None and found.devices > 1:
        told += ["", *_fills(found)]
    return told


def warnings(found: Planned, refused_list: str | None) -> Iterator[str]:
    """What would not arrive, the first ones by name; what would get another name, by number."""
    named = [refusal for refusal in found.refused_first if refusal.by != "symlink"]
    for refusal in named[:_SHOWN]:
        yield clip(f"{_path(refusal)}: {refusal.reason}")
    lost = [f"{found.refused[by]:,} {words}" for by, words in _LOST.items() if by in found.refused]
    if lost:
        yield f"would not arrive: {', '.join(lost)}"
    other = [f"{found.refused[by]:,} {words}" for by, words in _RENAMED.items() if by in found.refused]
    if other:
        yield f"would get other names where they are restored: {', '.join(other)}"
    if found.refused and refused_list is None:
        yield "--refused-list FILE lists them all"


def _holdings(found: Planned) -> list[str]:
    counts = found.counts
    kinds = [
        f"{count:,} {word}"
        for count, word in (
            (counts.files, "files"),
            (counts.folders, "folders"),
            (counts.hardlinks, "hard links"),
            (counts.symlinks, "symbolic links"),
            (counts.delete_markers, "delete markers"),
        )
        if count
    ]
    told = [f"  holds     {counts.entries:,} entries: {', '.join(kinds) or 'nothing'}"]
    more = ""
    if counts.restored_bytes != counts.bytes:
        more = f"; {format_size(counts.restored_bytes)} in a bucket, which stores each name's content"
    told.append(
        f"  content   {format_size(counts.bytes)}, the largest {format_size(counts.largest_bytes)}{more}"
    )
    return told


def _sizes(found: Planned) -> list[str]:
    most = max(step.bytes for step in found.sizes) or 1
    rows = [
        (
            _step_name(step.at_least_bytes, step.below_bytes),
            f"{step.files:,}",
            format_size(step.bytes),
            "#" * -(-_BAR_CHARS * step.bytes // most),
        )
        for step in found.sizes
    ]
    return table(("SIZE", "FILES", "BYTES", ""), rows, right=(1, 2))


def _step_name(at_least_bytes: int, below_bytes: int) -> str:
    if below_bytes == 1:
        return "empty"
    if at_least_bytes == 1:
        return f"below {format_size_exact(below_bytes)}"
    return f"{format_size_exact(at_least_bytes)} to {format_size_exact(below_bytes)}"


def _devices(found: Planned) -> list[str]:
    if found.devices is None or found.device_bytes is None:
        told = [f"  devices   profile {found.profile} takes disks of any size: --capacity SIZE counts them"]
    else:
        many, room = f"{found.devices:,}", format_size(found.device_bytes)
        if found.copies > 1:
            many += f" x {found.copies} copies = {found.devices * found.copies:,}"
        told = [f"  devices   {many}, each with room for {room}; content is taken as not compressible"]
    if found.sample is not None:
        read, part = format_size(found.sample.bytes), 100 * found.sample.part
        likely = f"; {found.likely_devices:,} if all is like it" if found.likely_devices is not None else ""
        told.append(f"  sample    {read} of the content came to {part:.0f} % of their size{likely}")
    return told


def _times(found: Planned, options: PlanOptions) -> list[str]:
    times = found.schedule
    source = "" if options.source_bytes_s else ", if the source is as fast"
    rests = f"{format_rate(times.write_bytes_s)}{source}, and {1000 * times.file_cost_s:g} ms a file at least"
    read = format_rate(options.profile.read_bytes_s)
    told = [
        f"  filling   {format_duration(times.fill_s)} at {rests}",
        f"  carrier   {times.carrier_days:g} days",
        f"  reading   {format_duration(times.import_s)} at the destination, at {read}",
        f"  in all    {format_duration(times.total_s)}, one device after the other",
    ]
    if times.wire_s is not None and times.uplink_bits_s is not None and times.utilization is not None:
        line = f"{format_line_rate(times.uplink_bits_s)}, {100 * times.utilization:g} % of it counted on"
        told.append(f"  wire      {format_duration(times.wire_s)} at {line}; small files take longer")
        told.append(f"            {_verdict(times.wire_s, times.total_s, times.even_uplink_bits_s)}")
    return told


def _verdict(wire_s: float, total_s: float, even_bits_s: float | None) -> str:
    if even_bits_s is None or not wire_s:
        return "there is nothing to carry"
    slower, faster = max(wire_s, total_s), min(wire_s, total_s)
    which = "the carrier" if total_s < wire_s else "the wire"
    ratio = slower / faster if faster else 0.0
    factor = f"{ratio:,.{1 if ratio < 99.95 else 0}f} times as fast" if ratio else "faster"
    return f"{which} is {factor}; a line of {format_line_rate(even_bits_s)} would take as long as the carrier"


def _fills(found: Planned) -> list[str]:
    rows = [
        (f"{number:,}", f"{fill.entries:,}", format_size(fill.bytes), clip(fill.last_path))
        for number, fill in enumerate(found.fills[:_SHOWN_DEVICES], start=1)
    ]
    told = table(("DEVICE", "ENTRIES", "CONTENT", "UP TO"), rows, right=(0, 1, 2))
    if found.devices is not None and found.devices > len(rows):
        told.append(f"... and {found.devices - len(rows):,} more")
    return told


def _path(refusal: Refusal) -> str:
    from transfer.core.paths import display, from_text

    return printable(display(from_text(refusal.path, refusal.path_base64)))
