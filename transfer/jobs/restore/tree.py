"""The folders of the directory that is restored into, entered one name at a time.

Guarantee: every folder is opened by its bare name beneath a descriptor of the folder above, and no link is
followed on the way, whether it was there before, came with the device or is put there meanwhile. Only the way
to the directory itself may lead over links: whoever gave it meant it.

Does not: hold anybody off who moves a folder, while it is being written to, to another place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat

MAX_OPEN = 128
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PARTIAL_START = b".transfer-restore-"
_PARTIAL = re.compile(rb"\.transfer-restore-[0-9a-f]{16}\.partial")
PROBE_START = b"transf"
"""How names begin that were only tried out, in any case."""
NEW_FOLDER_MODE = 0o700
"""Until its record says what it is."""
IMPLIED_FOLDER_MODE = 0o777
"""Of folders that have no records, as keys imply them; less the umask."""


class ObstacleError(Exception):
    """Something is in the way of an entry."""


class PartialNames:
    """Names for files that are not whole yet: those of one job begin alike, so that it knows its own.

    Args:
        mark: of the job, six hex digits.
        writer: number of the one who takes names here, below 256; no two of a job share one.
    """

    def __init__(self, mark: str, writer: int) -> None:
        self._own = _PARTIAL_START + mark.encode()
        self._start = b"%b%02x" % (self._own, writer)
        self._count = 0

    def new(self) -> bytes:
        """One that nobody has."""
        self._count = (self._count + 1) & 0xFFFFFFFF
        return b"%b%08x.partial" % (self._start, self._count)

    def are_of_job(self, name: bytes) -> bool:
        """Whether a name was taken by any writer of the job."""
        return name.startswith(self._own)


def new_mark() -> str:
    """A mark for a job."""
    return secrets.token_hex(3)


def is_partial_name(name: bytes) -> bool:
    """Whether it may be such a name; an entry of the device cannot have it."""
    return name.startswith(_PARTIAL_START) and _PARTIAL.fullmatch(name) is not None


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder ("" or ending in "/") and the last name of a path, which may be that of a folder."""
    bare = path.removesuffix(b"/")
    cut = bare.rfind(b"/") + 1
    return bare[:cut], bare[cut:]


