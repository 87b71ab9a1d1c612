"""Which devices of a job have not arrived yet: told, and in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.golden.build import Run, document, prepare, small
from tests.golden.model import seal
from tests.jobs.buckets import Bucket
from tests.jobs.memory_import import import_to_memory
from tests.jobs.shipment import import_to
from transfer.device.device import open_device
from transfer.device.writer import DeviceWriter
from transfer.formats.documents import SetDevice, encode
from transfer.jobs.import_.device_set import told
from transfer.ledger.values import DeviceSet

IDS = {number: f"0000000{number}-0000-4000-8000-000000000000" for number in range(1, 6)}

WERE = "have been at this destination, for this bucket or another"


def make_device(
    place: Path, ordinal: int, *, twin: bool = False, listed: int = 0, continues: bool = False
) -> Path:
    """A sealed device of the job `set`; its seal tells of `listed` devices."""
    root = place / f"device-{ordinal}{'-twin' if twin else ''}"
    root.mkdir(parents=True)
    device_id = IDS[ordinal].replace("00000000", "ffffffff", 1) if twin else IDS[ordinal]
    if twin:
        device_id = f"f{device_id[1:]}"
    device = prepare(root, replace(document(device_id), job="set", ordinal=ordinal))
    run = Run(device, 1, 0, "2024-02-01T00:00:00Z")
    run.batch(small(b"file %d" % ordinal, b"content"))
    _finish(run.writer, continues=continues)
    seal(root)
    if listed:
        devices = [SetDevice(ordinal=number, device_id=IDS[number]) for number in range(1, listed + 1)]
        sealed = open_device(str(root)).seal()
        (root / "SEAL.json").write_bytes(encode(replace(sealed, devices=devices)))
    return root


def _finish(writer: DeviceWriter, *, continues: bool) -> None:
    if continues:
        writer.finish(continues=True)
    else:
        writer.finish()


async def arrive(place: Path, *devices: Path) -> list[str]:
    """What is told of the set as devices arrive one after the other."""
    said = []
    for device in devices:
        done = await import_to_memory(device, ledger=place / "ledger")
        assert (done.error, done.failed) == (None, {})
        said.append(told(done.outcome.devices_of, done.outcome.devices))
    return said


async def test_a_device_that_is_alone_tells_nothing(tmp_path: Path) -> None:
    assert await arrive(tmp_path, make_device(tmp_path, 1)) == [""]


async def test_the_last_one_tells_of_all(tmp_path: Path) -> None:
    devices = [make_device(tmp_path, number, listed=4 if number == 4 else 0) for number in (1, 2, 3, 4)]
    said = await arrive(tmp_path, devices[3], devices[1], devices[0], devices[0], devices[2])
    assert said == [
        "of the 4 devices of job set, not here yet: devices 1 to 3",
        "of the 4 devices of job set, not here yet: devices 1, 3",
        "of the 4 devices of job set, not here yet: device 3",
        "of the 4 devices of job set, not here yet: device 3",
        f"all 4 devices of job set {WERE}",
    ]


async def test_one_that_goes_on_tells_of_the_next(tmp_path: Path) -> None:
    first, second = make_device(tmp_path, 1, continues=True), make_device(tmp_path, 2)
    said = "of the devices of job set, not here yet: device 2, and perhaps later ones"
    assert await arrive(tmp_path, first, second) == [said, ""]


async def test_lower_ordinals_are_missing(tmp_path: Path) -> None:
    assert await arrive(tmp_path, make_device(tmp_path, 3)) == [
        "of the devices of job set, not here yet: devices 1 to 2"
    ]


async def test_one_of_two_twins_is_enough(tmp_path: Path) -> None:
    devices = [
        make_device(tmp_path, 2, listed=2),
        make_device(tmp_path, 1, twin=True),
        make_device(tmp_path, 1),
    ]
    assert (await arrive(tmp_path, *devices))[1:] == [f"all 2 devices of job set {WERE}"] * 2


def test_it_is_in_the_result_and_the_report(tmp_path: Path, bucket: Bucket) -> None:
    device = make_device(tmp_path, 2, listed=3)
    ended = import_to(bucket, device, tmp_path / "report", "--ledger", str(tmp_path / "ledger"))
    assert ended.code == 0
    assert "  of the 3 devices of job set, not here yet: devices 1, 3\n" in ended.stdout
    assert ended.report is not None
    named: dict[str, Any] = {name: ended.report[f"devices_{name}"] for name in ("seen", "missing", "listed")}
    assert named == {"seen": [2], "missing": [1, 3], "listed": True}
    ended = import_to(bucket, device, None, "--ledger", str(tmp_path / "ledger"), "--json")
    assert json.loads(ended.stdout)["devices"] == {"seen": [2], "missing": [1, 3], "is_listed": True}


@pytest.mark.parametrize("listed", [False, True])
def test_nothing_is_said_of_one_device(listed: bool) -> None:
    assert told("j", DeviceSet((1,), (), listed)) == ""
