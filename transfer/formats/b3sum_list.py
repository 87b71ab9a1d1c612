"""Lines that `b3sum --check` reads: the digest in hex, two blanks, the path.

A path with a backslash or a line feed has both escaped (`\\\\`, `\\n`), and its line begins with a backslash.
Nothing else is escaped, so a list holds no path that is not UTF-8; and b3sum refuses U+FFFD, which it writes
for what it cannot spell.
"""

from __future__ import annotations

from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()


def b3sum_problem(path: bytes) -> str:
    """Why b3sum cannot check a path; empty where it can."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8, which b3sum cannot check"
    return "its name has the character U+FFFD, which b3sum refuses" if _REPLACEMENT in path else ""


def b3sum_line(blake3: str, path: bytes) -> bytes:
    """The line of a file, its end included.

    Args:
        blake3: 64 hex digits.
        path: without a `b3sum_problem`.
    """
    if b"\\" in path or b"\n" in path:
        escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
        return b"\\%s  %s\n" % (blake3.encode(), escaped)
    return b"%s  %s\n" % (blake3.encode(), path)
