"""What a bucket in memory holds: of each key all versions, or only the last, as S3 keeps them.

A bucket that keeps no versions holds one of each key, called `null`. One whose versions are suspended goes on
with that one and leaves the others alone. A delete marker is a version without bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace

from transfer.errors import NotFoundError, StoreError
from transfer.stores.values import (
    ARCHIVE_CLASSES,
    CommonPrefixes,
    ListedObject,
    ListedVersion,
    ObjectInfo,
    Versioning,
)

NULL_VERSION = "null"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of one key.

    Attributes:
        info: its `version_id` is None where it was made without versions.
        marker: a delete marker.
        first_part_bytes: where it was uploaded in several parts.
    """

    info: ObjectInfo
    data: bytes
    marker: bool = False
    first_part_bytes: int | None = None

    @property
    def version_id(self) -> str:
        """As a listing of versions names it."""
        return self.info.version_id or NULL_VERSION


class History:
    """The versions of all keys of a bucket."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Kept]] = {}  # of each key the oldest first; never empty
        self._made = 0

    def latest(self, key: str) -> Kept | None:
        """The object that is there without a version being named; None where there is none."""
        kept = self._versions.get(key)
        return None if kept is None or kept[-1].marker else kept[-1]

    def find(self, key: str, version_id: str | None) -> Kept:
        """An object, or a version of it.

        Raises:
            NotFoundError: there is none, or it is a delete marker.
        """
        if version_id is None:
            found = self.latest(key)
        else:
            found = next((kept for kept in self._of(key) if kept.version_id == version_id), None)
        if found is None or found.marker:
            code = "NoSuchVersion" if version_id else "NoSuchKey"
            raise NotFoundError(
                f"there is no memory object {key!r}, version {version_id or 'any'}", status=404, code=code
            )
        return found

    def add(self, kept: Kept, mode: Versioning) -> str | None:
        """Take in a version, the newest from now on; its id, None in a bucket that keeps no versions."""
        key = kept.info.key
        version_id = self._new_id(mode)
        before = self._of(key)
        if mode != "enabled":
            before = [other for other in before if other.version_id != NULL_VERSION]
        self._versions[key] = [*before, replace(kept, info=replace(kept.info, version_id=version_id))]
        return version_id

    def remove(self, key: str, version_id: str | None) -> None:
        """Take out one version, or all there is of a key."""
        left = [kept for kept in self._of(key) if version_id and kept.version_id != version_id]
        if left:
            self._versions[key] = left
        else:
            self._versions.pop(key, None)

    def objects(self, prefix: str, start_after: str) -> Iterator[ListedObject]:
        """The objects under a prefix, ascending by UTF-8 bytes; what is removed meanwhile is left out."""
        for key in self._keys(prefix, start_after):
            if kept := self.latest(key):
                info = kept.info
                yield ListedObject(key, info.size_bytes, info.etag, info.last_modified, _class_of(info))

    def versions(self, prefix: str, start_after: str, after_version: str) -> Iterator[ListedVersion]:
        """All versions, those of a key newest first."""
        first = self._of(start_after) if after_version and start_after.startswith(prefix) else []
        ids = [kept.version_id for kept in first]
        if after_version in ids:
            rest = first[: ids.index(after_version)]
            yield from (_line(kept, is_latest=False) for kept in reversed(rest))
        for key in self._keys(prefix, start_after):
            kept_ones = self._of(key)
            for kept in reversed(kept_ones):
                yield _line(kept, is_latest=kept is kept_ones[-1])

    def common_prefixes(self, prefix: str, delimiter: str, start_after: str) -> CommonPrefixes:
        """The folders among the first page of folders and objects under a prefix."""
        found: dict[str, bool] = {}
        for item in self.objects(prefix, start_after):
            name, cut, _ = item.key[len(prefix) :].partition(delimiter)
            found[prefix + name + cut] = bool(cut)
            if len(found) > _PAGE:
                break
        folders = [name for name, is_folder in [*found.items()][:_PAGE] if is_folder]
        behind = tuple(name for name in folders if name.encode() > start_after.encode())
        return CommonPrefixes(behind, complete=len(found) <= _PAGE)

    def ask_restore(self, key: str, version_id: str | None) -> None:
        """Note that a readable copy of an archived version is wanted.

        Raises:
            NotFoundError: there is no such version.
            StoreError: it is not archived.
        """
        found = self.find(key, version_id)
        if found.info.metadata.storage_class not in ARCHIVE_CLASSES:
            raise StoreError(f"memory object {key!r} is not archived", status=403, code="InvalidObjectState")
        if found.info.archived:
            self._change(found, replace(found.info, restoring=True))

    def complete_restores(self) -> None:
        """All copies that are wanted are there."""
        for kept in [kept for versions in self._versions.values() for kept in versions]:
            if kept.info.restoring:
                self._change(kept, replace(kept.info, restoring=False, archived=False))

    def _change(self, kept: Kept, info: ObjectInfo) -> None:
        self._versions[info.key] = [
            replace(other, info=info) if other is kept else other for other in self._of(info.key)
        ]

    def _keys(self, prefix: str, start_after: str) -> list[str]:
        keys = sorted(self._versions, key=str.encode)
        after = start_after.encode()
        first = bisect_left(keys, max(after, prefix.encode()), key=str.encode)
        return [key for key in keys[first:] if key.startswith(prefix) and key.encode() > after]

    def _of(self, key: str) -> list[Kept]:
        return self._versions.get(key, [])

    def _new_id(self, mode: Versioning) -> str | None:
        if mode != "enabled":
            return None if mode == "off" else NULL_VERSION
        self._made += 1
        return f"version-{self._made:08}"


def _line(kept: Kept, *, is_latest: bool) -> ListedVersion:
    info = kept.info
    storage_class = None if kept.marker else _class_of(info)
    return ListedVersion(
        info.key, kept.version_id, is_latest, kept.marker, info.size_bytes, info.etag, info.last_modified,
        storage_class,
    )  # fmt: skip


def _class_of(info: ObjectInfo) -> str:
    return info.metadata.storage_class or "STANDARD"
