"""The three files of a certificate on disk: nothing of that name is overwritten, and FILE itself comes last.

The companion grows as FILE.entries.jsonl.zst.partial, which a later attempt may replace; its name, the
signature and FILE are given at the end, each durable before the next. What ends before that leaves none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from blake3 import blake3

from transfer.device.disk import create_new, sync_directory, write_at
from transfer.device.key_files import PUBLIC_MODE, write_new_file
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.errors import TransferError, UsageError
from transfer.formats.certificate import ENTRIES_SUFFIX, SIGNATURE_SUFFIX, EntriesFile
from transfer.formats.certificate_entries import EntriesWriter, Line


class Output:
    """The files of one certificate; a context manager that leaves nothing unfinished behind.

    Args:
        path: FILE.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries = path + ENTRIES_SUFFIX
        self._partial = self._entries + PARTIAL_SUFFIX
        self._writer = EntriesWriter()
        self._digest = blake3()
        self._size_bytes = 0
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            UsageError: there is something of these names already.
            TransferError: the disk refused.
        """
        for path in (self._path, self._path + SIGNATURE_SUFFIX, self._entries):
            if os.path.lexists(path):
                remedy = "name another file with --output; a certificate is never overwritten"
                raise UsageError(f"there is a file {path} already", remedy=remedy)
        with _disk_errors(self._partial):
            self._descriptor = create_new(self._partial)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._partial)

    def add(self, line: Line) -> None:
        """Take a line of the companion."""
        self._write(self._writer.add(line))

    def finish(self) -> EntriesFile:
        """The companion is whole, and durable; it has its name later."""
        self._write(self._writer.finish())
        with _disk_errors(self._partial):
            if self._descriptor is not None:
                os.fsync(self._descriptor)
        self._close()
        return EntriesFile(
            name=os.path.basename(self._entries),
            entries=self._writer.entries,
            size_bytes=self._size_bytes,
            blake3=self._digest.hexdigest(),
        )

    def publish(self, certificate: bytes, signature: bytes) -> None:
        """Give all three their names, durably.

        Raises:
            UsageError: something of these names has come meanwhile.
            TransferError: the disk refused.
        """
        with _disk_errors(self._entries):
            _rename_to_new(self._partial, self._entries)
            sync_directory(os.path.dirname(self._entries) or ".")
        write_new_file(self._path + SIGNATURE_SUFFIX, signature, mode=PUBLIC_MODE)
        write_new_file(self._path, certificate, mode=PUBLIC_MODE)

    def _write(self, stored: bytes) -> None:
        if stored and self._descriptor is not None:
            self._digest.update(stored)
            with _disk_errors(self._partial):
                self._size_bytes = write_at(self._descriptor, stored, self._size_bytes)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _rename_to_new(old: str, new: str) -> None:
    """A rename that replaces nothing; where the file system has no links, it might, within a moment."""
    try:
        os.link(old, new)
    except FileExistsError:
        raise UsageError(f"there is a file {new} already", remedy="choose another name") from None
    except OSError:
        if os.path.lexists(new):
            raise UsageError(f"there is a file {new} already", remedy="choose another name") from None
        os.rename(old, new)


@contextlib.contextmanager
def _disk_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}"
        raise TransferError(what, remedy="look at its folder and disk") from error
