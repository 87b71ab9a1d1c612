"""Damaged and forged encrypted devices: found with key and without, and no wrong byte comes into a bucket."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from tests.jobs.buckets import Bucket
from tests.jobs.encrypted import Key, age_key, keys_of, make_encrypted, pack_path, segment_path
from tests.jobs.memory_import import KIB, OPTIONS, SIZES, Imported, run_import
from tests.jobs.shipment import files_of, import_to, make_device, transfer, write_profile
from tests.simulators.trees import large_file
from transfer.errors import AccessError, DeviceError, IntegrityError
from transfer.formats.age.stream import STORED_CHUNK_BYTES

pytestmark = pytest.mark.usefixtures("no_loose_ends")

NONCE_AT = 22 + len("-> X25519 ") + 43 + 1 + 43 + 1 + len("--- ") + 43 + 1
CHUNKS_AT = NONCE_AT + 16


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encrypted")


@pytest.fixture(scope="module")
def key(place: Path) -> Key:
    return age_key(place)


@pytest.fixture(scope="module")
def source(place: Path) -> Path:
    """Small files before, between and behind large ones; the largest runs over several packs."""
    root = place / "source"
    for folder in ("a", "m", "z", "empty"):
        (root / folder).mkdir(parents=True)
    for number in range(40):
        large_file(os.fsencode(root / "amz"[number % 3] / f"small {number}"), number * 397, seed=number)
    for name, size in (("b large", 700 * KIB + 5), ("n large", 1900 * KIB), ("o large", 130 * KIB)):
        large_file(os.fsencode(root / name), size, seed=size)
    return root


@pytest.fixture(scope="module")
def originals(place: Path, source: Path, key: Key) -> list[Path]:
    """Two devices of the same source and key, and one that is not encrypted."""
    profile = write_profile(place / "tiny.toml", **SIZES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        devices = [make_encrypted(place / name, source, profile, key) for name in ("device", "other")]
        devices.append(make_device(place / "plain", source, profile))
    assert len(list((devices[0] / "packs").iterdir())) >= 6
    return devices


@pytest.fixture(scope="module")
def expected(source: Path) -> dict[str, bytes]:
    return files_of(source) | {"empty/": b""}


@pytest.fixture
def device(originals: list[Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals[0], tmp_path / "device"))


@pytest.fixture
def other(originals: list[Path]) -> Path:
    return originals[1]


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x01
    path.write_bytes(data)


def imported(device: Path, key: Key) -> Imported:
    return run_import(device, replace(OPTIONS, keys=keys_of(key)))


def findings(device: Path, *options: str | Path) -> tuple[int, set[str]]:
    ended = transfer("verify", device, "--json", "--no-progress", *options)
    assert "internal error" not in ended.stderr
    document = ended.document
    return ended.code, {finding["code"] for finding in document.get("findings", [])}


def check_found(device: Path, key: Key, codes: set[str], deep: set[str]) -> None:
    """What verify finds without the key, with it, and deeply."""
    assert findings(device) == (4, codes)
    code, found = findings(device, "-i", key.path)
    assert (code, found >= codes) == (4, True)
    code, found = findings(device, "-i", key.path, "--deep")
    assert (code, found) == (4, deep)


def check_imported(came: Imported, expected: dict[str, bytes], *, all_told: bool = True) -> None:
    assert came.error is None
    assert came.outcome.integrity_failures
    assert came.objects.items() <= expected.items(), "a wrong object is in the bucket"
    assert came.uploads == []
    assert not came.objects.keys() & came.failed.keys()
    if all_told:
        assert came.objects.keys() | came.failed.keys() == expected.keys()


def test_undamaged(originals: list[Path], expected: dict[str, bytes], key: Key) -> None:
    came = imported(originals[0], key)
    assert (came.error, came.failed, came.codes) == (None, {}, set())
    assert came.objects == expected
    for options in ((), ("-i", key.path), ("-i", key.path, "--deep")):
        assert findings(originals[0], *options) == (0, set())


HEAD_PLACES = {"version": 3, "type": 26, "share": 40, "body": 80, "mac": 150, "line end": NONCE_AT - 1}


@pytest.mark.parametrize("position", [*HEAD_PLACES.values(), NONCE_AT + 3], ids=[*HEAD_PLACES, "nonce"])
def test_a_bit_of_the_head_costs_the_pack_and_no_other(
    device: Path, expected: dict[str, bytes], key: Key, position: int
) -> None:
    flip(pack_path(device, 1), position)
    check_found(device, key, {"pack-altered"}, {"pack-altered", "frame-damaged"})
    came = imported(device, key)
    check_imported(came, expected)
    pack_path(device, 1).unlink()
    without = imported(device, key)
    assert (came.objects, came.failed.keys()) == (without.objects, without.failed.keys())


@pytest.mark.parametrize("seed", range(24))
def test_one_bit_of_the_payload_costs_what_stands_in_its_chunk(
    device: Path, originals: list[Path], expected: dict[str, bytes], key: Key, seed: int
) -> None:
    """In the ciphertext or the tag, wherever; a chunk holds the small files of two frames at most."""
    dice = random.Random(seed)
    pack = pack_path(device, dice.randrange(len(list((device / "packs").iterdir()))))
    chunks = range(CHUNKS_AT, pack.stat().st_size, STORED_CHUNK_BYTES)
    start = dice.choice(chunks)
    end = min(start + STORED_CHUNK_BYTES, pack.stat().st_size)
    flip(pack, dice.choice([start, dice.randrange(start, end), end - 1 - dice.randrange(16)]))
    check_found(device, key, {"pack-altered"}, findings(device, "-i", key.path, "--deep")[1])
    came = imported(device, key)
    check_imported(came, expected)
    lost = {name for name in came.failed if "large" not in name}
    assert len(lost) <= 28
    assert len(came.failed) - len(lost) <= 2


CUTS = [
    0,
    21,
    100,
    NONCE_AT + 8,
    CHUNKS_AT,
    CHUNKS_AT + STORED_CHUNK_BYTES,
    CHUNKS_AT + 100_000,
    -17,
    -16,
    -1,
]


@pytest.mark.parametrize("size", CUTS)
def test_a_pack_cut_short(device: Path, expected: dict[str, bytes], key: Key, size: int) -> None:
    pack = pack_path(device, 2)
    os.truncate(pack, size if size >= 0 else pack.stat().st_size + size)
    code, deep = findings(device, "-i", key.path, "--deep")
    assert (code, deep >= {"pack-truncated"}) == (4, True)
    check_found(device, key, {"pack-truncated"}, deep)
    came = imported(device, key)
    check_imported(came, expected)
    assert came.codes <= {"pack-truncated", "unreadable"}
    assert came.codes


@pytest.mark.parametrize("extra", [1, 16, 17, STORED_CHUNK_BYTES, 5 * STORED_CHUNK_BYTES])
def test_a_pack_that_was_extended_loses_its_last_chunk_at_most(
    device: Path, expected: dict[str, bytes], key: Key, extra: int
) -> None:
    with pack_path(device, 2).open("ab") as file:
        file.write(bytes(extra))
    check_found(device, key, {"pack-altered"}, findings(device, "-i", key.path, "--deep")[1])
    came = imported(device, key)
    check_imported(came, expected)
    assert len(came.failed) <= 1


def test_packs_swapped(device: Path, expected: dict[str, bytes], key: Key) -> None:
    held = pack_path(device, 1).read_bytes()
    pack_path(device, 2).rename(pack_path(device, 1))
    pack_path(device, 2).write_bytes(held)
    check_found(device, key, {"pack-swapped"}, findings(device, "-i", key.path, "--deep")[1])
    check_imported(imported(device, key), expected)


def test_a_pack_of_another_device_of_the_same_destination(
    device: Path, other: Path, expected: dict[str, bytes], key: Key
) -> None:
    shutil.copy(pack_path(other, 2), pack_path(device, 2))
    check_found(device, key, {"pack-altered"}, {"pack-altered", "frame-damaged"})
    came = imported(device, key)
    check_imported(came, expected)
    assert any("encrypted to others" in finding.detail for finding in came.outcome.findings)


@pytest.mark.parametrize("number", [0, 3])
def test_a_segment_encrypted_to_a_stranger(
    device: Path, expected: dict[str, bytes], key: Key, number: int
) -> None:
    stranger = pyrage.x25519.Identity.generate().to_public()
    segment_path(device, number).write_bytes(pyrage.encrypt(b"anything", [stranger]))
    check_found(device, key, {"segment-altered"}, findings(device, "-i", key.path, "--deep")[1])
    assert "segment-invalid" in findings(device, "-i", key.path, "--deep")[1]
    came = imported(device, key)
    check_imported(came, expected, all_told=False)
    assert any("encrypted to others" in finding.detail for finding in came.outcome.findings)
    assert len(came.objects) > 10
    ended = transfer("ls", device, "-i", key.path)
    assert (ended.code, f"segment {number}: it is encrypted to others" in ended.stderr) == (4, True)


def _gone(path: Path) -> None:
    path.unlink()


def _bit_of_head(path: Path) -> None:
    flip(path, 40)


def _bit_of_payload(path: Path) -> None:
    flip(path, path.stat().st_size // 2)


def _short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def _longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("number", [0, 2, 5])
@pytest.mark.parametrize("damage", [_gone, _bit_of_head, _bit_of_payload, _short, _longer, _empty])
def test_a_lost_segment(
    device: Path, expected: dict[str, bytes], key: Key, damage: Callable[[Path], None], number: int
) -> None:
    damage(segment_path(device, number))
    code, codes = findings(device)
    assert (code, bool(codes & {"segment-missing", "segment-altered"})) == (4, True)
    assert findings(device, "-i", key.path, "--deep")[0] == 4
    came = imported(device, key)
    check_imported(came, expected, all_told=False)
    assert len(came.objects) > 10


def test_a_segment_of_an_unsealed_device_encrypted_to_a_stranger(
    device: Path, key: Key, expected: dict[str, bytes]
) -> None:
    (device / "SEAL.json").unlink()
    stranger = pyrage.x25519.Identity.generate().to_public()
    segment_path(device, 3).write_bytes(pyrage.encrypt(b"anything", [stranger]))
    assert findings(device)[0] == 12
    code, codes = findings(device, "-i", key.path)
    assert (code, "segment-invalid" in codes) == (4, True)
    came = run_import(device, replace(OPTIONS, keys=keys_of(key), incomplete=True))
    check_imported(came, expected, all_told=False)


def test_a_bad_sector_costs_what_stands_in_its_chunks(
    device: Path, expected: dict[str, bytes], key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails in the middle of a pack; what comes behind is read all the same."""
    read, broken = os.pread, pack_path(device, 4)
    bad = CHUNKS_AT + STORED_CHUNK_BYTES + 1000

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if os.path.samestat(os.fstat(descriptor), broken.stat()) and offset <= bad < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size, offset)

    whole = imported(device, key)
    monkeypatch.setattr("transfer.device.pack_source.os.pread", failing)
    came = imported(device, key)
    check_imported(came, expected)
    assert came.failed.keys() == {"n large"}
    assert came.codes == {"unreadable"}
    assert whole.objects.keys() - came.objects.keys() == {"n large"}


