"""`certify --check`, months later: with the certificate and the bucket alone."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.attempts import Site
from tests.jobs.certify.certifying import (
    Issuer,
    certify_in_memory,
    check_in_memory,
    lines_of,
)
from tests.jobs.memory_import import LIMITS, objects_in
from tests.jobs.watched_store import WatchedStore
from tests.ssh_tools import make_key, sign, signers_file
from transfer.errors import IntegrityError, UsageError
from transfer.jobs.certify.papers import read_paper
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ObjectInfo
from transfer.stores.memory import MemoryStore

KEYS = ["a/small 5", "z/large", "large", "z/link to small", "symlink.rclonelink"]


class NoSums(MemoryStore):
    async def head(self, key: str) -> ObjectInfo:
        return replace(await super().head(key), crc64nvme=None, crc32c=None)


@pytest.fixture
async def path(undisturbed: Site, varied_device: Path, issuer: Issuer, tmp_path: Path) -> Path:
    path = tmp_path / "c.json"
    await certify_in_memory(varied_device, undisturbed.store, issuer, path)
    return path


@pytest.fixture
def store(undisturbed: Site) -> MemoryStore:
    return deepcopy(undisturbed.store)


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    await store.put(key, [body], checksums=checksums_of([body]))


def without_sums(store: MemoryStore) -> NoSums:
    other = NoSums(limits=LIMITS)
    other._objects = store._objects
    return other


async def test_nothing_has_changed(store: MemoryStore, path: Path, issuer: Issuer) -> None:
    watched = WatchedStore(store)
    checked = await check_in_memory(path, watched, issuer)
    objects = await objects_in(store)
    empty = sum(not body for body in objects.values())
    assert checked.same == {"etag": len(objects) - empty, "empty": empty}
    assert (checked.wrong, checked.other_objects, checked.objects) == ({}, 0, len(objects))
    assert checked.bytes == sum(map(len, objects.values()))
    assert {call.name for call in watched.calls} == {"list"}, "a listing is all that it takes"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("how", ["deleted", "longer", "same size", "empty"])
async def test_each_change_is_found(
    store: MemoryStore, path: Path, issuer: Issuer, key: str, how: str
) -> None:
    body = (await objects_in(store))[key]
    if how == "deleted":
        await store.delete(key)
    else:
        other = {"longer": body + b"x", "empty": b"", "same size": bytes(255 - byte for byte in body)}[how]
        await put(store, key, other)
    for there in (store, without_sums(store)):
        checked = await check_in_memory(path, there, issuer)
        state = "missing" if how == "deleted" else "different"
        assert checked.wrong == {state: 1}
        assert [(one.key, one.state) for one in checked.first] == [(key, state)]


async def test_the_same_content_written_anew(store: MemoryStore, path: Path, issuer: Issuer) -> None:
    """In one request, where it was in parts: another ETag. The checksum tells; else a download does."""
    await put(store, "z/large", (await objects_in(store))["z/large"])
    checked = await check_in_memory(path, store, issuer)
    assert (checked.wrong, checked.same["checksum"]) == ({}, 1)
    blind = without_sums(store)
    checked = await check_in_memory(path, blind, issuer)
    assert checked.wrong == {"different": 1}
    assert "written anew" in checked.first[0].reason
    checked = await check_in_memory(path, blind, issuer, download=True)
    assert (checked.wrong, checked.same["download"]) == ({}, 1)
    await put(blind, "z/large", bytes(len((await objects_in(blind))["z/large"])))
    checked = await check_in_memory(path, blind, issuer, download=True)
    assert checked.wrong == {"different": 1}


async def test_more_objects_are_counted(store: MemoryStore, path: Path, issuer: Issuer) -> None:
    for key in ("0", "a/small 5x", "zzz"):
        await put(store, key, b"more")
    checked = await check_in_memory(path, store, issuer)
    assert (checked.wrong, checked.other_objects) == ({}, 3)


async def test_what_never_was_certified_is_not_looked_for(
    store: MemoryStore, varied_device: Path, issuer: Issuer, tmp_path: Path
) -> None:
    path = tmp_path / "part.json"
    await store.delete("a/small 5")
    await certify_in_memory(varied_device, store, issuer, path, allow_partial=True)
    checked = await check_in_memory(path, store, issuer)
    assert (checked.wrong, checked.objects) == ({}, len(lines_of(path)) - 1)


@pytest.mark.parametrize("suffix", ["", ".sig", ".entries.jsonl.zst"])
async def test_no_byte_of_it_can_be_changed(
    store: MemoryStore, path: Path, issuer: Issuer, suffix: str
) -> None:
    file = path.with_name(path.name + suffix)
    whole = file.read_bytes()
    for at in (len(whole) // 3, len(whole) // 2):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(IntegrityError):
            await check_in_memory(path, store, issuer)
    for bent in (b"", whole[:-2], whole + whole):
        file.write_bytes(bent)
        with pytest.raises(IntegrityError):
            await check_in_memory(path, store, issuer)
    file.unlink()
    with pytest.raises((IntegrityError, UsageError)):
        await check_in_memory(path, store, issuer)


async def test_who_signed_it(path: Path, issuer: Issuer, tmp_path: Path) -> None:
    assert read_paper(str(path), issuer.allowed).signed_by.principal == issuer.key.name
    assert read_paper(str(path), None).signed_by.principal == ""
    folder = tmp_path / "other"
    folder.mkdir()
    other = make_key(folder)
    with pytest.raises(IntegrityError, match="not in there"):
        read_paper(str(path), Issuer(other, signers_file(folder, other)).allowed)
    for options, word in (
        ('namespaces="transfer-seal"', "namespace"),
        ('valid-before="20200101Z"', "expired"),
        ('valid-after="20990101Z"', "not valid before"),
    ):
        bounded = Issuer(issuer.key, signers_file(folder, issuer.key, options=options))
        with pytest.raises(IntegrityError, match=word):
            read_paper(str(path), bounded.allowed)


async def test_a_key_has_to_be_allowed_when_it_signed(
    undisturbed: Site, varied_device: Path, issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the certificate is read: that may be when the key has long expired."""
    monkeypatch.setattr("transfer.jobs.certify.job.timestamp", lambda: "2024-01-15T00:00:00Z")
    path = tmp_path / "old.json"
    await certify_in_memory(varied_device, undisturbed.store, issuer, path)
    (tmp_path / "bounds").mkdir()
    for options, fits in (('valid-before="20240201Z"', True), ('valid-after="20240201Z"', False)):
        bounded = Issuer(issuer.key, signers_file(tmp_path / "bounds", issuer.key, options=options))
        if fits:
            assert read_paper(str(path), bounded.allowed).signed_by.principal == issuer.key.name
        else:
            with pytest.raises(IntegrityError, match="not valid before"):
                read_paper(str(path), bounded.allowed)


