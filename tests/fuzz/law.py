"""What no case may bring about."""

from __future__ import annotations


class Broken(AssertionError):
    """A law does not hold."""


def must(holds: bool, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


def check_accepted_path(path: bytes) -> None:
    """Raise Broken where an accepted path could lead out of the folder that it is put into.

    Said in another way than the product does, so as not to repeat its mistakes.
    """
    must(0 < len(path) <= 65_535, "a path of impossible length was accepted")
    must(b"\0" not in path, "a path with a NUL byte was accepted")
    parts = path.removesuffix(b"/").split(b"/")
    must(all(0 < len(part) <= 255 for part in parts), "a path with an impossible component was accepted")
    must(not {b".", b".."} & set(parts), "a path that climbs was accepted")