def test_exit_codes_and_report(device: Path, key: Key, bucket: Bucket, tmp_path: Path) -> None:
    flip(pack_path(device, 0), CHUNKS_AT + 1000)
    ended = import_to(bucket, device, tmp_path / "report", "-i", str(key.path))
    assert (ended.code, ended.report is not None) == (4, True)
    assert ended.report is not None
    assert (ended.report["state"], ended.report["findings"][0]["code"]) == ("damaged", "pack-altered")
    assert ended.report["failures"] == len(ended.failed) > 0
    assert bucket.listed().isdisjoint(ended.failed)
    assert len(bucket.listed()) > 10
    assert import_to(bucket, device, None, "-i", str(key.path), "--dry-run").code == 0


# --- keys/job.age and DEVICE.json ---


def refused(device: Path, key: Key, kind: type[Exception], word: str) -> None:
    """By import, and by all that is given the key; nothing comes into the bucket."""
    came = imported(device, key)
    assert isinstance(came.error, kind), came.error
    assert word in str(came.error)
    assert came.objects == {}
    for words in (("verify", device), ("verify", device, "--deep"), ("ls", device), ("info", device)):
        ended = transfer(*words, "-i", key.path, "--json")
        assert ended.code == kind.exit_code, (words, ended.stderr)  # type: ignore[attr-defined]
        assert word in ended.stderr
        assert "Traceback" not in ended.stderr


