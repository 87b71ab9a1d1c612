"""What is done with a device that was put together: all that reads one, as the commands do it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

from tests.fuzz import crafting
from tests.fuzz.devices import on_disk, put_together
from tests.fuzz.json_mutation import parse
from tests.fuzz.law import check_accepted_path, must
from tests.jobs.memory_import import OPTIONS, import_to_memory
from transfer.device.device import Device
from transfer.device.encryption import Keys
from transfer.device.frame_stream import FrameGroup
from transfer.device.identities import AgeHolder
from transfer.errors import TransferError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.import_.arrival import receive
from transfer.jobs.import_.budget import Budget
from transfer.jobs.import_.packs import PackStream
from transfer.jobs.info import info
from transfer.jobs.listing import entries
from transfer.jobs.verify.findings import CODES, Finding
from transfer.jobs.verify.job import verify

_KEYS = Keys((AgeHolder("the identity", [crafting.IDENTITY]),))
_SIGNERS = AllowedSigners.parse(f"carol {crafting.SIGNER.line}\n", "signers")


def look_at(case: bytes) -> str:
    """info, ls, verify, verify --deep, and the frames as import reads them."""
    recipe = parse(case)
    if not isinstance(recipe, dict):
        return "no recipe"
    with on_disk(put_together(recipe)) as root:
        keys = _KEYS if (root / "keys/job.age").exists() else Keys()
        told = [_told(lambda: _list(root, keys)), _told(lambda: str(len(info(os.fspath(root), keys).runs)))]
        signers = _SIGNERS if recipe.get("signed") else None
        quick = _told(lambda: _verify(root, keys, None, deep=False))
        deep = _told(lambda: _verify(root, keys, signers, deep=True))
        frames = _told(lambda: _read_frames(root, keys))
        must(not (deep == "valid" and quick not in ("valid", deep)), f"valid deeply, and {quick} otherwise")
        must(not (deep == "valid" and frames.startswith("lost")), f"valid, and import finds: {frames}")
        if deep == "valid" and not keys.holders:
            check_stock_tools(root)
    return " | ".join([*told, quick, deep, frames])


def bring_in(case: bytes) -> str:
    """A whole import into a bucket in memory; keys lie beneath the prefix, and are those of plain paths."""
    from dataclasses import replace

    recipe = parse(case)
    if not isinstance(recipe, dict):
        return "no recipe"
    with on_disk(put_together(recipe)) as root:
        options = replace(OPTIONS, prefix="in/", incomplete=True, keys=Keys())
        imported = asyncio.run(import_to_memory(root, options))
    for key in imported.objects:
        must(key.startswith("in/"), "an object outside of the prefix")
        check_accepted_path(key.removeprefix("in/").encode())
    told = _told_digests(recipe)
    for key, content in imported.objects.items():
        must(blake3(content).hexdigest() in told, f"{key} is not what any record tells")
    must(not imported.uploads, "an upload was left")
    if imported.error is not None:
        return type(imported.error).__name__
    return " ".join(sorted({*imported.codes, str(len(imported.objects))}))


def _told_digests(recipe: dict[str, Any]) -> set[str]:
    """Of files by their records, of links' targets, of nothing."""
    digests = {blake3(b"").hexdigest()}
    parts = [part for part in recipe.get("parts") or [] if isinstance(part, dict)]
    for record in [record for part in parts for record in part.get("records") or []]:
        if isinstance(record, dict):
            digests.add(str(record.get("blake3")))
    return digests


def check_stock_tools(root: Path) -> None:
    """What tar would restore of a valid device is what its manifest tells, and lies in the destination."""
    packs = [path.read_bytes() for path in sorted((root / "packs").iterdir())]
    told = set()
    for path in sorted((root / "segments").iterdir()):
        for line in crafting.lines_of(path.read_bytes()).splitlines()[1:]:
            record = json.loads(line)
            if record["kind"] in ("file", "begin", "directory", "symlink", "hardlink"):
                spelled = record.get("path", "").encode() or base64.b64decode(record["path_base64"])
                told.add(spelled.removesuffix(b"/"))
    found = set()
    stream = io.BytesIO(
        b"".join(
            zstandard.ZstdDecompressor().stream_reader(pack, read_across_frames=True).read(64 << 20)
            for pack in packs
        )
    )
    with tarfile.open(fileobj=stream, mode="r|", ignore_zeros=True, errors="surrogateescape") as archive:
        for member in archive:
            found.add(os.fsencode(member.name).removesuffix(b"/"))
    must(found == told, f"tar finds {sorted(found - told)[:3]} more, {sorted(told - found)[:3]} less")


def _told(reading: object) -> str:
    """What came of it; a refusal by its kind."""
    try:
        return str(reading())  # type: ignore[operator]
    except TransferError as error:
        must("memory" not in error.what and "lloc" not in error.what, f"out of memory: {error.what}")
        return type(error).__name__


def _list(root: Path, keys: Keys) -> str:
    count = 0
    for path, _ in entries(os.fspath(root), keys=keys):
        check_accepted_path(path)
        count += 1
    return str(min(count, 20))


def _verify(root: Path, keys: Keys, signers: AllowedSigners | None, *, deep: bool) -> str:
    def check(finding: Finding) -> None:
        must(finding.code in CODES, f"a finding of unknown code {finding.code}")
        must("allocat" not in finding.detail, f"out of memory: {finding.detail}")

    options = {"deep": deep, "observe": lambda progress: None, "on_finding": check, "workers": 1}
    result = verify(os.fspath(root), keys=keys, signers=signers, **options)  # type: ignore[arg-type]
    return "valid" if result.is_valid else " ".join(sorted({finding.code for finding in result.findings}))


def _read_frames(root: Path, keys: Keys) -> str:
    found: list[str] = []
    arrival = receive(os.fspath(root), True, lambda finding: found.append(finding.code), keys)
    headers = [header.sequence for header in arrival.manifest.headers]
    found += asyncio.run(_stream(arrival.device, arrival.files, headers))
    return f"lost {' '.join(sorted(set(found)))}" if found else "whole"


class _All:
    """Everybody wants everything."""

    needs_content = True


async def _stream(device: Device, files: object, sequences: list[int]) -> list[str]:
    found: list[str] = []

    async def plan(group: FrameGroup) -> _All:
        for record in group.records:
            check_accepted_path(record.path_bytes)
        return _All()

    budget = Budget(1 << 30)
    stream = PackStream(device, files, budget, 1, plan, lambda finding: found.append(finding.code))  # type: ignore[arg-type]
    try:
        for sequence in sequences:
            try:
                async for opened in stream.frames(sequence, checked=False):
                    size = opened.group.frame.bytes if opened.group.frame else 0
                    must(len(opened.content) in (0, size), "a frame gave other than its signed size")
                    found += ["damage"] * bool(opened.damage) + ["defect"] * bool(opened.defects)
                    opened.hold.let_go()
            except TransferError as error:
                found.append(type(error).__name__)
    finally:
        await asyncio.to_thread(stream.close)
    must(budget.held_bytes == 0, "bytes of the budget were lost")
    return found
