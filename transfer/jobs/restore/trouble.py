"""Errors of the directory that is restored into: which end the job, and how the others are told."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator

from transfer.device.disk import FULL_ERRNOS
from transfer.errors import DeviceError, DeviceFullError
from transfer.jobs.restore.tree import ObstacleError

_FATAL = FULL_ERRNOS | {errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV, errno.EMFILE, errno.ENFILE}
_AGAIN = "the same command goes on"


def is_fatal(error: OSError) -> bool:
    """Whether the next entry would meet the same."""
    return error.errno in _FATAL


def end_if_fatal(error: OSError, directory: str) -> None:
    """Raise what ends the job, where the next entry would meet the same.

    Raises:
        DeviceFullError: no room is left.
        DeviceError: the directory cannot be written to, or its disk failed.
    """
    if not is_fatal(error):
        return
    if error.errno in FULL_ERRNOS:
        remedy = f"make room or choose a larger disk; {_AGAIN}"
        raise DeviceFullError(f"{directory} has no room left", remedy=remedy) from None
    if error.errno == errno.EROFS:
        raise DeviceError(f"{directory} is mounted read-only", remedy="remount it for writing") from None
    what = f"{directory} failed: {error.strerror}"
    raise DeviceError(what, remedy=f"check its disk; {_AGAIN}") from None


@contextlib.contextmanager
def entry(directory: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Whatever is in the way of one entry is told, and costs no other.

    Raises:
        DeviceError: as `end_if_fatal`.
    """
    try:
        yield
    except ObstacleError as obstacle:
        tell(str(obstacle))
    except OSError as error:
        end_if_fatal(error, directory)
        tell(reason_of(error))


@contextlib.contextmanager
def directory_errors(directory: str) -> Iterator[None]:
    """Turn an OSError that is of no entry into an error that says what to do.

    Raises:
        DeviceError: always, of an OSError.
    """
    try:
        yield
    except OSError as error:
        end_if_fatal(error, directory)
        what = f"{directory} cannot be written to: {reason_of(error)}"
        raise DeviceError(what, remedy="name a directory that you may write to") from None


def reason_of(error: OSError) -> str:
    """An error of one entry, in words; which entry it was is told beside it."""
    return error.strerror or str(error)