def test_job_key_of_another_device(device: Path, other: Path, key: Key) -> None:
    shutil.copy(other / "keys/job.age", device / "keys/job.age")
    assert findings(device) == (4, {"file-altered"})
    refused(device, key, IntegrityError, "another identity")


def test_job_key_gone(device: Path, key: Key) -> None:
    (device / "keys/job.age").unlink()
    assert findings(device) == (4, {"file-missing"})
    refused(device, key, DeviceError, "has no keys/job.age")


@pytest.mark.parametrize("position", [3, 40, 150, -1])
def test_job_key_with_a_flipped_bit(device: Path, key: Key, position: int) -> None:
    flip(device / "keys/job.age", position)
    assert findings(device) == (4, {"file-altered"})
    kind = AccessError if position == 40 else IntegrityError  # a stanza that was changed is another's
    refused(device, key, kind, "keys/job.age")


@pytest.mark.parametrize("content", [b"", b"garbage", b"age-encryption.org/v1\n", b"x" * 70_000])
def test_job_key_that_is_none(device: Path, key: Key, content: bytes) -> None:
    (device / "keys/job.age").write_bytes(content)
    refused(device, key, IntegrityError, "keys/job.age")


@pytest.mark.parametrize("content", [b"", b"nothing\n", b"AGE-SECRET-KEY-1\n", b"\xff\n", b"A" * 40_000])
def test_job_key_that_holds_something_else(device: Path, key: Key, content: bytes) -> None:
    to = pyrage.x25519.Recipient.from_str(key.recipient)
    (device / "keys/job.age").write_bytes(pyrage.encrypt(content, [to]))
    refused(device, key, IntegrityError, "keys/job.age")


