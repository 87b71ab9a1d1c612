"""The custody log: whether it is one, and its chain whole (FORMAT.md §17).

It is under no digest of the seal, since it grows behind it. Whether its tail was cut off is for who remembers
a head of it: import, serve, and `transfer custody --expect`. Its signatures are for `transfer custody`.
"""

from __future__ import annotations

from transfer.device.custody import read_log
from transfer.device.device import Device
from transfer.device.layout import CUSTODY_NAME
from transfer.errors import DeviceError, IntegrityError
from transfer.jobs.verify.findings import Finding, Report


def check_custody(device: Device, report: Report) -> None:
    """Follow the log from its first entry to its last; a device without one has none."""
    try:
        read_log(device.layout)
    except IntegrityError as error:
        detail = error.what.removeprefix(CUSTODY_NAME).lstrip(": ")
        report(Finding(code="custody-invalid", file=CUSTODY_NAME, detail=detail))
    except DeviceError as error:
        report(Finding(code="unreadable", file=CUSTODY_NAME, detail=error.what))
