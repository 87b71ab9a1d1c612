"""Whole devices as JSON that can be changed, put together again, and read by verify, ls, info and import.

A recipe has the fields of DEVICE.json, and for each pack the header and records of its segment and the stored
bytes of its frames. `put_together` makes all that follows from them agree: offsets, seek table, digests,
counts, seal; unless `keeps` says that something is to stay as it is. `damage` changes stored bytes
afterwards.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import zstandard
from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from tests.fuzz import crafting
from tests.fuzz.json_mutation import PATHS, dump, mutate_json, new_value, parse
from tests.fuzz.mutation import MAX_CASE_BYTES, mutate_bytes
from tests.golden.model import Tampered
from transfer.formats import seek_table
from transfer.formats.age.writer import encrypt
from transfer.formats.tar import member_header

Recipe = dict[str, Any]
_PAPERS = {"RECOVERY.txt": b"How to read this.\n", "recover.sh": b"#!/bin/sh\n"}
_ENTRIES = ("file", "directory", "symlink", "hardlink")
_KEEPS = ("offsets", "counts", "table", "pack", "end", "digests")
_MAX_CONTENT_BYTES = 1 << 20


def take_apart(root: Path, *, is_encrypted: bool = False) -> Recipe:
    """The recipe of a device that is not encrypted; to be made as one that is, perhaps."""
    parts = [
        {
            "header": part.header,
            "records": part.records,
            "frames": [base64.b64encode(frame).decode() for frame in part.frames],
        }
        for part in Tampered(root).parts
    ]
    device = json.loads((root / "DEVICE.json").read_bytes())
    if is_encrypted:
        device["recipients"] = {
            "job": crafting.JOB.recipient.text,
            "resume": crafting.RESUME.recipient.text,
        }
    return {"device": device, "parts": parts, "keeps": [], "seal": {}, "damage": [], "signed": False}


def mutate_recipe(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """A changed recipe."""
    recipe = parse(case)
    if not isinstance(recipe, dict):
        return rng.choice(others)
    recipe = _complete(recipe)
    for _ in range(1 << rng.randrange(3)):
        _change(rng, recipe, others)
    changed = json.dumps(recipe, separators=(",", ":")).encode()
    return changed if len(changed) <= 4 * MAX_CASE_BYTES else case


def _complete(recipe: Recipe) -> Recipe:
    """The recipe with those of its parts that changes took away, so that it can be changed again."""
    whole: Recipe = {"device": {}, "parts": [], "keeps": [], "seal": {}, "damage": [], "signed": False}
    whole |= {key: value for key, value in recipe.items() if type(value) is type(whole.get(key))}
    return whole


def _change(rng: Random, recipe: Recipe, others: Sequence[bytes]) -> None:
    parts = [part for part in recipe["parts"] if isinstance(part, dict)]
    part = rng.choice(parts) if parts else {}
    records, frames = _records(part) or [{}], part.get("frames")
    frames = frames if isinstance(frames, list) else []
    match rng.randrange(20):
        case 0 | 1 | 2:
            at = rng.randrange(len(records))
            records[at] = mutate_json(rng, records[at], records)
        case 3:
            part["header"] = mutate_json(rng, part.get("header"), [other.get("header") for other in parts])
        case 4:
            part["records"] = mutate_json(rng, records, [records])
        case 5:
            _move_record(rng, parts)
        case 6 | 7:
            _change_content(rng, records, frames)
        case 8 if frames:
            at = rng.randrange(len(frames))
            frames[at] = _encoded(mutate_bytes(rng, _decoded(frames[at]), [_decoded(frames[0])]))
        case 9:
            recipe["device"] = mutate_json(rng, recipe["device"], [recipe["device"]])
        case 10:
            key = rng.choice(
                ("files", "packs", "segments", "totals", "generation", "complete", "ordinal", "job")
            )
            recipe["seal"][key] = new_value(rng, None)
        case 11:
            place = [rng.randrange(12), rng.randrange(1 << 17), rng.randrange(256), rng.randrange(4)]
            recipe["damage"].append(place)
        case 12:
            recipe["keeps"] = sorted({*recipe["keeps"], rng.choice(_KEEPS)})
        case 13 | 14:
            _rename(rng, records)
        case 15 | 16:
            _nudge(rng, records)
        case 17 | 18:
            _hide_member(rng, records, frames)
        case _:
            _move_part(rng, recipe, parse(rng.choice(others)))


def _rename(rng: Random, records: list[Any]) -> None:
    """A path or target that leads out, or is spelled in the other way."""
    named = [record for record in records if isinstance(record, dict) and {"path", "target"} & record.keys()]
    if named:
        record = rng.choice(named)
        field = rng.choice([name for name in ("path", "path", "target") if name in record])
        path = rng.choice((*PATHS, str(record[field]) + "/../x", f"{record[field]}/"))
        if rng.randrange(3):
            record[field] = path
        else:
            del record[field]
            record[f"{field}_base64"] = base64.b64encode(path.encode() + b"\xff" * rng.randrange(2)).decode()


def _nudge(rng: Random, records: list[Any]) -> None:
    """A number of a record a little more or less."""
    record = rng.choice(records)
    numbers = [name for name in record if type(record[name]) is int] if isinstance(record, dict) else []
    if numbers:
        record[rng.choice(numbers)] += rng.choice((-65_536, -512, -1, 1, 512, 65_536))


def _hide_member(rng: Random, records: list[Any], frames: list[str]) -> None:
    """A whole member that no record tells, in front of what a frame holds or behind: tar would restore it."""
    told = [record for record in records if isinstance(record, dict) and record.get("kind") == "frame"]
    if not frames or not told:
        return
    at = rng.randrange(min(len(frames), len(told)))
    content = _opened(frames[at])
    if content is not None:
        path = rng.choice((b"hidden", b"../hidden", b"/hidden", b"zzz"))
        member = member_header(path, b"0", 512, 0, (0o644, 0, 0, "", "")) + b"x" * 512
        content = member + content if rng.randrange(2) else content + member
        frames[at] = _encoded(zstandard.ZstdCompressor(level=1, write_checksum=True).compress(content))
        told[at]["bytes"] = len(content)


def _move_record(rng: Random, parts: list[Any]) -> None:
    """A record, with its frame where it is one, goes to another place or stands there twice."""
    if not parts:
        return
    source, target = (_records(rng.choice(parts)) for _ in range(2))
    if source:
        at = rng.randrange(len(source))
        record = source.pop(at) if rng.randrange(2) else source[at]
        target.insert(rng.randrange(len(target) + 1), record)


def _move_part(rng: Random, recipe: Recipe, other: Any) -> None:
    parts = recipe["parts"]
    if parts and rng.randrange(2):
        parts.insert(rng.randrange(len(parts) + 1), parts.pop(rng.randrange(len(parts))))
    elif isinstance(other, dict) and isinstance(other.get("parts"), list) and other["parts"]:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(other["parts"]))


def _change_content(rng: Random, records: list[Any], frames: list[str]) -> None:
    """Other content in a frame, whose record follows; or sums that are right again for what is there."""
    told = [record for record in records if isinstance(record, dict) and record.get("kind") == "frame"]
    if not frames or not told:
        return
    at = rng.randrange(min(len(frames), len(told)))
    content = _opened(frames[at])
    if content is None:
        return
    if rng.randrange(4):
        content = mutate_bytes(rng, content, [content])
    if not rng.randrange(16):  # much of nothing
        content = bytes(rng.choice((1 << 20, (1 << 20) + 1, 2 << 20, 65 << 20, 66 << 20)))
    stored = zstandard.ZstdCompressor(level=1, write_checksum=bool(rng.randrange(8))).compress(content)
    frames[at] = _encoded(stored)
    if rng.randrange(4):
        told[at]["bytes"] = len(content)
    if not rng.randrange(3):
        return
    start = next(index for index, record in enumerate(records) if record is told[at])
    for record in records[start + 1 :]:
        if not isinstance(record, dict) or record.get("kind") == "frame":
            break
        _sum_again(record, content)


def _sum_again(record: Recipe, content: bytes) -> None:
    offset, size = record.get("offset", 0), record.get("size_bytes")
    if "blake3" in record and isinstance(offset, int) and isinstance(size, int):
        piece = content[max(0, offset) :][: max(0, size)]
        record |= {
            "blake3": blake3(piece).hexdigest(),
            "crc64nvme": f"{crc64nvme(piece):016x}",
            "crc32c": f"{crc32c(piece):08x}",
        }


def _opened(frame: str) -> bytes | None:
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(_decoded(frame))
        return reader.read(_MAX_CONTENT_BYTES)
    except zstandard.ZstdError:
        return None


def _encoded(stored: bytes) -> str:
    return base64.b64encode(stored).decode()


def _decoded(frame: Any) -> bytes:
    try:
        return base64.b64decode(frame)
    except (ValueError, TypeError):
        return b""


def put_together(recipe: Recipe) -> dict[str, bytes]:
    """The files of the device, by name."""
    recipe = _complete(recipe)
    device = recipe["device"]
    is_encrypted = isinstance(device, dict) and "recipients" in device
    suffix = ".age" if is_encrypted else ""
    files = dict(_PAPERS) | {"DEVICE.json": dump(device) + b"\n"}
    packs, segments = {}, {}
    for number, part in enumerate(recipe["parts"]):
        if isinstance(part, dict):
            pack, segment = _part_files(part, recipe["keeps"], is_encrypted=is_encrypted)
            packs[f"packs/{number:08}.tar.zst{suffix}"] = pack
            segments[f"segments/{number:08}.jsonl.zst{suffix}"] = segment
    if is_encrypted:
        with crafting.fixed_randomness():
            files["keys/job.age"] = encrypt(f"{crafting.JOB.text}\n".encode(), [crafting.IDENTITY.recipient])
    seal = _seal(recipe, files, packs, segments)
    files |= packs | segments
    if seal is not None:
        files["SEAL.json"] = seal
        files["CUSTODY.jsonl"] = crafting.custody_log(files["DEVICE.json"])
        if recipe["signed"]:
            files["SEAL.json.sig"] = crafting.ssh_sign(seal, "transfer-seal")
    _damage(files, recipe["damage"])
    return files


def _part_files(part: Recipe, keeps: list[str], *, is_encrypted: bool) -> tuple[bytes, bytes]:
    records = [dict(record) if isinstance(record, dict) else record for record in _records(part)]
    listed = part.get("frames")
    frames = [_decoded(frame) for frame in listed] if isinstance(listed, list) else []
    told = [record for record in records if isinstance(record, dict) and record.get("kind") == "frame"]
    offset = 0
    for record, stored in zip(told, frames, strict=False):
        if "offsets" not in keeps:
            record |= {"offset": offset, "stored_bytes": len(stored)}
        offset += len(stored)
    sizes = [
        (len(stored), record["bytes"] if _fits(record.get("bytes")) else 0)
        for record, stored in zip(told, frames, strict=False)
    ]
    plain = b"".join(frames) + (b"" if "table" in keeps else seek_table.encode(sizes))
    header = dict(part["header"]) if isinstance(part.get("header"), dict) else {"kind": "segment"}
    if "counts" not in keeps:
        _count(header, [record for record in records if isinstance(record, dict)])
    with crafting.fixed_randomness():
        pack = encrypt(plain, [crafting.JOB.recipient]) if is_encrypted else plain
        if "pack" not in keeps:
            header |= {"pack_size_bytes": len(pack), "pack_blake3": blake3(pack).hexdigest()}
            header |= {"pack_plain_bytes": len(plain)} if is_encrypted else {}
        lines = b"".join(dump(line) + b"\n" for line in (header, *records))
        segment = crafting.segment_of(lines)
        if is_encrypted:
            segment = encrypt(segment, [crafting.JOB.recipient, crafting.RESUME.recipient])
    return pack, segment


def _records(part: Any) -> list[Any]:
    records = part.get("records") if isinstance(part, dict) else None
    return records if isinstance(records, list) else []


def _fits(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 32


def _count(header: Recipe, records: list[Recipe]) -> None:
    entries = [record for record in records if record.get("kind") in _ENTRIES]
    sizes = [record.get("size_bytes") for record in entries if record.get("kind") == "file"]
    header |= {"entries": len(entries), "content_bytes": sum(size for size in sizes if type(size) is int)}
    paths = [record for record in records if {"path", "path_base64"} & record.keys()]
    for name in ("path", "path_base64"):
        for place, record in (("first", paths[0]), ("last", paths[-1])) if paths else ():
            header.pop(f"{place}_{name}", None)
            if name in record:
                header[f"{place}_{name}"] = record[name]


def _seal(
    recipe: Recipe, files: dict[str, bytes], packs: dict[str, bytes], segments: dict[str, bytes]
) -> bytes | None:
    """SEAL.json; None where the device stays unsealed."""
    if recipe["seal"].get("none"):
        return None
    device = recipe["device"] if isinstance(recipe["device"], dict) else {}
    headers = [part.get("header") for part in recipe["parts"] if isinstance(part, dict)]
    records = [r for part in recipe["parts"] for r in _records(part) if isinstance(r, dict)]
    counted = [r for r in records if r.get("kind") in _ENTRIES]
    document: Recipe = {
        "format": "transfer-seal",
        "format_version": 1,
        "device_id": device.get("device_id"),
        "job": device.get("job"),
        "ordinal": device.get("ordinal"),
        "generation": 1,
        "sealed": "2024-03-04T05:06:07Z",
        "software": "fuzz",
        "complete": bool(
            headers and isinstance(headers[-1], dict) and headers[-1].get("run_complete") is True
        ),
        "files": _listed(files, ("DEVICE.json", "RECOVERY.txt", "recover.sh", "keys/job.age")),
        "packs": _listed(packs),
        "segments": _listed(segments),
    }
    if "recipients" not in device:
        document["totals"] = {
            "entries": len(counted),
            "content_bytes": sum(
                size for r in counted if r["kind"] == "file" and type(size := r.get("size_bytes")) is int
            ),
            "stored_bytes": sum(map(len, (*packs.values(), *segments.values()))),
            "failed": sum(r.get("kind") == "failed" for r in records),
            "skipped": sum(r.get("kind") == "skipped" for r in records),
        }
    if "digests" in recipe["keeps"]:
        document["packs"] = [file | {"blake3": "0" * 64} for file in document["packs"]]
    return dump(document | recipe["seal"]) + b"\n"


def _listed(files: dict[str, bytes], names: Sequence[str] = ()) -> list[Recipe]:
    """Those named, in that order; else all, by their names in their folder."""
    return [
        {"name": name, "size_bytes": len(data), "blake3": blake3(data).hexdigest()}
        for name, data in (
            [(name, files[name]) for name in names if name in files]
            if names
            else [(name.rpartition("/")[2], data) for name, data in files.items()]
        )
    ]


def _damage(files: dict[str, bytes], damage: list[Any]) -> None:
    """Stored bytes changed behind the seal's back: [which file, where, what, how]."""
    for place in damage:
        if not isinstance(place, list) or [type(number) for number in place] != [int] * 4:
            continue
        name = sorted(files)[place[0] % len(files)]
        data = bytearray(files[name])
        at = place[1] % max(1, len(data))
        match place[3] % 4:
            case 0 | 1 if data:
                data[at] ^= place[2] % 256 or 1
            case 2:
                del data[at:]
            case _:
                data[at:at] = bytes([place[2] % 256]) * 16
        files[name] = bytes(data)


@contextmanager
def on_disk(files: dict[str, bytes]) -> Iterator[Path]:
    """The device as a folder."""
    root = Path(tempfile.mkdtemp())
    try:
        for folder in ("packs", "segments", "keys"):
            (root / folder).mkdir()
        for name, data in files.items():
            (root / name).write_bytes(data)
        yield root
    finally:
        shutil.rmtree(root)
