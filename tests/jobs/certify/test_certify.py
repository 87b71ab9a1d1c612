"""What is certified, and what is not: of a bucket in memory, which has the checksums of Amazon's."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from jsonschema import Draft202012Validator

from tests.golden.schemas import schemas
from tests.jobs.attempts import Site
from tests.jobs.certify.certifying import (
    ALL,
    Issuer,
    certify_in_memory,
    check_in_memory,
    files_beside,
    lines_of,
)
from tests.jobs.memory_import import LIMITS, OPTIONS, import_to_memory, objects_in
from tests.jobs.shipment import copy_to, make_device, transfer, write_profile
from tests.simulators.strict_s3 import strict_s3
from tests.ssh_tools import accepts
from transfer.errors import IntegrityError, StoreUnreachableError, UsageError
from transfer.formats.certificate import decode_certificate
from transfer.jobs.import_.options import Symlinks
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ObjectInfo
from transfer.stores.memory import MemoryStore
from transfer.stores.open import open_store

NAMES = {"c.json", "c.json.sig", "c.json.entries.jsonl.zst"}


class NoSums(MemoryStore):
    """Tells no checksums, as rclone's server."""

    async def head(self, key: str) -> ObjectInfo:
        return replace(await super().head(key), crc64nvme=None, crc32c=None)


class OnlyCrc32c(MemoryStore):
    async def head(self, key: str) -> ObjectInfo:
        return replace(await super().head(key), crc64nvme=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "papers").mkdir()
    return tmp_path / "papers" / "c.json"


async def imported(device: Path, store: MemoryStore | None = None) -> MemoryStore:
    store = store or MemoryStore(limits=LIMITS)
    assert (await import_to_memory(device, ALL, store)).error is None
    return store


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    await store.put(key, [body], checksums=checksums_of([body]))


