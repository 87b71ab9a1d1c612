"""What the service was started for, and how patient it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.jobs.import_.options import ImportOptions


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of every device of the dock.

    Attributes:
        options: of each import; in `prefix`, `{job}`, `{ordinal}` and `{device_id}` are those of the device.
        imports: devices that are imported at once; at least 1.
        verify_first: check a device whole before its first object is sent.
    """

    options: ImportOptions
    imports: int = 2
    verify_first: bool = False
