"""Opening folders beneath a source, step by step, so that no name on the way is a link and no path is too
long for the kernel.

The folders on the way to the last one opened stay open: neighbours in path order share them. A tree deeper
    than `MAX_OPEN` keeps only the
deepest ones.
"""

from __future__ import annotations

import os

MAX_OPEN = 128
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Beneath:
    """Folders of one source.

    Args:
        root: the source folder; links on the way to it are followed.
        follow_links: follow symbolic links beneath it too.
    """

    def __init__(self, root: bytes, *, follow_links: bool = False) -> None:
        self._flags = _FLAGS if follow_links else _FLAGS | os.O_NOFOLLOW
        self._root = os.open(root, _FLAGS)
        self._names: list[bytes] = []
        self._open: list[int] = []
        self._current = b""
        self._descriptor = self._root

    def folder(self, path: bytes) -> int:
        """A descriptor of the folder `path` ("" or ending in "/"), good until the next call.

        Raises:
            OSError: a name on the way is gone, unreadable, or is no folder.
        """
        if path == self._current:
            return self._descriptor
        names = path.split(b"/")[:-1]
        shared = 0
        for mine, wanted in zip(self._names, names, strict=False):
            if mine != wanted:
                break
            shared += 1
        self._drop_to(shared)
        while shared and self._open[shared - 1] < 0:  # closed for depth: go back to the last one that is open
            shared -= 1
            self._drop_to(shared)
        self._current = b"\0"  # nothing, should a step fail
        for name in names[shared:]:
            self._step(name)
        self._current, self._descriptor = path, self._open[-1] if self._open else self._root
        return self._descriptor

    def _step(self, name: bytes) -> None:
        above = self._open[-1] if self._open else self._root
        self._open.append(os.open(name, self._flags, dir_fd=above))
        self._names.append(name)
        too_deep = len(self._open) - MAX_OPEN - 1
        if too_deep >= 0 and self._open[too_deep] >= 0:
            os.close(self._open[too_deep])
            self._open[too_deep] = -1

    def _drop_to(self, depth: int) -> None:
        while len(self._open) > depth:
            descriptor = self._open.pop()
            self._names.pop()
            if descriptor >= 0:
                os.close(descriptor)

    def close(self) -> None:
        """Close everything."""
        self._drop_to(0)
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Beneath:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
