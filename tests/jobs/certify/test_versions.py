"""Certificates of exported objects: the newest version of each key is what a bucket must have."""

from __future__ import annotations

from pathlib import Path

from tests.jobs.certify.certifying import Issuer, certify_in_memory, lines_of
from tests.jobs.memory_import import LIMITS, OPTIONS, import_to_memory
from tests.jobs.object_devices import plain, version, write_objects
from tests.jobs.shipment import transfer
from transfer.stores.checksums import checksums_of
from transfer.stores.memory import MemoryStore

OBJECTS = [
    plain("//", b"no path"),
    version("a", 1, b"one"),
    version("a", 2, None),
    version("a", 3, b"three"),
    version("b", 1, b"gone"),
    version("b", 2, None),
    plain("c", b"alone"),
]


async def test_the_newest_versions_are_certified(tmp_path: Path, issuer: Issuer) -> None:
    device = write_objects(tmp_path / "device", OBJECTS)
    for mode in ("off", "enabled"):
        store = MemoryStore(limits=LIMITS, versioning=mode)
        assert (await import_to_memory(device, OPTIONS, store)).failed == {}
        path = tmp_path / f"{mode}.cert"
        done = await certify_in_memory(device, store, issuer, path, OPTIONS)
        assert done.certificate is not None
        assert [line["key"] for line in lines_of(path)] == ["//", "a", "c"]
        assert (done.certificate.complete, done.certificate.older_versions) == (False, 4)


async def test_where_nothing_is_left_out_it_is_complete(tmp_path: Path, issuer: Issuer) -> None:
    """A key of one version has no older ones; and a certificate without any has no word of them."""
    device = write_objects(tmp_path / "device", [plain("a", b"x"), version("b", 1, b"y")])
    store = MemoryStore(limits=LIMITS, versioning="enabled")
    await import_to_memory(device, OPTIONS, store)
    done = await certify_in_memory(device, store, issuer, tmp_path / "c", OPTIONS)
    assert done.certificate is not None
    assert done.certificate.complete
    assert b"older_versions" not in (tmp_path / "c").read_bytes()


async def test_it_does_not_let_a_device_with_versions_be_erased(tmp_path: Path, issuer: Issuer) -> None:
    device = write_objects(tmp_path / "device", OBJECTS)
    store = MemoryStore(limits=LIMITS, versioning="enabled")
    await import_to_memory(device, OPTIONS, store)
    await certify_in_memory(device, store, issuer, tmp_path / "c", OPTIONS)
    ended = transfer("erase", device, "--certificate", tmp_path / "c", "--signers", issuer.signers)
    assert ended.code == 4, ended.stderr
    assert "4 of them older versions" in ended.stderr
    assert (device / "packs/00000000.tar.zst").exists()


async def test_an_older_version_in_its_place_is_found(tmp_path: Path, issuer: Issuer) -> None:
    device = write_objects(tmp_path / "device", OBJECTS)
    store = MemoryStore(limits=LIMITS, versioning="enabled")
    await import_to_memory(device, OPTIONS, store)
    await store.put("a", [b"one"], checksums=checksums_of([b"one"]))
    done = await certify_in_memory(device, store, issuer, tmp_path / "c", OPTIONS)
    assert (done.certificate, done.tally.states) == (None, {"different": 1})