def test_job_key_that_is_a_link_or_a_folder(device: Path, key: Key, tmp_path: Path) -> None:
    held = (device / "keys/job.age").rename(tmp_path / "away")
    (device / "keys/job.age").symlink_to(held)
    refused(device, key, DeviceError, "not a regular file")
    (device / "keys/job.age").unlink()
    (device / "keys/job.age").mkdir()
    refused(device, key, DeviceError, "not a regular file")


def test_the_identity_of_another(device: Path, tmp_path: Path) -> None:
    refused(device, age_key(tmp_path, "stranger"), AccessError, "cannot be opened")


def test_device_that_says_it_is_not_encrypted(device: Path, key: Key) -> None:
    """Nobody can make an importer take what was encrypted for something that is not."""
    document = json.loads((device / "DEVICE.json").read_text())
    del document["recipients"]
    (device / "DEVICE.json").write_text(json.dumps(document))
    code, codes = findings(device)
    assert (code, "seal-invalid" in codes) == (4, True)
    came = imported(device, key)
    assert isinstance(came.error, IntegrityError)
    assert came.objects == {}


STRANGER = str(pyrage.x25519.Identity.generate().to_public())


@pytest.mark.parametrize(
    "recipients",
    [
        {"job": STRANGER, "resume": STRANGER},
        {"job": "age1" + "q" * 58, "resume": STRANGER},
        {"job": "x"},
        {},
        [],
    ],
    ids=["stranger", "low order", "no recipient", "empty", "list"],
)
def test_device_with_other_recipients(device: Path, key: Key, recipients: object) -> None:
    document = json.loads((device / "DEVICE.json").read_text())
    (device / "DEVICE.json").write_text(json.dumps(document | {"recipients": recipients}))
    assert findings(device)[0] == 4
    came = imported(device, key)
    assert isinstance(came.error, IntegrityError)
    assert came.objects == {}


def test_a_device_that_says_it_is_encrypted_and_is_not(
    originals: list[Path], tmp_path: Path, key: Key
) -> None:
    device = Path(shutil.copytree(originals[2], tmp_path / "device"))
    document = json.loads((device / "DEVICE.json").read_text())
    told = json.loads((originals[0] / "DEVICE.json").read_text())["recipients"]
    (device / "DEVICE.json").write_text(json.dumps(document | {"recipients": told}))
    assert findings(device)[0] == 4
    assert isinstance(imported(device, key).error, DeviceError)


def test_a_seal_that_cannot_be_used_is_found_without_the_key(device: Path, key: Key) -> None:
    (device / "SEAL.json").write_bytes(b"{}")
    assert findings(device) == (4, {"seal-invalid"})
    assert findings(device, "-i", key.path, "--deep") == (4, {"seal-invalid"})


def test_deep_without_the_key_is_refused_before_anything_is_read(device: Path) -> None:
    assert findings(device, "--deep")[0] == 12
