"""What the tests of check share: the command in this process, and what it said of each entry."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.golden.build import Run, document, prepare, small
from tests.golden.model import seal
from tests.jobs.buckets import Bucket
from tests.jobs.shipment import Ended, transfer
from transfer.core.names import FileAncestors
from transfer.core.progress import Progress
from transfer.core.records import File, ObjectFacts
from transfer.jobs.check.job import BucketPlace, Check, FolderPlace
from transfer.jobs.check.lists import ListPaths
from transfer.jobs.check.options import CheckOptions
from transfer.jobs.check.results import Checked
from transfer.stores.contract import Store

MARKS = {"=": "same", "+": "missing", "-": "extra", "*": "different", "!": "unproved"}


@dataclass
class Told:
    """What a check told: its counts, and each entry as `--results` has it."""

    checked: Checked
    lines: dict[str, dict[str, Any]]

    @property
    def states(self) -> dict[str, str]:
        """Path to state, of what is not the same."""
        return {path: line["state"] for path, line in self.lines.items() if line["state"] != "same"}

    @property
    def ways(self) -> dict[str, str]:
        """Path to how it was seen, of what is the same."""
        return {path: line["how"] for path, line in self.lines.items() if line["state"] == "same"}


def read_results(text: bytes) -> dict[str, dict[str, Any]]:
    """The lines of `--results` by path, in their order."""
    told: dict[str, dict[str, Any]] = {}
    for line in map(json.loads, text.splitlines()):
        path = line.get("path") or line["path_base64"]
        if path in told:  # an entry, and a file of its name that is another one's
            assert "another file there" in line["reason"]
            path += " again"
        told[path] = line
    return told


async def check_here(
    devices: Path | list[Path],
    place: BucketPlace | FolderPlace,
    observe: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> Told:
    """Check in this event loop."""
    roots = [os.fspath(one) for one in (devices if isinstance(devices, list) else [devices])]
    with TemporaryDirectory() as beside:
        listed = os.path.join(beside, "results")
        check = Check(roots, place, CheckOptions(**options), ListPaths(results=listed), observe)
        checked = await check.run()
        return Told(checked, read_results(Path(listed).read_bytes()))


def check_folder(devices: Path | list[Path], folder: Path, **options: Any) -> Told:
    """Check against a folder."""
    return asyncio.run(check_here(devices, FolderPlace(os.fspath(folder)), **options))


async def check_store(devices: Path | list[Path], store: Store, prefix: str = "", **options: Any) -> Told:
    """Check against a bucket in memory."""
    return await check_here(devices, BucketPlace(store, "memory", prefix), **options)


def check_bucket(bucket: Bucket, *arguments: str | os.PathLike[str], prefix: str = "") -> Ended:
    """The command against a server, with whatever comes before the bucket in `arguments`."""
    place = f"s3://{bucket.name}/{prefix}"
    endpoint = ("--endpoint-url", bucket.server.endpoint_url, "--no-progress")
    ended = transfer("check", *arguments, place, *endpoint, environment=bucket.environment())
    assert "Traceback" not in ended.stderr
    return ended


def read_combined(path: Path) -> dict[str, str]:
    """Path to state, as rclone writes and reads them."""
    return {line[2:]: MARKS[line[0]] for line in path.read_text().splitlines()}


def exported(key: bytes, data: bytes, member: str, **facts: Any) -> tuple[File, bytes]:
    """An object as export keeps it."""
    return small(key, data, object=ObjectFacts(member=member, **facts), uid=0, gid=0, user="", group="")


def keyed_device(place: Path, objects: dict[bytes, bytes], **facts: Any) -> Path:
    """A sealed device that holds objects by key."""
    names = FileAncestors()
    device = prepare(place, document())
    run = Run(device, 1, 0, "2024-01-01T00:00:00Z", source="s3://source/", keys=True)
    for key in sorted(objects):
        is_folder = key.endswith(b"/") and not objects[key]
        member = names.member_name(key, is_folder=is_folder)
        run.batch(exported(key, objects[key], member, **facts))
    run.writer.finish()
    seal(place)
    return place


def path_device(place: Path, *runs: dict[bytes, bytes], **named: Any) -> Path:
    """A sealed device of files, one run after the other; `named` changes its document."""
    from msgspec.structs import replace

    device = prepare(place, replace(document(), **named))
    sequence = 0
    for number, files in enumerate(runs, start=1):
        run = Run(device, number, sequence, f"2024-01-0{number}T00:00:00Z")
        for path in sorted(files):
            run.batch(small(path, files[path]))
        run.writer.finish()
        sequence = run.writer.sequence
    seal(place)
    return place
