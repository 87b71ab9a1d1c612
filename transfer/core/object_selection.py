"""Which keys of a bucket a command takes: those under a prefix, between two keys, that the filters accept.

Keys are compared as S3 lists them, by their UTF-8 bytes. `begin` and `end` are whole keys and both included.
The path of an object is its key behind the prefix; filters see the path.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.filters import Filter

_LAST_CHARACTER = "\U0010fffd"
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True)
class Selection:
    """What is taken of a bucket.

    Attributes:
        prefix: as `object_keys.folder_prefix` gives it; empty for the whole bucket.
        begin: the first key that may be taken; empty: from the start.
        end: the last key that may be taken; empty: to the end.
    """

    prefix: str = ""
    begin: str = ""
    end: str = ""
    filter: Filter = field(default_factory=Filter)

    @property
    def start_after(self) -> str:
        """A key that a listing may begin behind; what it then gives before `begin` is left out by `takes`."""
        return just_before(self.begin) if self.begin else ""

    def path(self, key: str) -> bytes:
        """The path of an object under the prefix; empty for the object that is named as the prefix."""
        return key[len(self.prefix) :].encode()

    def key(self, path: bytes) -> str:
        """The key of a path."""
        return self.prefix + path.decode()

    def takes(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether an object is taken; a size that is not known passes the filter's limits.

        The object that is named as the prefix itself has no path, and is the caller's question.
        """
        if not key.startswith(self.prefix) or (self.begin and key.encode() < self.begin.encode()):
            return False
        if self.is_behind(key):
            return False
        return self.filter.is_empty or self.filter.accepts_file(self.path(key), size_bytes)

    def is_behind(self, key: str) -> bool:
        """Whether a key sorts behind `end`, so that a sorted listing need not go on."""
        return bool(self.end) and key.encode() > self.end.encode()


def just_before(key: str) -> str:
    """A text that sorts before `key`, and behind nearly all keys that do.

    S3 lists behind a key, never from it; there is no text right before another one.
    """
    before, last = key[:-1], ord(key[-1])
    if not last:
        return before
    last -= 1
    if last in _SURROGATES:
        last = _SURROGATES.start - 1
    return before + chr(last) + _LAST_CHARACTER
