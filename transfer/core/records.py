"""The records of a segment as values: one class a kind, as FORMAT.md §10 lists them.

The classes carry the types and ranges; `transfer.formats.segment` turns them into bytes and back, and
`transfer.core.stream_rules` holds what must be true of their order. Field names are those of the JSON.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from transfer.core.paths import MAX_PATH_BYTES, from_text

FORMAT_VERSION: Final = 1


def _hex(digits: int) -> Meta:
    """So many lower-case hex digits; checked in `record_rules`: a pattern here would triple the cost."""
    pattern = {"pattern": f"^[0-9a-f]{{{digits}}}$"}
    return Meta(min_length=digits, max_length=digits, extra_json_schema=pattern)


Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Id32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Id64 = Annotated[int, Meta(ge=0)]
Mode = Annotated[int, Meta(ge=0, le=0o7777)]
Time = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Digest = Annotated[str, _hex(64)]
Crc64 = Annotated[str, _hex(16)]
Crc32 = Annotated[str, _hex(8)]
SKIP_REASONS = (
    "socket|fifo|character-device|block-device|other-file-system|symlink-loop|unknown-type|archived"
)
FAIL_REASONS = "vanished|unreadable|io-error|changed|name-too-long|too-large|checksum-mismatch"
SkipReason = Annotated[str, Meta(pattern=rf"^({SKIP_REASONS})(?!\n)$")]
FailReason = Annotated[str, Meta(pattern=rf"^({FAIL_REASONS})(?!\n)$")]
Detail = Annotated[str, Meta(max_length=4096)]
Name = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_PATH_BYTES)]
"""A path as text. Empty stands for "not given" in the classes, and is refused in the JSON."""
Base64 = Annotated[str, Meta(min_length=1, max_length=(MAX_PATH_BYTES + 2) // 3 * 4)]
Timestamp = Annotated[
    str, Meta(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?Z(?!\n)$")
]
"""RFC 3339 in UTC."""
Moment = Annotated[
    str, Meta(pattern=r"^([0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]{1,6})?Z)?(?!\n)$")
]
"""The same, or empty: not known."""
Token = Annotated[str, Meta(max_length=1024)]
"""An ETag, a version id, a storage class."""
HeaderValue = Annotated[str, Meta(max_length=8192)]
Pairs = dict[Annotated[str, Meta(min_length=1, max_length=2048)], Annotated[str, Meta(max_length=8192)]]

B, H, C, P, E = "B", "H", "C", "P", "E"
"""Frame kinds of FORMAT.md §7: batch, headers, content, padding, end of archive."""


class Record(
    Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", gc=False
):
    """Any line of a segment; as it holds texts and numbers, the collector of cycles need not look at it."""


class Frame(Record, kw_only=True, tag="frame"):
    """A frame begins: where it lies in the pack, and how long it is stored and decompressed."""

    type: Annotated[str, Meta(pattern="^[BHCPE]$")]
    offset: Size
    stored_bytes: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    bytes: Annotated[int, Meta(ge=1, le=2**32 - 1)]


class Entry(Record, kw_only=True):
    """A record with a path."""

    path: Text = ""
    path_base64: Base64 = ""

    @property
    def path_bytes(self) -> bytes:
        """The path as bytes (FORMAT.md §5)."""
        return from_text(self.path, self.path_base64)


class Metadata(Entry, kw_only=True):
    """An entry with what stat(2) says of it."""

    mode: Mode
    mtime_ns: Time
    uid: Id32
    gid: Id32
    user: Name = ""
    group: Name = ""
    xattrs: dict[str, str] = {}
    xattrs_omitted: bool = False


class ObjectFacts(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What a bucket says of an object beside its bytes (FORMAT.md §10); empty is "not said".

    Attributes:
        member: the name of its tar member, where that is not the key itself.
        etag: without quotes.
        last_modified: by the bucket's clock.
        user: user metadata, names in lower case without `x-amz-meta-`.
        tags_omitted: it has tags, which could not be read.
        checksums: as the store told them: algorithm in upper case to base64, with `-N` behind it where it is
            one of N parts' sums.
        history: its older and newer versions stand beside it.
    """

    member: Annotated[str, Meta(max_length=MAX_PATH_BYTES)] = ""
    etag: Token = ""
    version_id: Token = ""
    last_modified: Moment = ""
    content_type: HeaderValue = ""
    content_encoding: HeaderValue = ""
    content_disposition: HeaderValue = ""
    content_language: HeaderValue = ""
    cache_control: HeaderValue = ""
    expires: HeaderValue = ""
    website_redirect: HeaderValue = ""
    storage_class: Token = ""
    user: Pairs = {}
    tags: Pairs = {}
    tags_omitted: bool = False
    checksums: Pairs = {}
    history: bool = False


