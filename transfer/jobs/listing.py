"""ls: the entries of a device, merged over its runs and in path order, as a stream."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.core.merge import PathRecord
from transfer.core.records import Failed, File, Skipped
from transfer.device.device import open_device, take_inventory
from transfer.device.encryption import NO_KEYS, Keys, require_open, unlocked
from transfer.device.manifest import read_manifest


def entries(
    root: str, *, prefix: bytes = b"", problems_only: bool = False, keys: Keys = NO_KEYS
) -> Iterator[PathRecord]:
    """The merged view (FORMAT.md §11) beneath `prefix`, with what was skipped or failed.

    Raises:
        DeviceError: there is no device.
        AccessError: it is encrypted, and nothing was given that opens it.
        IntegrityError: its manifest is damaged; what was given before is right.
    """
    device = unlocked(open_device(root), keys)
    require_open(device)
    manifest = read_manifest(device, take_inventory(device.layout).segments)
    for path, record in manifest.merged(prefix[:-1]):
        if not path.startswith(prefix):
            if path > prefix:
                return
            continue
        if (
            not problems_only
            or isinstance(record, Failed | Skipped)
            or (isinstance(record, File) and record.changed)
        ):
            yield path, record
