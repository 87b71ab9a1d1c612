"""How long a plan takes: filling, carrying and reading devices, against the same bytes on a wire. Pure."""

from __future__ import annotations

from msgspec import Struct

DAY_S = 86_400


class Schedule(Struct, frozen=True):
    """Times in seconds, and what they rest on.

    Attributes:
        fill_s: devices filled one after the other.
        write_bytes_s: the rate that filling was reckoned with.
        file_cost_s: what each file or object was reckoned to cost at least.
        carrier_days: on the way, all devices together.
        import_s: devices read at the destination one after the other, at the profile's rate.
        total_s: from the first byte to the last.
        uplink_bits_s: of the line; None where none was given, and then of all below it.
        utilization: the part of it that was counted on.
        wire_s: all bytes over that line.
        even_uplink_bits_s: a line of this rate takes as long as the devices.
    """

    fill_s: float
    write_bytes_s: int
    file_cost_s: float
    carrier_days: float
    import_s: float
    total_s: float
    uplink_bits_s: int | None = None
    utilization: float | None = None
    wire_s: float | None = None
    even_uplink_bits_s: float | None = None


class FillTime:
    """Adds up what filling takes, file by file: small files cost time by the file, large ones by the byte.

    Args:
        bytes_s: content a second.
        file_cost_s: what each costs at least.
    """

    def __init__(self, bytes_s: int, file_cost_s: float) -> None:
        self.total_s = 0.0
        self._bytes_s = bytes_s
        self._file_cost_s = file_cost_s

    def add(self, size_bytes: int) -> None:
        """Count a file."""
        self.total_s += max(size_bytes / self._bytes_s, self._file_cost_s)


def make_schedule(
    *,
    fill_s: float,
    write_bytes_s: int,
    file_cost_s: float,
    carrier_days: float,
    read_bytes_s: int,
    content_bytes: int,
    uplink_bits_s: int | None,
    utilization: float,
) -> Schedule:
    """The times of a plan; see `Schedule`."""
    import_s = content_bytes / read_bytes_s
    total_s = fill_s + carrier_days * DAY_S + import_s
    if uplink_bits_s is None:
        return Schedule(fill_s, write_bytes_s, file_cost_s, carrier_days, import_s, total_s)
    bits = 8 * content_bytes / utilization
    return Schedule(
        fill_s,
        write_bytes_s,
        file_cost_s,
        carrier_days,
        import_s,
        total_s,
        uplink_bits_s,
        utilization,
        wire_s=bits / uplink_bits_s,
        even_uplink_bits_s=bits / total_s if total_s else None,
    )
