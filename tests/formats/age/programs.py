"""The age program as oracle, which opens what we write and refuses what we must refuse; and sample files."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

from tests.tools import require_tool
from transfer.formats.age.keys import Identity, Recipient
from transfer.formats.age.reader import AgeReader

MIB = 1 << 20
SIZES = [0, 1, 65535, 65536, 65537, 131072, MIB + 3]
"""Plain bytes: around the borders of chunks, and many of them."""


def sample(size: int) -> bytes:
    """Bytes in which no two chunks are alike."""
    return b"".join(number.to_bytes(8, "big") for number in range(size // 8 + 1))[:size]


def flipped(content: bytes, at: int) -> bytes:
    """The same with one bit changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def read_all(stored: bytes, identity: Identity, size: int = MIB) -> bytes:
    """A whole file, by our reader, in pieces."""
    reader = AgeReader(io.BytesIO(stored), [identity])
    pieces = []
    while piece := reader.read(size):
        pieces.append(piece)
    assert reader.read(size) == b"", "the end stays the end"
    return b"".join(pieces)


class Age:
    """The program, with one identity in a file.

    The test fails, and names the Debian package, where it is not installed.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._program = require_tool("age")
        self._identity = folder / "identity.txt"
        self._identity.write_text(identity.text + "\n")

    def opens(self, stored: bytes) -> bytes | None:
        """The content, or None where the program refuses the file at its beginning, midst or end."""
        done = self._run(["-d", "-i", str(self._identity)], stored)
        return done.stdout if done.returncode == 0 else None

    def writes(self, plain: bytes, *recipients: Recipient) -> bytes:
        """A file of the program's."""
        options = [part for recipient in recipients for part in ("-r", recipient.text)]
        done = self._run(options, plain)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, options: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self._program, *options], input=data, capture_output=True, check=False)
