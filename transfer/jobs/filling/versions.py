"""Where a device stands between the versions of one object."""

from __future__ import annotations

from itertools import takewhile

from transfer.core.records import DeleteMarker, File
from transfer.device.manifest import Manifest

_NULL = "null"
"""The id that a store gives again and again: what it stood for may be another version tomorrow."""


def last_version(manifest: Manifest, path: bytes) -> str:
    """The id of the newest version of an object that a device has; empty where it has no history of it, or
    the id would not tell.

    Raises:
        IntegrityError, DeviceError: the manifest cannot be read.
    """
    found = ""
    for at, record in takewhile(lambda item: item[0] <= path, manifest.merged(path[:-1])):
        if at != path:
            continue
        if isinstance(record, DeleteMarker):
            found = record.version_id
        elif isinstance(record, File) and record.object is not None and record.object.history:
            found = record.object.version_id
    return "" if found == _NULL else found