async def test_a_signature_that_ssh_keygen_made(path: Path, issuer: Issuer) -> None:
    signature = path.with_name("c.json.sig")
    signature.write_bytes(sign(issuer.key, path.read_bytes(), "transfer-certificate"))
    assert read_paper(str(path), issuer.allowed).signed_by.principal == issuer.key.name
    signature.write_bytes(sign(issuer.key, path.read_bytes(), "transfer-seal"))
    with pytest.raises(IntegrityError, match="namespace"):
        read_paper(str(path), issuer.allowed)


async def test_under_another_name_it_is_the_same(
    store: MemoryStore, path: Path, issuer: Issuer, tmp_path: Path
) -> None:
    for suffix in ("", ".sig", ".entries.jsonl.zst"):
        shutil.copy(path.with_name(path.name + suffix), tmp_path / f"renamed{suffix}")
    checked = await check_in_memory(tmp_path / "renamed", store, issuer)
    assert checked.wrong == {}


async def test_companions_that_are_signed_and_wrong(
    store: MemoryStore, path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signer let through that is no companion is refused all the same."""
    import zstandard

    from transfer.jobs.certify import papers

    monkeypatch.setattr(papers, "_check_digest", lambda *told: None)
    stored = path.with_name(path.name + ".entries.jsonl.zst")
    text = zstandard.ZstdDecompressor().stream_reader(stored.read_bytes()).read()
    first, second, *rest = text.splitlines(keepends=True)
    bad: dict[str, bytes] = {
        "out of order": second + first + b"".join(rest),
        "line 2": first + b"{}\n" + second,
        "line 1": first.replace(b'"kind":"object"', b'"kind":"object","more":1'),
        "cut short": text[:-1],
        "a line over": b"x" * (3 << 20),
    }
    for word, content in bad.items():
        stored.write_bytes(zstandard.ZstdCompressor().compress(content))
        with pytest.raises(IntegrityError, match=word):
            await check_in_memory(path, store, issuer)
    stored.write_bytes(b"no zstd")
    with pytest.raises(IntegrityError, match="damaged"):
        await check_in_memory(path, store, issuer)


async def test_memory_does_not_grow_with_the_number_of_entries(
    monkeypatch: pytest.MonkeyPatch, path: Path, issuer: Issuer
) -> None:
    """No more of the companion is read than a few steps ahead of what the bucket was asked."""
    from transfer.formats.certificate_entries import CertifiedObject
    from transfer.jobs.certify import check as checking

    taken = 0
    most = 0
    done = 0

    def many(lines: Any) -> Any:
        nonlocal taken
        for number in range(20_000):
            taken += 1
            yield CertifiedObject(
                path=f"{number:08}", key=f"{number:08}", size_bytes=0, blake3="0" * 64,
                crc64nvme="0" * 16, crc32c="0" * 8, evidence="empty",
            )  # fmt: skip

    def observe(progress: Any) -> None:
        nonlocal most, done
        done = progress.files_done
        most = max(most, taken - done)

    monkeypatch.setattr(checking, "_certified", many)
    checked = await check_in_memory(path, MemoryStore(limits=LIMITS), issuer, observe=observe)
    assert (done, checked.wrong) == (20_000, {"missing": 20_000})
    assert len(checked.first) == 1000
    assert most <= 256 + 64
