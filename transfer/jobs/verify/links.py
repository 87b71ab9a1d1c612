"""Hard links against the files that they name (FORMAT.md §10)."""

from __future__ import annotations

from transfer.core.paths import display
from transfer.core.records import File, Hardlink, Removed
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.jobs.verify.findings import Finding, Report


def check_links(manifest: Manifest, report: Report) -> None:
    """Every hard link must have its file, in its own run or in an older one.

    Later runs do not matter: what they bring anew does not change what the link was made for.

    Raises:
        IntegrityError, DeviceError: a segment cannot be read.
    """
    with PathTable() as files:
        for run in manifest.runs:
            for path, record in manifest.run_records(run):
                if isinstance(record, File) and record.inode is not None:
                    files.put(path, "file")
                elif isinstance(record, Removed) and files.get(path):
                    files.put(path, "")
                elif isinstance(record, Hardlink) and not files.get(record.target_bytes):
                    detail = f"it names {display(record.target_bytes)}, which is no file here"
                    report(Finding(code="link-dangling", path=display(path), detail=detail))
