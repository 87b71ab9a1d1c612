"""The data types of the SSH protocols as bytes (RFC 4251 §5): as much of them as keys and signatures need.

Reading is strict: a length beyond the end, or bytes behind the last field, are errors.
"""

from __future__ import annotations

_WORD_BYTES = 4


class WireError(ValueError):
    """The bytes are not what they should be; those who know what they are make an error for people of it."""


class WireReader:
    """Reads one field after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            WireError: there are not so many.
        """
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise WireError("it ends too early")
        self._at += count
        return taken

    def uint32(self) -> int:
        """A number of four bytes."""
        return int.from_bytes(self.take(_WORD_BYTES))

    def string(self) -> bytes:
        """A string, which may hold any bytes."""
        return self.take(self.uint32())

    def name(self) -> str:
        """A string of printable ASCII without spaces.

        Raises:
            WireError: it is something else.
        """
        raw = self.string()
        if not all(0x21 <= byte <= 0x7E for byte in raw):
            raise WireError("a name in it has bytes that no name has")
        return raw.decode("ascii")

    def mpint(self) -> int:
        """An integer, not negative, in its shortest form.

        Raises:
            WireError: it is another.
        """
        raw = self.string()
        value = int.from_bytes(raw)
        if mpint(value) != string(raw):
            raise WireError("a number in it is negative or longer than it need be")
        return value

    def end(self) -> None:
        """Raise WireError unless all was read."""
        if self._at != len(self._data):
            raise WireError("something follows its end")


def uint32(value: int) -> bytes:
    """A number of four bytes."""
    return value.to_bytes(_WORD_BYTES)


def string(value: bytes) -> bytes:
    """A string."""
    return uint32(len(value)) + value


def mpint(value: int) -> bytes:
    """An integer, not negative."""
    return string(value.to_bytes(value.bit_length() // 8 + 1) if value else b"")