async def test_everything_that_was_imported_is_certified(
    undisturbed: Site, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    done = await certify_in_memory(varied_device, undisturbed.store, issuer, path)
    objects = await objects_in(undisturbed.store)
    told = lines_of(path)
    assert [line["key"] for line in told] == sorted(objects)
    assert {line["key"]: line["blake3"] for line in told} == {
        key: blake3(body).hexdigest() for key, body in objects.items()
    }
    assert {line["key"]: line["size_bytes"] for line in told} == {
        key: len(body) for key, body in objects.items()
    }
    assert {line["path"]: line["key"] for line in told} == {
        key.removesuffix(".rclonelink"): key for key in objects
    }
    text = path.read_bytes()
    certificate = json.loads(text)
    seal = (varied_device / "SEAL.json").read_bytes()
    identity = json.loads((varied_device / "DEVICE.json").read_bytes())
    for name in ("device_id", "job", "ordinal"):
        assert certificate[name] == identity[name]
    assert certificate["seal_blake3"] == blake3(seal).hexdigest()
    empty = sum(not body for body in objects.values())
    assert certificate["evidence"] == {
        "crc64nvme": len(objects) - empty, "crc32c": 0, "download": 0, "empty": empty,
    }  # fmt: skip
    assert (certificate["complete"], certificate["objects"]) == (True, len(objects))
    assert certificate["bytes"] == sum(map(len, objects.values()))
    companion = path.with_name(certificate["entries"]["name"]).read_bytes()
    assert certificate["entries"]["blake3"] == blake3(companion).hexdigest()
    assert certificate["entries"]["size_bytes"] == len(companion)
    assert certificate["entries"]["entries"] == len(told)
    assert done.certificate == decode_certificate(text, "it")
    assert done.blake3 == blake3(text).hexdigest()
    assert files_beside(path) == NAMES
    signature = path.with_name("c.json.sig").read_bytes()
    who = issuer.key.name
    assert accepts(issuer.signers, who, text, signature, "transfer-certificate")
    assert not accepts(issuer.signers, who, text + b"\n", signature, "transfer-certificate")
    assert not accepts(issuer.signers, who, text, signature, "transfer-seal")


@pytest.mark.parametrize(
    ("key", "after"),
    [
        ("a/small 5", "different"),
        ("z/large", "different"),
        ("z/link to large", "different"),
        ("a/b/one part", "missing"),
        ("empty/inner/", "missing"),
        ("symlink.rclonelink", "different"),
        ("a/small 7", "longer"),
        ("a/small 0", "longer"),
    ],
)
async def test_what_was_changed_behind_our_back_is_found(
    varied_device: Path, issuer: Issuer, path: Path, key: str, after: str
) -> None:
    store = await imported(varied_device)
    body = (await objects_in(store))[key]
    if after == "missing":
        await store.delete(key)
    else:
        other = body + b"more" if after == "longer" else bytes(255 - byte for byte in body)
        await put(store, key, other)
    done = await certify_in_memory(varied_device, store, issuer, path)
    state = "missing" if after == "missing" else "different"
    assert (done.certificate, done.tally.states) == (None, {state: 1})
    assert files_beside(path) == set()
    part = await certify_in_memory(varied_device, store, issuer, path, allow_partial=True)
    assert part.certificate is not None
    assert not part.certificate.complete
    (entry,) = part.certificate.not_certified_first
    assert (entry.path, entry.state) == (key.removesuffix(".rclonelink"), state)
    assert [line["path"] for line in lines_of(path) if line["kind"] != "object"] == [entry.path]
    assert key not in {line["key"] for line in lines_of(path) if line["kind"] == "object"}


@pytest.mark.parametrize("key", ["a/small 5", "z/large", "z/link to large", "symlink.rclonelink"])
async def test_without_checksums_only_a_download_tells(
    varied_device: Path, issuer: Issuer, path: Path, key: str
) -> None:
    store = await imported(varied_device, NoSums(limits=LIMITS))
    objects = await objects_in(store)
    full = sum(1 for body in objects.values() if body)
    done = await certify_in_memory(varied_device, store, issuer, path)
    assert (done.certificate, done.tally.states) == (None, {"unproved": full})
    whole = await certify_in_memory(varied_device, store, issuer, path, download=True)
    assert whole.tally.evidence.download == full
    await put(store, key, bytes(255 - byte for byte in objects[key]))
    other = path.with_name("d.json")
    found = await certify_in_memory(varied_device, store, issuer, other, download=True)
    assert (found.certificate, found.tally.states) == (None, {"different": 1})


async def test_crc32c_where_there_is_no_better_one(varied_device: Path, issuer: Issuer, path: Path) -> None:
    store = await imported(varied_device, OnlyCrc32c(limits=LIMITS))
    done = await certify_in_memory(varied_device, store, issuer, path, download=True)
    assert (done.tally.evidence.crc64nvme, done.tally.evidence.download) == (0, 0)
    assert done.tally.evidence.crc32c > 10
    await put(store, "a/small 5", b"xxxxx")
    found = await certify_in_memory(varied_device, store, issuer, path.with_name("d"))
    assert found.tally.states == {"different": 1}


async def test_other_objects_are_counted_and_nothing_else(
    varied_device: Path, issuer: Issuer, path: Path
) -> None:
    store = await imported(varied_device)
    for key in ("0 first", "a/small 5 and more", "symlink-ish", "symlink.rclonelink2", "zz last"):
        await put(store, key, b"other")
    done = await certify_in_memory(varied_device, store, issuer, path)
    assert done.certificate is not None
    assert (done.certificate.complete, done.certificate.other_objects) == (True, 5)


async def test_symbolic_links_as_they_were_imported(varied_device: Path, issuer: Issuer, path: Path) -> None:
    store = MemoryStore(limits=LIMITS)
    await import_to_memory(varied_device, replace(ALL, symlinks=Symlinks.SKIP), store)
    report = await certify_in_memory(varied_device, store, issuer, path, options=OPTIONS)
    assert (report.certificate, report.tally.states) == (None, {"not-sendable": 1})
    rclone = await certify_in_memory(varied_device, store, issuer, path)
    assert (rclone.certificate, rclone.tally.states) == (None, {"missing": 1})
    skip = replace(ALL, symlinks=Symlinks.SKIP)
    skipped = await certify_in_memory(varied_device, store, issuer, path, options=skip)
    assert skipped.certificate is not None
    assert (skipped.certificate.complete, skipped.certificate.symlinks_left_out) == (True, 1)


@pytest.fixture
def lacking_device(tmp_path: Path) -> Path:
    """One file, one that can have no key, and one that was skipped."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    (source / os.fsdecode(b"latin \xe4")).write_bytes(b"no key")
    os.mkfifo(source / "pipe")
    return make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml"))


async def test_what_the_device_lacks_is_named(lacking_device: Path, issuer: Issuer, path: Path) -> None:
    device = lacking_device
    store = MemoryStore(limits=LIMITS)
    await import_to_memory(device, ALL, store)
    done = await certify_in_memory(device, store, issuer, path)
    assert done.tally.states == {"not-on-device": 1, "not-sendable": 1}
    assert files_beside(path) == set()
    part = await certify_in_memory(device, store, issuer, path, allow_partial=True)
    assert part.certificate is not None
    assert part.certificate.objects == 1
    names = {(one.path, one.path_base64) for one in part.certificate.not_certified_first}
    assert names == {("pipe", ""), ("", "bGF0aW4g5A==")}
    schema = json.loads(schemas()["certificate.schema.json"])
    Draft202012Validator(schema).validate(json.loads(path.read_bytes()))
    line = Draft202012Validator(json.loads(schemas()["certificate-entries.schema.json"]))
    for told in lines_of(path):
        line.validate(told)
        assert not line.is_valid(told | {"more": 1})
        assert not line.is_valid(told | {"path_base64": "/w=="} if "path" in told else told | {"path": "x"})


@pytest.fixture
def device_of_two_runs(tmp_path: Path) -> Path:
    """Of the second one: a new version of a file with a link to the old one, a folder where a file was."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("kept", "changed", "gone", "to folder", "alone", "an older"):
        (source / name).write_bytes(name.encode() * 100)
    os.link(source / "changed", source / "link")
    os.link(source / "an older", source / "link to older")
    profile = write_profile(tmp_path / "p.toml")
    device = make_device(tmp_path / "device", source, profile, seal=False)
    (source / "changed").unlink()
    (source / "changed").write_bytes(b"a newer version")
    (source / "to folder").unlink()
    (source / "to folder").mkdir()
    (source / "gone").unlink()
    os.link(source / "alone", source / "alone no more")
    (source / "link to older").unlink()  # on the device it stays, a link to what "an older" was then
    (source / "an older").unlink()
    (source / "an older").write_bytes(b"newer")
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    return device


async def test_several_runs_and_the_links_of_older_versions(
    device_of_two_runs: Path, issuer: Issuer, path: Path
) -> None:
    """A link's content is that of the version that it was made for, wherever that is by now."""
    device = device_of_two_runs
    store = await imported(device)
    done = await certify_in_memory(device, store, issuer, path)
    assert done.tally.states == {}
    objects = await objects_in(store)
    assert {line["key"]: line["blake3"] for line in lines_of(path)} == {
        key: blake3(body).hexdigest() for key, body in objects.items()
    }
    assert objects["link"] == b"changed" * 100
    assert objects["to folder/"] == b""
    assert objects["alone no more"] == b"alone" * 100
    assert (objects["an older"], objects["link to older"]) == (b"newer", b"an older" * 100)


async def test_a_file_that_changed_while_it_was_read_is_not_certified(
    varied_device: Path, issuer: Issuer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await imported(varied_device)
    from transfer.jobs.comparing import originals

    real = originals.content_of

    def mixed(record: Any) -> Any:
        told = real(record)
        return originals.Content(
            told.size_bytes, told.blake3, told.crc64nvme, told.crc32c, record.size_bytes == 3
        )

    monkeypatch.setattr("transfer.jobs.comparing.expected.content_of", mixed)
    monkeypatch.setattr(originals, "content_of", mixed)
    done = await certify_in_memory(varied_device, store, issuer, path, allow_partial=True)
    assert done.certificate is not None
    assert [(one.path, one.state) for one in done.certificate.not_certified_first] == [
        ("a/small 3", "changed-at-source"),
        ("z/link to small", "changed-at-source"),
    ]
    assert done.certificate.other_objects == 0


async def test_a_file_is_never_overwritten(
    undisturbed: Site, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    for name in NAMES:
        (path.parent / name).write_bytes(b"mine")
        with pytest.raises(UsageError, match="already"):
            await certify_in_memory(varied_device, undisturbed.store, issuer, path)
        assert (path.parent / name).read_bytes() == b"mine"
        assert files_beside(path) == {name}
        (path.parent / name).unlink()


async def test_what_an_attempt_left_that_was_killed_is_in_nobodys_way(
    undisturbed: Site, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    path.with_name("c.json.entries.jsonl.zst.partial").write_bytes(b"half")
    await certify_in_memory(varied_device, undisturbed.store, issuer, path)
    assert files_beside(path) == NAMES


async def test_a_damaged_manifest_certifies_nothing(
    tmp_path: Path, undisturbed: Site, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    import shutil

    device = shutil.copytree(varied_device, tmp_path / "device")
    segment = max((device / "segments").iterdir())
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    with pytest.raises(IntegrityError, match="manifest"):
        await certify_in_memory(device, undisturbed.store, issuer, path, allow_partial=True)
    assert files_beside(path) == set()


async def test_damaged_packs_are_told_of_and_do_not_matter(
    tmp_path: Path, undisturbed: Site, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    """They were imported before; what is in the bucket is what counts."""
    import shutil

    device = shutil.copytree(varied_device, tmp_path / "device")
    max((device / "packs").iterdir()).unlink()
    done = await certify_in_memory(device, undisturbed.store, issuer, path)
    assert done.certificate is not None
    assert {defect.code for defect in done.defects} == {"pack-missing"}


async def test_a_store_that_goes_away_ends_it_without_a_certificate(
    varied_device: Path, issuer: Issuer, path: Path
) -> None:
    class Lost(MemoryStore):
        calls = 0

        async def head(self, key: str) -> ObjectInfo:
            self.calls += 1
            if self.calls > 3:
                raise StoreUnreachableError("the endpoint does not answer")
            return await super().head(key)

    store = Lost(limits=LIMITS)
    full = await imported(varied_device)
    for key, body in (await objects_in(full)).items():
        await put(store, key, body)
    with pytest.raises(StoreUnreachableError):
        await certify_in_memory(varied_device, store, issuer, path, allow_partial=True)
    assert files_beside(path) == set()


async def test_one_object_that_cannot_be_asked_for_is_not_certified(
    varied_device: Path, issuer: Issuer, path: Path
) -> None:
    class Failing(MemoryStore):
        async def head(self, key: str) -> ObjectInfo:
            if key == "a/small 5":
                raise StoreUnreachableError("the endpoint does not answer")
            return await super().head(key)

    done = await certify_in_memory(
        varied_device, await imported(varied_device, Failing(limits=LIMITS)), issuer, path
    )
    assert done.tally.states == {"unproved": 1}


async def test_the_marker_of_a_folder_that_is_another_object(
    varied_device: Path, issuer: Issuer, path: Path
) -> None:
    """rclone's server takes the slash off, and answers with whatever has the name without it."""

    class Slashless(MemoryStore):
        async def head(self, key: str) -> ObjectInfo:
            return await super().head(key.rstrip("/"))

    store = await imported(varied_device, Slashless(limits=LIMITS))
    await store.delete("empty/inner/")
    await put(store, "empty/inner", b"")
    done = await certify_in_memory(varied_device, store, issuer, path)
    assert done.tally.states == {}
    await put(store, "empty/inner", b"not empty")
    done = await certify_in_memory(varied_device, store, issuer, path.with_name("d"))
    assert done.tally.states == {"different": 1}


async def test_on_a_server_as_strict_as_amazons(
    varied_device: Path, issuer: Issuer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP: the checksums of HEAD, of objects in one piece and in parts, and a listing for the check."""
    async with strict_s3("bucket", limits=LIMITS) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        store = await open_store(
            "bucket", endpoint_url=server.endpoint_url, region="us-east-1", limits=LIMITS
        )
        try:
            imported = await import_to_memory(varied_device, ALL, store)
            assert (imported.error, imported.failed) == (None, {})
            done = await certify_in_memory(varied_device, store, issuer, path)
            count = sum(1 for body in (await objects_in(store)).values() if body)
            assert (done.tally.evidence.crc64nvme, done.tally.not_certified) == (count, 0)
            before = len(server.requests)
            checked = await check_in_memory(path, store, issuer)
            assert (checked.wrong, checked.same["etag"]) == ({}, count)
            assert len(server.requests) - before == 1, "one page of a listing"
        finally:
            await store.aclose()
