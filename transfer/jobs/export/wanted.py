"""What is to be on the device, one object or version at a time, in the order of the device's records."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from transfer.stores.contract import ListedObject, ListedVersion, ObjectInfo


class Group(Struct, frozen=True, gc=False):
    """The versions of one key that are wanted: how many, of how many bytes, the largest of how many."""

    entries: int
    bytes: int
    largest_bytes: int


class Wanted(Struct, frozen=True, gc=False):
    """One object, version, or delete marker of the bucket that is to be on the device.

    Attributes:
        path: the key behind the prefix.
        size_bytes: as listed; -1 where only the object itself can tell.
        etag: as listed; empty: not known.
        last_modified: RFC 3339; empty: not known.
        version_id: of the version that is meant; empty: whatever is current.
        storage_class: empty: the usual one, or not known.
        is_marker: it is a delete marker.
        history: other versions of its key are wanted too.
        group: on the first one of a key that has several.
        reason, detail: why it cannot be had, where that is known already; in the words of a `failed` record.
    """

    path: bytes
    size_bytes: int = -1
    etag: str = ""
    last_modified: str = ""
    version_id: str = ""
    storage_class: str = ""
    is_marker: bool = False
    history: bool = False
    group: Group | None = None
    reason: str = ""
    detail: str = ""


def moment_text(moment: datetime | None) -> str:
    """A store's time in writing, with the fraction it has; empty for none."""
    if moment is None:
        return ""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond:06}Z" if moment.microsecond else text + "Z"


def from_listing(path: bytes, item: ListedObject) -> Wanted:
    """The current version of a key, as a listing tells it."""
    return Wanted(
        path,
        item.size_bytes,
        item.etag,
        moment_text(item.last_modified),
        storage_class=item.storage_class or "",
    )


def from_version(path: bytes, item: ListedVersion, *, history: bool, pinned: bool = True) -> Wanted:
    """One version of a key, as a listing of versions tells it; not `pinned`: whatever is current by now."""
    return Wanted(
        path,
        item.size_bytes,
        item.etag,
        moment_text(item.last_modified),
        item.version_id if pinned else "",
        item.storage_class or "",
        is_marker=item.is_delete_marker,
        history=history,
    )


def from_info(path: bytes, info: ObjectInfo) -> Wanted:
    """The current version of a key, as the object itself tells it."""
    return Wanted(
        path,
        info.size_bytes,
        info.etag,
        moment_text(info.last_modified),
        storage_class=info.metadata.storage_class or "",
    )


def grouped(versions: list[Wanted]) -> list[Wanted]:
    """The versions of one key; where there are several, the first one tells how many."""
    if len(versions) < 2:
        return versions
    sizes = [max(0, version.size_bytes) for version in versions]
    return [replace(versions[0], group=Group(len(sizes), sum(sizes), max(sizes))), *versions[1:]]
