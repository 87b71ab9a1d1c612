"""Damaged devices: no wrong object comes into the bucket, all good ones come, the bad are told by name."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from tests.jobs.attempts import new_site
from tests.jobs.buckets import Bucket
from tests.jobs.memory_import import (
    KIB,
    OPTIONS,
    SIZES,
    Imported,
    import_to_memory,
    run_import,
)
from tests.jobs.shipment import files_of, import_to, make_device, transfer, write_profile
from tests.jobs.watched_store import Call, WatchedStore
from tests.simulators.trees import large_file
from transfer.errors import DeviceError, IntegrityError

pytestmark = pytest.mark.usefixtures("no_loose_ends")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files before, between and behind large ones; the largest runs over several packs."""
    root = tmp_path_factory.mktemp("source")
    for folder in ("a", "m", "z", "empty"):
        (root / folder).mkdir()
    for number in range(40):
        large_file(os.fsencode(root / "amz"[number % 3] / f"small {number}"), number * 397, seed=number)
    for name, size in (("b large", 700 * KIB + 5), ("n large", 1900 * KIB), ("o large", 130 * KIB)):
        large_file(os.fsencode(root / name), size, seed=size)
    os.link(root / "n large", root / "z/link to large")
    os.link(root / "a/small 0", root / "z/link to small")
    return root


@pytest.fixture(scope="module")
def original(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device")
    device = make_device(place / "device", source, write_profile(place / "tiny.toml", **SIZES))
    assert len(list((device / "packs").iterdir())) >= 6
    return device


@pytest.fixture(scope="module")
def expected(source: Path) -> dict[str, bytes]:
    return files_of(source) | {"empty/": b""}


@pytest.fixture
def device(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "device"))


def _pack(device: Path, number: int) -> Path:
    return device / f"packs/{number:08}.tar.zst"


def _segment(device: Path, number: int) -> Path:
    return device / f"segments/{number:08}.jsonl.zst"


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x01
    path.write_bytes(data)


def _check(imported: Imported, expected: dict[str, bytes], *, all_told: bool = True) -> None:
    """What holds after any damage."""
    assert imported.error is None
    assert imported.outcome.integrity_failures
    assert imported.objects.items() <= expected.items(), "a wrong object is in the bucket"
    assert imported.uploads == []
    assert not imported.objects.keys() & imported.failed.keys()
    if all_told:
        assert imported.objects.keys() | imported.failed.keys() == expected.keys()


async def test_undamaged(original: Path, expected: dict[str, bytes]) -> None:
    imported = await import_to_memory(original)
    assert (imported.error, imported.failed, imported.codes) == (None, {}, set())
    assert imported.objects == expected


@pytest.mark.parametrize("seed", range(40))
async def test_one_bit_of_a_pack(device: Path, expected: dict[str, bytes], seed: int) -> None:
    """Wherever it flips: in content, headers, padding, seek table."""
    dice = random.Random(seed)
    pack = _pack(device, dice.randrange(len(list((device / "packs").iterdir()))))
    size = pack.stat().st_size
    _flip(pack, dice.choice([dice.randrange(size), size - 1 - dice.randrange(40), dice.randrange(100)]))
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert "pack-altered" in imported.codes
    lost = {key for key in imported.failed if not key.startswith("z/link")}
    assert len(lost) <= 40, "more than the entries of one frame fell"
    if any("large" in key for key in lost):
        assert len(lost) == 1


async def test_a_link_falls_with_its_file(device: Path, expected: dict[str, bytes]) -> None:
    _flip(_pack(device, 4), 1000)  # in the middle of "n large"
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert imported.failed.keys() == {"n large", "z/link to large"}
    assert imported.failed["z/link to large"].startswith("hard link to n large: chunk ")


@pytest.mark.parametrize("number", range(6))
async def test_a_missing_pack(device: Path, expected: dict[str, bytes], number: int) -> None:
    _pack(device, number).unlink()
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert imported.codes == {"pack-missing"}
    assert imported.failed
    assert len(imported.objects) > 10