class File(Metadata, kw_only=True, tag="file"):
    """A whole file, with the sums of its content; an object of a bucket where `object` is set."""

    size_bytes: Size
    blake3: Digest
    crc64nvme: Crc64
    crc32c: Crc32
    offset: Size | None = None
    chunks: Count | None = None
    inode: Id64 | None = None
    volume: Id64 | None = None
    sparse: bool = False
    changed: bool = False
    object: ObjectFacts | None = None


class Begin(Metadata, kw_only=True, tag="begin"):
    """A large file begins; its size is the one in the member's header."""

    size_bytes: Size
    object: ObjectFacts | None = None


class Chunk(Entry, kw_only=True, tag="chunk"):
    """One C frame of a large file."""

    index: Count
    size_bytes: Size
    blake3: Digest
    crc64nvme: Crc64
    crc32c: Crc32


class Void(Entry, kw_only=True, tag="void"):
    """The large file begun last is given up."""


class Directory(Metadata, kw_only=True, tag="directory"):
    """A folder."""


class Symlink(Metadata, kw_only=True, tag="symlink"):
    """A symbolic link; its target is never resolved."""

    target: Text = ""
    target_base64: Base64 = ""

    @property
    def target_bytes(self) -> bytes:
        """The target as bytes, exactly as readlink(2) gave it."""
        return from_text(self.target, self.target_base64)


class Hardlink(Metadata, kw_only=True, tag="hardlink"):
    """One more name of a file record that sorts before it."""

    size_bytes: Size
    target: Text = ""
    target_base64: Base64 = ""
    inode: Id64
    volume: Id64

    @property
    def target_bytes(self) -> bytes:
        """The path of the file record with the content."""
        return from_text(self.target, self.target_base64)


class Removed(Entry, kw_only=True, tag="removed"):
    """Older records of this path are void: the source has another type of thing there now."""


class DeleteMarker(Entry, kw_only=True, tag="delete-marker"):
    """A version of a key that says: deleted. Its older and newer versions stand beside it."""

    version_id: Token
    last_modified: Moment = ""


class Skipped(Entry, kw_only=True, tag="skipped"):
    """Not copied on purpose."""

    reason: SkipReason


class Failed(Entry, kw_only=True, tag="failed"):
    """Could not be copied."""

    reason: FailReason
    detail: Detail = ""


class End(Record, kw_only=True, tag="end"):
    """The last line: how many records stood before, and the digest of all of the lines before."""

    records: Count
    blake3: Digest


class Header(Record, kw_only=True, tag="segment"):
    """The first line of a segment: which pack it describes, and how that pack begins, ends and hashes.

    `pack_plain_bytes` is the pack's size before it was encrypted; 0, and not written, where it was not.
    `keys`: the paths are keys of a bucket. `continues`: the run goes on on another device.
    """

    format_version: Literal[1]
    device_id: Annotated[str, Meta(min_length=36, max_length=36)]
    sequence: Annotated[int, Meta(ge=0, le=99_999_999)]
    run: Annotated[int, Meta(ge=1, le=2**31)]
    run_started: Timestamp
    run_complete: bool
    continues: bool = False
    keys: bool = False
    source: Annotated[str, Meta(max_length=MAX_PATH_BYTES)]
    starts_with_member: bool
    ends_with_member: bool
    pack_size_bytes: Size
    pack_blake3: Digest
    pack_plain_bytes: Size = 0
    first_path: Text = ""
    first_path_base64: Base64 = ""
    last_path: Text = ""
    last_path_base64: Base64 = ""
    chunk_size_bytes: Size
    entries: Count
    content_bytes: Size

    @property
    def paths(self) -> tuple[bytes, bytes] | None:
        """The first and the last path of the segment's records with a path; None when it has none."""
        if not (self.first_path or self.first_path_base64):
            return None
        return from_text(self.first_path, self.first_path_base64), from_text(
            self.last_path, self.last_path_base64
        )


Data = File | Directory | Symlink | Hardlink
"""The records that are entries of the merged view."""

AnyRecord = (
    Frame
    | File
    | Begin
    | Chunk
    | Void
    | Directory
    | Symlink
    | Hardlink
    | Removed
    | DeleteMarker
    | Skipped
    | Failed
    | End
)
"""What may stand behind the header of a segment."""
