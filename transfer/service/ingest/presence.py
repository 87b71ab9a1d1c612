"""Whether the dock is there, and ours: what may change at any moment, since docks are mounted and unmounted.

`check` runs in a thread, which may outlive whoever asked: after `end` it takes no lock any more. The lock
belongs to the folder that was there when it was taken; another folder of the same name, as after a mount, is
locked anew.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import NoReturn

from transfer.errors import DeviceError
from transfer.service.ingest.dock_lock import lock_dock

_REMEDY = "mount it again; the service goes on by itself"


class Presence:
    """The dock at `root`."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._identity: tuple[int, int] | None = None
        self._was_mounted = False
        self._lock: int | None = None
        self._is_over = False
        self._mutex = threading.Lock()

    def check(self) -> bool:
        """Raise unless the dock is there and ours; whether it is another folder than before.

        Raises:
            DeviceError: it is gone, or cannot be locked.
            LockedError: another service has it.
        """
        try:
            status = os.stat(self._root)
        except OSError as error:
            self._refuse(error.strerror or str(error))
        is_mounted = os.path.ismount(self._root)
        if not stat.S_ISDIR(status.st_mode):
            self._refuse("it is no folder")
        if self._was_mounted and not is_mounted:
            self._refuse("nothing is mounted there any more")
        identity = (status.st_dev, status.st_ino)
        is_another = identity != self._identity
        if is_another:
            self._take(identity, is_mounted)
        return is_another

    def _take(self, identity: tuple[int, int], is_mounted: bool) -> None:
        self._release()
        try:
            lock = lock_dock(self._root)
        except OSError as error:
            raise DeviceError(f"dock {self._root} cannot be locked: {error.strerror}") from error
        with self._mutex:
            self._lock, self._identity, self._was_mounted = lock, identity, is_mounted
        if self._is_over:
            self._release()
            raise DeviceError(f"dock {self._root} is not watched any more")

    def _refuse(self, reason: str) -> NoReturn:
        self._release()
        raise DeviceError(f"dock {self._root} is gone: {reason}", remedy=_REMEDY) from None

    def end(self) -> None:
        """Give the lock back, for good."""
        self._is_over = True
        self._release()

    def _release(self) -> None:
        with self._mutex:
            lock, self._lock, self._identity = self._lock, None, None
        if lock is not None:
            os.close(lock)
