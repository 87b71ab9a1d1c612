"""What devices have of what an export is about to look at, from where it starts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, takewhile

from transfer.core.merge import PathRecord, merge_runs
from transfer.core.records import File
from transfer.device.device import Device
from transfer.device.manifest import segment_records
from transfer.jobs.filling.start import Start


def known_here(start: Start, *, inclusive: bool) -> Iterator[PathRecord]:
    """What the device has behind the start; `inclusive`: and all that it has of the path there itself."""
    if not inclusive:
        return start.known()
    manifest, opened = start.point.manifest, start.point.open_file
    mine: list[PathRecord] = []
    if not start.shares:
        runs = [run for run in manifest.runs if run <= start.run]
        mine = _at(manifest.merged(start.after[:-1], runs), start.after)
    if start.resumes and opened is not None and opened.begin.path_bytes == start.after:
        mine.append((start.after, opened.begin))  # its rest comes before what is found
    return chain(mine, start.known())


def known_elsewhere(start: Start, *, inclusive: bool) -> Iterator[PathRecord]:
    """What the set's other devices have behind the start, or from it on."""
    if not inclusive:
        return start.elsewhere()
    near = merge_runs([manifest.merged(start.after[:-1]) for manifest in start.others])
    return chain(_at(near, start.after), start.elsewhere())


def _at(records: Iterator[PathRecord], path: bytes) -> list[PathRecord]:
    """The records of one path, which a stream comes to soon."""
    return [item for item in takewhile(lambda item: item[0] <= path, records) if item[0] == path]


def is_file(device: Device, start: Start, key: bytes) -> bool:
    """Whether the device has a file of this key; it is one of few that are asked for."""
    for header in start.point.manifest.headers:
        if header.paths is None or not header.paths[0] <= key <= header.paths[1]:
            continue
        for block in segment_records(device, header.sequence):
            if any(isinstance(record, File) and record.path_bytes == key for record in block):
                return True
    return False
