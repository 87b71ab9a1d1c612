"""What a store tells of an object, as the device records it (FORMAT.md §10).

A store's words are anybody's: what is no text is made one, what no record can hold is told as a defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from transfer.core.file_metadata import GROUP, MTIME, OWNER, parse_mtime, parse_permissions
from transfer.core.record_rules import MAX_FACTS_BYTES
from transfer.core.records import ObjectFacts
from transfer.jobs.export.wanted import Wanted, moment_text
from transfer.stores.contract import ObjectInfo

_SYSTEM = (
    "content_type",
    "content_encoding",
    "content_disposition",
    "content_language",
    "cache_control",
    "expires",
    "website_redirect",
    "storage_class",
)
_MAX_VALUE_CHARS, _MAX_NAME_CHARS, _MAX_TOKEN_CHARS = 8192, 2048, 1024
_MAX_ID = 2**32 - 1
_MAX_TIME_NS = 2**63 - 1
_WHOLE_SECONDS = len("2006-01-02T15:04:05")


class Stat(NamedTuple):
    """What the object's member in the tar stream says, beside its name and content."""

    mode: int
    mtime_ns: int
    uid: int
    gid: int


def facts_of(
    info: ObjectInfo, wanted: Wanted, member: str, tags: Mapping[str, str] | None, *, tags_omitted: bool
) -> ObjectFacts:
    """The facts of an object.

    Args:
        info: what the store said when the bytes were read.
        wanted: what was listed.
        member: its name in the tar stream, where that is not the path.
        tags: None where they were not asked for.
        tags_omitted: it has some, which could not be read.
    """
    metadata = info.metadata
    told = {name: text for name in _SYSTEM if (text := _text(getattr(metadata, name) or ""))}
    return ObjectFacts(
        member=member,
        etag=_text(info.etag),
        version_id=wanted.version_id or _text(info.version_id or ""),
        last_modified=_last_modified(info, wanted),
        user=_texts(metadata.user),
        tags=_texts(tags or {}),
        tags_omitted=tags_omitted,
        checksums=dict(info.checksums),
        history=wanted.history,
        **told,
    )


def defect(facts: ObjectFacts) -> str:
    """Why no record can hold these facts; empty where one can."""
    tokens = (facts.etag, facts.version_id, facts.storage_class)
    if any(len(token) > _MAX_TOKEN_CHARS for token in tokens):
        return "its ETag, version id or storage class is longer than a device can hold"
    pairs = [*facts.user.items(), *facts.tags.items(), *facts.checksums.items()]
    values = [getattr(facts, name) for name in _SYSTEM] + [value for _, value in pairs]
    if any(len(value) > _MAX_VALUE_CHARS for value in values):
        return "a header of it is longer than a device can hold"
    if any(not 1 <= len(name) <= _MAX_NAME_CHARS for name, _ in pairs):
        return "it has metadata or tags with a name that a device cannot hold"
    if sum(len(name.encode()) + len(value.encode()) for name, value in pairs) > MAX_FACTS_BYTES:
        return "it has more metadata and tags than a device can hold"
    return ""


def stat_of(info: ObjectInfo, *, is_folder: bool) -> Stat:
    """Mode, time and owner for the tar stream: what user metadata tells of a file, else the usual.

    Bits that would give away the rights of others (set-user-id and its kin) are left to the metadata.
    """
    user = info.metadata.user
    mode = parse_permissions(user)
    mtime_ns = parse_mtime(user.get(MTIME, ""))
    if mtime_ns is None:
        moment = info.last_modified
        mtime_ns = 0 if moment is None else int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    return Stat(
        mode=(0o755 if is_folder else 0o644) if mode is None else mode & 0o777,
        mtime_ns=max(-_MAX_TIME_NS, min(_MAX_TIME_NS, mtime_ns)),
        uid=_id(user.get(OWNER, "")),
        gid=_id(user.get(GROUP, "")),
    )


def same_moment(one: str, other: str) -> bool:
    """Whether two times may be the same: HTTP tells whole seconds, listings mostly more."""
    if "." in one and "." in other:
        return one == other
    return not one or not other or one[:_WHOLE_SECONDS] == other[:_WHOLE_SECONDS]


def _last_modified(info: ObjectInfo, wanted: Wanted) -> str:
    """The listing's, where it is of the same bytes: the next listing is compared with it, and it is finer.

    Some stores tell another time when the object is read.
    """
    is_same = bool(wanted.last_modified) and info.etag == wanted.etag
    return wanted.last_modified if is_same else moment_text(info.last_modified)


def _id(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_ID else 0


def _texts(pairs: Mapping[str, str]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in pairs.items()}


def _text(value: str) -> str:
    """A store's word as text: bytes that are not UTF-8, which came escaped (PEP 383), are read as Latin-1."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value
