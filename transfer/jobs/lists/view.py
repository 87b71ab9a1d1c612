"""The merged view of a device as lists need it: entries with their content, versions of a key together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from msgspec import Struct

from transfer.core.merge import SpottedRecord, merge_runs
from transfer.core.records import DeleteMarker, Directory, Failed, File, Hardlink, ObjectFacts, Skipped
from transfer.device.manifest import Manifest
from transfer.jobs.comparing.originals import Content, Originals, content_of
from transfer.jobs.import_.emptiness import with_emptiness

_EMPTY = Content(
    0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "0000000000000000", "00000000"
)


class Item(Struct, frozen=True):
    """One file, hard link, object, or folder with nothing in it.

    Attributes:
        path: of the entry, or key of the object.
        content: None where the device does not tell, and of delete markers.
        facts: of an object.
        marker: the version is a delete marker.
        is_folder: it is an empty folder.
        is_latest: of the versions of the key.
    """

    path: bytes
    content: Content | None
    mtime_ns: int = 0
    facts: ObjectFacts | None = None
    marker: DeleteMarker | None = None
    is_folder: bool = False
    is_latest: bool = True


class View:
    """Goes over a device once.

    Args:
        manifest: of it, whole.
        originals: the content of hard links.

    Attributes:
        not_on_device: entries that failed or were skipped, so far.
    """

    def __init__(self, manifest: Manifest, originals: Originals) -> None:
        self.not_on_device = 0
        self._manifest = manifest
        self._originals = originals

    def items(self) -> Iterator[Item]:
        """All versions of all entries, by path, versions oldest first.

        Raises:
            IntegrityError, DeviceError: the manifest cannot be read.
        """
        for _, same in groupby(self._single(), key=itemgetter(0)):
            versions = [item for _, item in same]
            for item in versions[:-1]:
                yield _older(item)
            yield versions[-1]

    def _single(self) -> Iterator[tuple[bytes, Item]]:
        runs = [self._manifest.spotted_records(run) for run in self._manifest.runs]
        for entry, is_empty in with_emptiness(merge_runs(runs), symlinks_have_keys=False):
            item = self._item(entry, is_empty)
            if item is not None:
                yield item.path, item

    def _item(self, entry: SpottedRecord, is_empty: bool) -> Item | None:
        path, record, _ = entry
        match record:
            case File():
                return Item(path, content_of(record), record.mtime_ns, record.object)
            case Hardlink():
                return Item(path, self._originals.of(path), record.mtime_ns)
            case Directory() if is_empty:
                return Item(path, _EMPTY, record.mtime_ns, is_folder=True)
            case DeleteMarker():
                return Item(path, None, marker=record)
            case Failed() | Skipped():
                self.not_on_device += 1
        return None


def _older(item: Item) -> Item:
    return Item(item.path, item.content, item.mtime_ns, item.facts, item.marker, item.is_folder, False)