def look_at(name: bytes, folder: int) -> os.stat_result | None:
    """What has this name in a folder, itself and not what it may lead to; None where nothing has."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def target_of(name: bytes, folder: int, there: os.stat_result | None) -> bytes:
    """The target of what is there; empty where that is no symbolic link."""
    if there is None or not stat.S_ISLNK(there.st_mode):
        return b""
    return os.readlink(name, dir_fd=folder)


class Tree:
    """A directory, and its folders as far as they are open. One thread at a time.

    Args:
        root: a descriptor of the directory, which stays the caller's.
        makes: make the folders that are missing.
        replaces: remove what is no folder where one has to be.
        mode: of the folders that are made, less the umask.
        tidies: remove from folders that are entered what an earlier job left unfinished; these are the names
            of this job.

    Attributes:
        missing: the uppermost folder that was not there when `folder` last raised FileNotFoundError.
    """

    def __init__(
        self,
        root: int,
        *,
        makes: bool = False,
        replaces: bool = False,
        mode: int = NEW_FOLDER_MODE,
        tidies: PartialNames | None = None,
    ) -> None:
        self._root = root
        self._makes = makes
        self._replaces = replaces
        self._mode = mode
        self._tidies = tidies
        self.missing = b""
        self._names: list[bytes] = []
        self._open: list[int] = []
        self._current: bytes | None = None
        self._descriptor = root
        self._is_root_tidy = tidies is None

    def folder(self, path: bytes) -> int:
        """A descriptor of the folder `path` ("" or ending in "/"), good until the next call.

        Raises:
            ObstacleError: a name on the way is no folder.
            FileNotFoundError: one is missing, and is not to be made.
            OSError: one cannot be opened or made.
        """
        if path == self._current:
            return self._descriptor
        if not self._is_root_tidy:
            self._is_root_tidy = True
            self._tidy(self._root)
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
        self._current = None  # should a step fail
        for name in names[shared:]:
            self._step(name)
        self._current, self._descriptor = path, self._open[-1] if self._open else self._root
        return self._descriptor

    def look(self, path: bytes) -> os.stat_result | None:
        """What has this path, itself and not what it may lead to; None where nothing has.

        Raises:
            ObstacleError, OSError: as `folder`.
        """
        folder, name = split(path)
        return look_at(name, self.folder(folder))

    def close(self) -> None:
        """Close everything but the directory itself."""
        self._drop_to(0)
        self._current = None

    def _step(self, name: bytes) -> None:
        check_name(name)
        above = self._open[-1] if self._open else self._root
        try:
            self._open.append(self._enter(name, above))
        except FileNotFoundError:
            self.missing = b"/".join([*self._names, name, b""])
            raise
        self._names.append(name)
        too_deep = len(self._open) - MAX_OPEN - 1
        if too_deep >= 0 and self._open[too_deep] >= 0:
            os.close(self._open[too_deep])
            self._open[too_deep] = -1

    def _enter(self, name: bytes, above: int) -> int:
        try:
            descriptor = _open_folder(name, above)
        except FileNotFoundError:
            if not self._makes:
                raise
            return _make_folder(name, above, self._mode)
        except ObstacleError:
            if not self._replaces:
                raise
            with contextlib.suppress(FileNotFoundError):  # somebody was faster
                os.unlink(name, dir_fd=above)  # a file or a link: of folders, this call fails
            return _make_folder(name, above, self._mode)
        self._tidy(descriptor)
        return descriptor

    def _tidy(self, descriptor: int) -> None:
        if self._tidies is not None:
            _tidy(descriptor, self._tidies)

    def _drop_to(self, depth: int) -> None:
        while len(self._open) > depth:
            descriptor = self._open.pop()
            self._names.pop()
            if descriptor >= 0:
                os.close(descriptor)


def check_name(name: bytes) -> None:
    """Raise ObstacleError for what is not the bare name of an entry; records were checked, this is the last
    word.
    """
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise ObstacleError("it has a name that would lead elsewhere")
    if is_partial_name(name):
        raise ObstacleError("it has a name that restore keeps for unfinished files")


def _open_folder(name: bytes, above: int) -> int:
    try:
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
    what = "a symbolic link, which is not followed" if _is_link(name, above) else "no folder"
    raise ObstacleError(f"on the way to it is {what}")


def _is_link(name: bytes, above: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _make_folder(name: bytes, above: int, mode: int) -> int:
    with contextlib.suppress(FileExistsError):  # somebody was faster; it is opened with the same care
        os.mkdir(name, mode, dir_fd=above)
    return _open_folder(name, above)


def _tidy(descriptor: int, own: PartialNames) -> None:
    """Remove what an earlier restore left unfinished in this folder."""
    try:
        names = [
            os.fsencode(name) for name in os.listdir(descriptor) if name.startswith(".transfer-restore-")
        ]
    except PermissionError:
        return  # nothing can be seen here; what comes says what it may not do
    for name in names:
        if is_partial_name(name) and not own.are_of_job(name):
            with contextlib.suppress(OSError):
                if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    _remove_probe(name, descriptor)
                else:
                    os.unlink(name, dir_fd=descriptor)


def _remove_probe(name: bytes, above: int) -> None:
    """Remove a folder in which names were tried out; it goes only if nothing else is in it."""
    with contextlib.suppress(ObstacleError):
        folder = _open_folder(name, above)
        try:
            for tried in map(os.fsencode, os.listdir(folder)):
                if tried.lower().startswith(PROBE_START):
                    os.unlink(tried, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=above)
