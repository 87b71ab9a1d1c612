"""Hard links where the directory's file system makes none: each comes as a file of its own.

Its content is taken from the file that was restored, and held against the digest of the record on the way.
"""

from __future__ import annotations

import errno
import os
import stat

from blake3 import blake3

from transfer.core.records import Hardlink
from transfer.jobs.restore.partial import Partial
from transfer.jobs.restore.tree import ObstacleError

_NO_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK_BYTES = 1 << 20
CHANGED = "hard link: its file was changed in the directory meanwhile"


def is_refused(error: OSError) -> bool:
    """Whether no hard link can be made there: for want of them, of one more to the file, or across mounts."""
    return error.errno in _NO_LINK


def write_copy(
    folder: int, name: bytes, partial: Partial, record: Hardlink, digest: str, to: bytes, *, owner: bool
) -> list[str]:
    """Make a file with the content of another; what of its metadata could not be set.

    Args:
        folder: a descriptor of the folder that the other is in.
        name: of the other there.
        partial: the new file; it is closed in any case.
        record: of the link.
        digest: BLAKE3 of the content, as the device has it.
        to: the name that the new file gets.
        owner: set owner and group.

    Raises:
        ObstacleError: the other one was changed meanwhile.
        OSError: the disk refused.
    """
    try:
        _copy(folder, name, partial, record.size_bytes, digest)
        return partial.finish(to, record, record.size_bytes, sparse=False, owner=owner)
    except BaseException:
        partial.drop()
        raise


def _copy(folder: int, name: bytes, partial: Partial, size_bytes: int, digest: str) -> None:
    offset, hashed = 0, blake3()
    with os.fdopen(os.open(name, _READ_FLAGS, dir_fd=folder), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ObstacleError(CHANGED)
        while offset <= size_bytes and (block := file.read(_BLOCK_BYTES)):
            hashed.update(block)
            partial.write(memoryview(block), offset)
            offset += len(block)
    if offset != size_bytes or hashed.hexdigest() != digest:
        raise ObstacleError(CHANGED)
