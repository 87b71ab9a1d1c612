"""Devices of objects, made by hand with the product's writer: versions in runs as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.golden.build import LargeFile, Run, document, prepare
from tests.golden.export import entry, facts, item
from tests.golden.model import seal
from transfer.core.names import FileAncestors
from transfer.core.records import Begin, DeleteMarker, Entry, File
from transfer.core.stream_rules import path_fields

CHUNK = 64 << 10
"""What is longer becomes a large object."""

Told = tuple[str, bytes | None, dict[str, Any]]
"""Key, content (None: a delete marker), and facts."""


def version(key: str, number: int, body: bytes | None, **more: Any) -> Told:
    """One of a key's versions, made at the minute `number`."""
    moment = f"2024-01-01T00:{number:02}:00Z"
    return key, body, {"version_id": f"v{number}", "last_modified": moment, "history": True} | more


def plain(key: str, body: bytes, **more: Any) -> Told:
    """An object of which nothing else is kept."""
    return key, body, more


def write_objects(root: Path, *runs: Sequence[Told | Entry], packs: bool = False) -> Path:
    """A sealed device.

    Args:
        root: does not exist.
        runs: in each, keys ascend; records go as they are.
        packs: each version has a pack of its own.
    """
    root.mkdir()
    device = prepare(root, replace(document(), job="objects"))
    sequence = 0
    for number, told in enumerate(runs, start=1):
        names = FileAncestors()
        run = Run(device, number, sequence, f"2024-02-0{number}T00:00:00Z", source="s3://there/", keys=True)
        for one in told:
            if isinstance(one, Entry):
                run.loose(one)
            else:
                key, body, more = one
                is_folder = key.endswith("/") and not body
                member = names.member_name(key.encode(), is_folder=is_folder) if body is not None else ""
                _write(run, key, body, more | {"member": member})
            if packs:
                run.writer.pause()
        run.writer.finish()
        sequence = run.writer.sequence
    seal(root)
    return root


def _write(run: Run, key: str, body: bytes | None, more: dict[str, Any]) -> None:
    name = key.encode()
    if body is None:
        more = {field: more[field] for field in ("version_id", "last_modified")}
        run.loose(DeleteMarker(**path_fields(name), **more))
    elif len(body) <= CHUNK:
        run.batch(item(name, body, **more))
    else:
        _write_large(run, name, body, more)


def _write_large(run: Run, key: bytes, body: bytes, more: dict[str, Any]) -> None:
    large = LargeFile(key, body)
    about = entry(key) | {"object": facts(**more)}
    run.begin(Begin(**about, size_bytes=len(body)))
    for record, piece in large.chunks:
        run.chunk(record, piece)
    file: File = replace(large.file(), **about, user="", group="")
    run.close(file)
