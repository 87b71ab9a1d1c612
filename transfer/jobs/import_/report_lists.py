"""The lists of a report directory: files of lines that only grow, and the one that says what to copy again.

    - Only whole lines are handed to the system, each time behind what is there (O_APPEND), and none of them
      stays in this process once `flush` returned: after kill -9 at most the last line is cut off.
    - A line that could not be written is not forgotten, and not written twice: the next `flush` goes on where
      the last one stopped. What waits is bounded: a list that cannot be written takes no more lines.
    - A list is made as NAME.partial. `publish` puts it in place of what has its name, and it goes on there.

Does not: handle errors. OSErrors are the caller's; it knows the directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from transfer.core.exact_glob import exact_glob
from transfer.core.filters import MAX_RULES
from transfer.core.paths import display, parent

PARTIAL: Final = ".partial"

_BUFFER_BYTES: Final = 64 * 1024

# What a command reads of a file of rules (4 MiB; some room is kept for a comment), and how many rules, of
# which the last one, which leaves out everything else, is its own.
_MOST_REPAIR_BYTES: Final = 4 * 1024 * 1024 - 64 * 1024
_MOST_LINES: Final = MAX_RULES - 1

_NOTE_CHARS: Final = 1000

_REPAIR_HEAD: Final = """\
# What has to be copied again, one pattern a line. At the source, with a device that was newly prepared:
#     transfer copy --include-from {name} SOURCE DEVICE
# then seal and ship that device, and import it to the same place.
"""
_REPAIR_MORE: Final = (
    "# The list goes on in {name}: a command takes no more patterns at once. Copy to the same device\n"
    "# once with each of the files.\n"
)


class ListFile:
    """A growing file of lines.

    Args:
        directory: where.
        name: in place; until `publish` it is NAME.partial.
        head: its first lines.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, directory: str, name: str, head: bytes) -> None:
        self.name = name
        self._place = os.path.join(directory, name)
        self._waiting = bytearray(head)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file: int | None = os.open(self._place + PARTIAL, flags, 0o666)
        self._is_published = False

    def add(self, line: bytes) -> None:
        """Take one whole line.

        Raises:
            OSError: there is no room for it, because what came before cannot be written. It was not taken.
        """
        if len(self._waiting) >= _BUFFER_BYTES:
            self.flush()
        self._waiting += line

    def flush(self) -> None:
        """Hand all that waits to the system; again after an error, if need be."""
        while self._waiting and self._file is not None:
            written = os.write(self._file, self._waiting)
            del self._waiting[:written]

    def publish(self) -> None:
        """Take the place of what has this name; once."""
        if not self._is_published:
            os.rename(self._place + PARTIAL, self._place)
            self._is_published = True

    def close(self) -> None:
        """Put everything on the disk, and close it whatever happens."""
        if self._file is None:
            return
        try:
            self.flush()
            os.fsync(self._file)
        finally:
            os.close(self._file)
            self._file = None


class RepairList:
    """repair.txt, and repair-2.txt and so on where a command could not take all patterns at once.

    Made with the first line. Each path stands there once even if it comes twice in a row.

    Args:
        make: makes a list of that name with that head.
    """

    def __init__(self, make: Callable[[str, bytes], ListFile]) -> None:
        self._make = make
        self._files: list[ListFile] = []
        self._lines = self._bytes = 0
        self._last = b""

    def path(self, path: bytes) -> None:
        """An entry that is to be copied again; a directory's path ends in "/"."""
        if path == self._last:
            return
        lines = _patterns(path, self._last)
        if lines is not None and self._files and not self._has_room(lines):
            self._next()
            lines = _patterns(path, b"")
        if lines is None or not self._has_room(lines):
            self.note(f"too long for a pattern, copy it by other means: {display(path)}", whole=True)
        else:
            self._add(lines)
        self._last = path

    def note(self, text: str, *, whole: bool = False) -> None:
        """A comment; one line, whatever the text holds. It is cut where it is long, unless `whole`."""
        said = text.encode("utf-8", "backslashreplace")
        line = b"# " + display(said if whole else said[:_NOTE_CHARS]).encode()
        if self._files and not self._has_room([line]):
            self._next()
        self._add([line])

    def files(self) -> list[ListFile]:
        """All files that it takes."""
        return self._files

    def _has_room(self, lines: list[bytes]) -> bool:
        size_bytes = sum(map(len, lines)) + len(lines)
        return self._lines + len(lines) <= _MOST_LINES and self._bytes + size_bytes <= _MOST_REPAIR_BYTES

    def _add(self, lines: list[bytes]) -> None:
        if not self._files:
            self._begin()
        text = b"\n".join(lines) + b"\n"
        self._files[-1].add(text)
        self._lines += len(lines)
        self._bytes += len(text)
        self._files[-1].flush()

    def _next(self) -> None:
        full = self._files[-1]
        self._begin()
        full.add(_REPAIR_MORE.format(name=self._files[-1].name).encode())
        full.flush()
        full.close()

    def _begin(self) -> None:
        name = f"repair-{len(self._files) + 1}.txt" if self._files else "repair.txt"
        head = _REPAIR_HEAD.format(name=name).encode()
        self._files.append(self._make(name, head))
        self._lines, self._bytes = 0, len(head)


def _patterns(path: bytes, last: bytes) -> list[bytes] | None:
    """The lines that a path takes behind those of `last`; None where it is too long for one.

    A copy that takes nothing else comes to a directory only if the directories above it are said too; to a
    file it comes by the file's own pattern.
    """
    lines: list[bytes] = []
    while path and (path.endswith(b"/") or not lines):
        pattern = exact_glob(path)
        if pattern is None:
            return None
        lines.append(pattern.encode("utf-8", "surrogateescape"))
        above = parent(path)
        if not path.endswith(b"/") or last.startswith(above):
            break
        path = above
    return lines[::-1]
