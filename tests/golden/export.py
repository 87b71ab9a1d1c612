"""A device that was filled from a bucket, with fixed ids and times: keys that are no paths, an object beside
a folder of its name, versions and a delete marker, and what could not be had.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.golden.build import CHUNK_BYTES, LargeFile, Run, content, document, prepare, sums
from tests.golden.model import seal
from transfer.core.records import Begin, DeleteMarker, Failed, File, ObjectFacts, Skipped
from transfer.core.stream_rules import path_fields

DEVICE = "device"
DEVICE_ID = "05060708-0102-4304-8506-0d0e0f101112"
SOURCE = "s3://bucket/prefix/"
MODIFIED = "2024-01-01T00:00:00Z"
MTIME_NS = 1_704_067_200_000_000_000
README = """# A golden device that was filled from a bucket

`device` holds a bucket's objects as FORMAT.md describes them: `a` beside `a/b`, keys with an empty component
and with a slash before all, an empty object that stands for a folder and one that is none, metadata and tags,
three versions of a key with a delete marker among them, a large object, one that could not be read and one
from an archive; a second run brings a newer version. `transfer verify device --deep` finds nothing wrong.
`make golden` writes it anew.
"""


def facts(**more: Any) -> ObjectFacts:
    return ObjectFacts(**({"etag": "0123456789abcdef", "last_modified": MODIFIED} | more))


def entry(key: bytes, mode: int = 0o644) -> dict[str, Any]:
    return path_fields(key) | {"mode": mode, "mtime_ns": MTIME_NS, "uid": 0, "gid": 0}


def item(key: bytes, data: bytes, **more: Any) -> tuple[File, bytes]:
    """A small object."""
    mode = 0o644 if data else 0o755
    return File(**entry(key, mode), size_bytes=len(data), **sums(data), object=facts(**more)), data


def version(key: bytes, number: int, data: bytes) -> tuple[File, bytes]:
    moment = f"2024-01-0{number}T00:00:00.500Z"
    return item(key, data, version_id=f"v{number}", last_modified=moment, history=True)


def write_export(root: Path) -> None:
    """Write README and device into an empty folder."""
    (root / "README.md").write_text(README)
    device = prepare(root / DEVICE, replace(document(DEVICE_ID), job="golden-export"))
    first = Run(device, 1, 0, "2024-01-02T03:05:00Z", source=SOURCE, keys=True)
    first.batch(
        item(b"/first", b"1", member="%/first"),
        item(
            b"a",
            b"an object\n",
            content_type="text/plain",
            cache_control="no-cache",
            storage_class="STANDARD_IA",
            user={"mtime": "1704067200", "note": "f\u00fcr alle"},
            tags={"project": "north"},
            checksums={"CRC64NVME": "AAAAAAAAAAA="},
        ),
        item(b"a/", b"", member="a%~1/"),
        item(b"a//d", b"d", member="a%~1/%/d"),
        item(b"a/b", b"below it\n", member="a%~1/b"),
        item(b"a/c/", b"a folder with content\n", member="a%~1/c/%"),
    )
    large = LargeFile(b"big.bin", content("object", 2 * CHUNK_BYTES + 5))
    about = entry(large.path) | {"object": facts(etag="big-3", tags_omitted=True)}
    first.begin(Begin(**about, size_bytes=len(large.data)))
    for record, piece in large.chunks:
        first.chunk(record, piece)
    first.close(replace(large.file(), **about, user="", group=""))
    first.loose(
        Failed(**path_fields(b"changing"), reason="changed", detail="its ETag was another"),
        Skipped(**path_fields(b"frozen"), reason="archived"),
    )
    first.batch(version(b"kept", 1, b"one"))
    first.loose(DeleteMarker(**path_fields(b"kept"), version_id="d2", last_modified="2024-01-02T00:00:00Z"))
    first.batch(version(b"kept", 3, b"three"))
    first.writer.finish()
    second = Run(device, 2, first.writer.sequence, "2024-02-03T04:05:06Z", source=SOURCE, keys=True)
    second.batch(version(b"kept", 4, b"four"))
    second.writer.finish()
    seal(root / DEVICE)
