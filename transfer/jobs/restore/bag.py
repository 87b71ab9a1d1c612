"""The tag files of a bag (BagIt 1.0), written around a restored payload.

Each is written aside and renamed; bagit.txt, which makes a folder a bag, comes last, when everything else is
on the disk. So what was interrupted is no bag, and no reader takes it for one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from transfer.formats import bagit
from transfer.jobs.restore.partial import FILE_FLAGS

_MODE = 0o644
_BUFFER_BYTES = 1 << 20
_PARTIAL = ".transfer-bag-{}.partial"


class PayloadFile(NamedTuple):
    """A file in the payload, as it was restored and verified.

    Attributes:
        path: below `data/`.
        size_bytes: of its content.
        digests: of its content in hexadecimal, by names of `bagit.ALGORITHMS`.
    """

    path: bytes
    size_bytes: int
    digests: Mapping[str, str]


@dataclass
class BagTotals:
    """What is in a bag.

    Attributes:
        files, bytes: of the payload.
        misread: files that not all readers of bags find by the manifest, as `bagit.is_misread` says.
    """

    files: int = 0
    bytes: int = 0
    misread: int = 0


class BagFiles:
    """Writes the tag files of one bag.

    Args:
        root: a descriptor of the bag's top folder, which stays the caller's.
        algorithms: of the manifests, among `bagit.ALGORITHMS`.

    Raises:
        UsageError: a bag cannot have these algorithms.
    """

    def __init__(self, root: int, *, algorithms: Sequence[str] = bagit.ALGORITHMS[:1]) -> None:
        bagit.check_algorithms(algorithms)
        self._root = root
        self._algorithms = tuple(algorithms)

    @property
    def names(self) -> tuple[str, ...]:
        """All tag files of the bag, in the order in which they are written."""
        manifests = [bagit.manifest_name(name) for name in self._algorithms]
        tags = [bagit.tag_manifest_name(name) for name in self._algorithms]
        return (*manifests, bagit.INFO_NAME, *tags, bagit.DECLARATION_NAME)

    def begin(self) -> None:
        """While the payload is worked on, the folder is no bag.

        Raises:
            OSError: the disk refused.
        """
        for name in (bagit.DECLARATION_NAME, *map(_PARTIAL.format, self.names)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._root)
        os.fsync(self._root)

    def finish(
        self, payload: Iterable[PayloadFile], fields: Iterable[tuple[str, str]], bagging_date: date
    ) -> BagTotals:
        """Write all tag files; the payload is on the disk.

        Args:
            payload: every file below `data/`, each once.
            fields: of bag-info.txt, as `bagit.info_field` gives them.
            bagging_date: today.

        Raises:
            FormatError: a path that no bag can have.
            OSError: the disk refused.
        """
        totals = BagTotals()
        digests = self._write_manifests(payload, totals)
        info = bagit.bag_info(
            fields, bagging_date=bagging_date, payload_bytes=totals.bytes, payload_files=totals.files
        )
        digests[bagit.INFO_NAME] = self._write(bagit.INFO_NAME, info)
        digests[bagit.DECLARATION_NAME] = bagit.digests_of(bagit.DECLARATION, self._algorithms)
        for algorithm in self._algorithms:
            content = bagit.tag_manifest({name: digests[name][algorithm] for name in digests})
            self._write(bagit.tag_manifest_name(algorithm), content)
        os.fsync(self._root)
        self._write(bagit.DECLARATION_NAME, bagit.DECLARATION)
        os.fsync(self._root)
        return totals

    def _write_manifests(
        self, payload: Iterable[PayloadFile], totals: BagTotals
    ) -> dict[str, dict[str, str]]:
        names = {algorithm: bagit.manifest_name(algorithm) for algorithm in self._algorithms}
        with contextlib.ExitStack() as stack:
            tags = {
                algorithm: stack.enter_context(_Aside(self._root, name, self._algorithms))
                for algorithm, name in names.items()
            }
            for file in payload:
                for algorithm, tag in tags.items():
                    tag.write(bagit.manifest_line(file.path, file.digests[algorithm]))
                totals.files += 1
                totals.bytes += file.size_bytes
                totals.misread += bagit.is_misread(file.path)
            for tag in tags.values():
                tag.finish()
        return {names[algorithm]: tag.digests for algorithm, tag in tags.items()}

    def _write(self, name: str, content: bytes) -> dict[str, str]:
        with _Aside(self._root, name, self._algorithms) as tag:
            tag.write(content)
            tag.finish()
        return tag.digests


class _Aside:
    """A tag file on its way, and its checksums; without `finish` it leaves nothing."""

    def __init__(self, root: int, name: str, algorithms: Sequence[str]) -> None:
        self._root = root
        self._name = name
        self._partial = _PARTIAL.format(name)
        self._sums = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial, dir_fd=root)
        self._file = os.fdopen(self._open(), "wb", buffering=_BUFFER_BYTES)

    def _open(self) -> int:
        return os.open(self._partial, FILE_FLAGS, _MODE, dir_fd=self._root)

    def write(self, content: bytes) -> None:
        for one in self._sums.values():
            one.update(content)
        self._file.write(content)

    def finish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._partial, self._name, src_dir_fd=self._root, dst_dir_fd=self._root)

    @property
    def digests(self) -> dict[str, str]:
        return {algorithm: one.hexdigest() for algorithm, one in self._sums.items()}

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial, dir_fd=self._root)
