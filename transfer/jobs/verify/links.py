"""Hard links against the files that they name (FORMAT.md §10)."""

from __future__ import annotations

from collections.abc import Iterable

from transfer.core.paths import display
from transfer.core.records import File, Hardlink, Removed
from transfer.device.device import Device
from transfer.device.manifest import segment_records
from transfer.device.path_table import PathTable
from transfer.jobs.verify.findings import Finding, Report


def check_links(device: Device, segments: Iterable[int], report: Report) -> None:
    """Every hard link must have its file, in its own run or in an older one.

    Later runs do not matter: what they bring anew does not change what the link was made for.

    Args:
        device: which.
        segments: all of them, in order; their records are known to obey the rules.
        report: told every finding.

    Raises:
        IntegrityError, DeviceError: a segment cannot be read.
    """
    with PathTable() as files:
        for number in segments:
            for block in segment_records(device, number):
                for record in block:
                    if isinstance(record, File):
                        if record.inode is not None:
                            files.put(record.path_bytes, "file")
                    elif isinstance(record, Removed):
                        if files.get(record.path_bytes):
                            files.put(record.path_bytes, "")
                    elif isinstance(record, Hardlink) and not files.get(record.target_bytes):
                        detail = f"it names {display(record.target_bytes)}, which is no file here"
                        report(Finding(code="link-dangling", path=display(record.path_bytes), detail=detail))
