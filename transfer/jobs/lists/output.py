"""A file that grows aside and gets its name at the end, durably; nothing is replaced unless asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from transfer.device.disk import create_new, sync_directory, write_at
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.errors import TransferError, UsageError

_BLOCK_BYTES = 1 << 18


class NewFile:
    """One such file; a context manager that leaves nothing where `finish` was not reached.

    Args:
        path: its name.
        overwrite: it may replace a file that has the name.
    """

    def __init__(self, path: str, *, overwrite: bool = False) -> None:
        self.path = path
        self.size_bytes = 0
        self._partial = path + PARTIAL_SUFFIX
        self._overwrite = overwrite
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            UsageError: there is something of the name already.
            TransferError: the disk refused.
        """
        self._refuse_taken()
        with disk_errors(self._partial):
            self._descriptor = create_new(self._partial)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            self._close()
            with contextlib.suppress(OSError):
                os.unlink(self._partial)

    def write(self, content: bytes) -> None:
        """Take more of it.

        Raises:
            TransferError: the disk refused.
        """
        self._pending.append(content)
        self._pending_bytes += len(content)
        if self._pending_bytes >= _BLOCK_BYTES:
            self._flush()

    def finish(self) -> None:
        """It is whole: durable, and named.

        Raises:
            UsageError: something of the name has come meanwhile.
            TransferError: the disk refused.
        """
        self._flush()
        with disk_errors(self._partial):
            if self._descriptor is not None:
                os.fsync(self._descriptor)
        self._close()
        try:
            with disk_errors(self.path):
                self._take_name()
                sync_directory(os.path.dirname(self.path) or ".")
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._partial)

    def _take_name(self) -> None:
        if self._overwrite:
            os.rename(self._partial, self.path)
            return
        try:
            os.link(self._partial, self.path)  # which replaces nothing
        except FileExistsError:
            raise _taken(self.path) from None
        except OSError:  # a file system without links
            self._refuse_taken()
            os.rename(self._partial, self.path)

    def _refuse_taken(self) -> None:
        if os.path.isdir(self.path) or (not self._overwrite and os.path.lexists(self.path)):
            raise _taken(self.path)

    def _flush(self) -> None:
        content = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        if content and self._descriptor is not None:
            with disk_errors(self._partial):
                self.size_bytes = write_at(self._descriptor, content, self.size_bytes)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def disk_errors(path: str) -> Iterator[None]:
    """Turn an OSError met while writing a list into an error that says what happened and what to do."""
    try:
        yield
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}"
        raise TransferError(what, remedy="look at its folder and disk") from error


def _taken(path: str) -> UsageError:
    what = "a folder" if os.path.isdir(path) else "something"
    return UsageError(f"there is {what} named {path} already", remedy="name another file, or say --overwrite")