@pytest.mark.parametrize("number", range(6))
async def test_a_pack_cut_short(device: Path, expected: dict[str, bytes], number: int) -> None:
    os.truncate(_pack(device, number), _pack(device, number).stat().st_size // 2)
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert imported.codes == {"pack-truncated"}


async def test_a_bad_sector_costs_one_frame(
    device: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails in the middle of a pack; what comes behind is read all the same."""
    read, broken = os.pread, _pack(device, 4)

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if os.path.samestat(os.fstat(descriptor), broken.stat()) and offset <= 1000 < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size, offset)

    monkeypatch.setattr("transfer.device.pack_source.os.pread", failing)
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert imported.failed.keys() == {"n large", "z/link to large"}
    assert imported.codes == {"unreadable"}
    assert imported.failed["n large"].endswith("Input/output error")


async def test_packs_swapped(device: Path, expected: dict[str, bytes]) -> None:
    held = _pack(device, 1).read_bytes()
    _pack(device, 2).rename(_pack(device, 1))
    _pack(device, 2).write_bytes(held)
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert "pack-swapped" in imported.codes


def _gone(path: Path) -> None:
    path.unlink()


def _bit(path: Path) -> None:
    _flip(path, path.stat().st_size // 2)


def _short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("damage", [_gone, _bit, _short, _empty])
async def test_a_lost_segment(
    device: Path, expected: dict[str, bytes], damage: Callable[[Path], None], number: int
) -> None:
    """What it told of is lost; a large file that went through it is not completed from what is left."""
    damage(_segment(device, number))
    imported = await import_to_memory(device)
    _check(imported, expected, all_told=False)
    assert imported.codes & {"segment-missing", "segment-altered", "segment-invalid"}
    assert len(imported.objects) > 10
    large = {key for key in expected if "large" in key}
    told_or_there = imported.objects.keys() | imported.failed.keys()
    assert len(large - told_or_there) <= 1, "a large file that begins or ends elsewhere is told of"


async def test_two_segments_lost_around_two_large_files(device: Path, expected: dict[str, bytes]) -> None:
    """The end of one large file and the beginning of the next are gone: chunks must not be mixed up."""
    for number in (2, 3):
        _segment(device, number).unlink()
    imported = await import_to_memory(device)
    _check(imported, expected, all_told=False)
    assert "a segment of the manifest is lost" in imported.failed.values()


async def test_content_altered_in_a_way_that_zstd_cannot_see(
    device: Path, expected: dict[str, bytes]
) -> None:
    pack = _pack(device, 4)  # within "n large", whose content does not compress: one frame a chunk
    data = pack.read_bytes()
    content = bytearray(zstandard.ZstdDecompressor().decompressobj().decompress(data))
    content[1000] ^= 1
    frame = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(bytes(content))
    pack.write_bytes(frame + data[len(frame) :])
    imported = await import_to_memory(device)
    _check(imported, expected)
    assert imported.failed.keys() == {"n large", "z/link to large"}
    assert imported.failed["n large"].endswith("BLAKE3 differs")


async def test_every_segment_lost(device: Path) -> None:
    for segment in (device / "segments").iterdir():
        _bit(segment)
    imported = await import_to_memory(device)
    assert isinstance(imported.error, IntegrityError)
    assert "no segment" in imported.error.what


async def test_a_device_json_that_the_custody_log_does_not_begin_with(device: Path) -> None:
    with (device / "DEVICE.json").open("ab") as file:
        file.write(b"\n")
    imported = await import_to_memory(device)
    assert isinstance(imported.error, IntegrityError)
    assert "custody" in imported.error.what
    assert not imported.objects


@pytest.mark.parametrize("name", ["DEVICE.json", "RECOVERY.txt", "recover.sh"])
async def test_another_file_under_the_seal(device: Path, expected: dict[str, bytes], name: str) -> None:
    with (device / name).open("ab") as file:
        file.write(b"\n")
    imported = await import_to_memory(device, replace(OPTIONS, ignore_custody=True))
    _check(imported, expected)
    assert imported.codes == {"file-altered"}
    assert imported.objects == expected


def test_exit_codes_and_report(device: Path, bucket: Bucket, tmp_path: Path) -> None:
    _flip(_pack(device, 0), 1000)
    ended = import_to(bucket, device, tmp_path / "report")
    assert ended.code == 4
    assert ended.report is not None
    assert ended.report["state"] == "damaged"
    assert ended.report["findings"][0]["code"] == "pack-altered"
    assert ended.failed
    assert ended.report["failures"] == len(ended.failed)
    assert bucket.listed().isdisjoint(ended.failed)
    assert "the device is damaged" in ended.stderr
    dry = import_to(bucket, device, None, "--dry-run")
    assert dry.code == 0, "a dry run reads no packs"


def test_the_seal(device: Path, original: Path, bucket: Bucket, tmp_path: Path) -> None:
    seal = (device / "SEAL.json").read_bytes()
    (device / "SEAL.json").write_bytes(seal.replace(b'"device_id"', b'"device_no"'))
    assert import_to(bucket, device, None).code == 4
    identity = (original / "DEVICE.json").read_bytes().split(b'"device_id"')[1][2:38].strip(b'" ')
    foreign = seal.replace(identity[:8], b"00000000")
    (device / "SEAL.json").write_bytes(foreign)
    assert import_to(bucket, device, None).code == 4
    (device / "SEAL.json").unlink()
    ended = import_to(bucket, device, None)
    assert ended.code == 10
    assert "transfer seal" in ended.stderr
    assert import_to(bucket, tmp_path / "nowhere", None).code == 10
    assert import_to(bucket, tmp_path, None).code == 10
    assert bucket.listed() == set()
    assert import_to(bucket, device, None, "--incomplete").code == 0


async def test_a_broken_segment_of_an_unsealed_device(device: Path, expected: dict[str, bytes]) -> None:
    """No seal vouches for it: its own digest has to be right before anything it says is believed."""
    (device / "SEAL.json").unlink()
    for byte in (200, 300, 400, 500):
        _flip(_segment(device, 1), byte)
        imported = await import_to_memory(device, replace(OPTIONS, incomplete=True))
        _check(imported, expected, all_told=False)
        _flip(_segment(device, 1), byte)


def test_an_altered_segment_of_an_unsealed_device(tmp_path: Path, small_profile: Path) -> None:
    """Well formed, but for the digest at its end, which comes after more records than are read at once."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4000):
        (source / f"{number:04} {'name ' * 20}").write_bytes(b"")
    device = make_device(tmp_path / "device", source, small_profile, seal=False)
    segment = _segment(device, 0)
    reader = zstandard.ZstdDecompressor().stream_reader(segment.read_bytes(), read_across_frames=True)
    head, _, lines = reader.read().partition(b"\n")
    assert len(lines) > 1 << 20
    assert lines.count(b'"0007 name') == 1
    altered = lines.replace(b'"0007 name', b'"0007 fame')
    compressor = zstandard.ZstdCompressor()
    segment.write_bytes(compressor.compress(head + b"\n") + compressor.compress(altered))
    imported = run_import(device, replace(OPTIONS, incomplete=True))
    assert imported.objects == {}
    assert isinstance(imported.error, IntegrityError)


@pytest.mark.parametrize("budget", [1, 64 * KIB, 1024 * KIB])
@pytest.mark.parametrize(("workers", "requests"), [(1, 1), (3, 7)])
async def test_no_budget_is_too_small(
    original: Path, expected: dict[str, bytes], budget: int, workers: int, requests: int
) -> None:
    options = replace(OPTIONS, memory_bytes=budget, workers=workers, requests=requests)
    assert (await import_to_memory(original, options)).objects == expected


async def test_the_device_goes_away(device: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    """Pulled out when the first object was written: the job ends with that, and goes on when it is back."""
    site = new_site(device, tmp_path / "site", OPTIONS)
    away = device.with_name("away")

    async def pull() -> None:
        device.rename(away)

    numbers = [n for n, call in enumerate(await _calls(device, tmp_path), 1) if call.name == "put"]
    pulled = await site.attempt(WatchedStore(site.store, numbers[0], pull))
    assert isinstance(pulled.error, DeviceError)
    assert "is gone" in pulled.error.what
    assert await site.left() == site.begun()
    away.rename(device)
    again = await site.attempt()
    assert (again.error, again.failed, again.objects) == (None, {}, expected)
    assert await site.left() == site.begun() == []


async def _calls(device: Path, place: Path) -> list[Call]:
    _, watched = await new_site(device, place / "counting", OPTIONS).watched()
    return watched.calls


def test_a_device_that_was_never_finished(source: Path, tmp_path: Path, bucket: Bucket) -> None:
    device = make_device(tmp_path / "d", source, write_profile(tmp_path / "t.toml", **SIZES), seal=False)
    ended = import_to(bucket, device, None)
    assert (ended.code, bucket.listed()) == (10, set())
    packs = sorted((device / "packs").iterdir())
    for path in (packs[-1], sorted((device / "segments").iterdir())[-1]):
        path.unlink()  # as after a crash: the last pack was not committed
    ended = import_to(bucket, device, tmp_path / "report", "--incomplete")
    assert ended.code == 3, ended.stderr
    assert bucket.uploads() == []
    for key in bucket.listed():
        assert bucket.read(key) == files_of(source).get(key, b"")
    assert transfer("seal", device, "--help").code == 0
