"""Entry paths to object keys: prefix and path as text; never mangled, refused with a reason instead."""

from __future__ import annotations

from transfer.core.s3_limits import AWS_LIMITS, S3Limits, check_key

LINK_SUFFIX = ".rclonelink"
"""What rclone appends to the key of an object that stands for a symbolic link."""


def folder_prefix(prefix: str) -> str:
    """The prefix that makes `survey` and `survey/` the same folder in a bucket; empty stays empty."""
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"


def object_key(prefix: str, path: bytes, limits: S3Limits = AWS_LIMITS) -> tuple[str, str]:
    """The key of an entry, and why it cannot be one (empty when it can).

    Args:
        prefix: as `folder_prefix` gives it.
        path: of the entry; a directory's ends in "/".
        limits: of the endpoint.
    """
    try:
        key = prefix + path.decode()
    except UnicodeDecodeError:
        return prefix + path.decode(errors="backslashreplace"), "its name is not UTF-8, and keys are"
    return key, check_key(key, limits) or ""
