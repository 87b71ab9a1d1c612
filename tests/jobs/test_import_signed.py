"""Imports and signatures: what is refused, and that nothing was sent or learnt of it; old seals."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ssh_tools
from tests.jobs.memory_import import LIMITS, OPTIONS, Imported, run_import
from tests.jobs.shipment import copy_to, transfer
from tests.jobs.signed_devices import open_device, seal
from tests.jobs.watched_store import WatchedStore
from transfer.device.clock import timestamp
from transfer.device.signers import load_signers
from transfer.errors import IntegrityError
from transfer.formats.ssh_keys import PublicKey
from transfer.ledger.ledger import open_ledger
from transfer.ledger.values import KnownDevice
from transfer.stores.memory import MemoryStore

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys; a device that one of them signed, and another such one."""
    place = tmp_path_factory.mktemp("signed")
    key, _ = ssh_tools.make_key(place, name="key"), ssh_tools.make_key(place, name="stranger")
    for name in ("device", "other"):
        seal(open_device(place, name=name), "--sign-key", key)
    ssh_tools.signers_file(place, key)
    return place


@pytest.fixture
def device(place: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(place / "device", tmp_path / "device"))


def known(ledger: Path, device: Path) -> KnownDevice | None:
    """What a ledger knows of a device."""

    async def ask() -> KnownDevice | None:
        async with open_ledger(os.fspath(ledger), timestamp) as opened:
            return await opened.devices.get(json.loads((device / "DEVICE.json").read_bytes())["device_id"])

    return asyncio.run(ask())


def signed_import(place: Path, device: Path, ledger: Path) -> Imported:
    return run_import(
        device, replace(OPTIONS, signers=load_signers(str(place / "allowed_signers"))), ledger=ledger
    )


def test_a_signed_device_is_imported(place: Path, device: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, signers=load_signers(str(place / "allowed_signers")))
    imported = run_import(device, options, ledger=tmp_path / "ledger", report=tmp_path / "report")
    assert imported.error is None
    fingerprint = PublicKey.parse(ssh_tools.public_line(place / "key")).fingerprint
    signed_by = imported.outcome.signed_by
    assert signed_by is not None
    assert (signed_by.key, signed_by.principal) == (fingerprint, "key")
    assert json.loads((tmp_path / "report/report.json").read_bytes())["signed_by"] == f"key ({fingerprint})"
    assert f"key ({fingerprint})" in (tmp_path / "report/report.html").read_text()
    assert imported.objects["small"] == b"some words"
    assert known(tmp_path / "ledger", device) is not None


def unsign(device: Path) -> None:
    (device / "SEAL.json.sig").unlink()


def forge(device: Path) -> None:
    """A seal of a higher generation, which nobody signed, to make the true ones look old."""
    text = json.loads((device / "SEAL.json").read_bytes())
    text |= {"generation": 1000, "previous_seal": "0" * 64}
    (device / "SEAL.json").write_text(json.dumps(text))


def forge_unsigned(device: Path) -> None:
    forge(device)
    unsign(device)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (unsign, "signature-missing"),
        (forge, "signature-wrong"),
        (forge_unsigned, "signature-missing"),
        (lambda device: (device / "SEAL.json.sig").write_bytes(b"-"), "signature-invalid"),
    ],
)
def test_what_is_not_rightly_signed_is_refused(
    place: Path, device: Path, tmp_path: Path, change: Change, code: str
) -> None:
    change(device)
    imported = signed_import(place, device, tmp_path / "ledger")
    assert isinstance(imported.error, IntegrityError)
    assert imported.error.exit_code == 4
    assert f": {code}: SEAL.json.sig" in imported.error.what
    assert imported.objects == {}
    assert known(tmp_path / "ledger", device) is None
    unharmed = shutil.copytree(place / "device", tmp_path / "unharmed")
    assert signed_import(place, Path(unharmed), tmp_path / "ledger").error is None


def resigned(place: Path, device: Path, key: str) -> None:
    signature = ssh_tools.sign(place / key, (device / "SEAL.json").read_bytes(), "transfer-seal")
    (device / "SEAL.json.sig").write_bytes(signature)


def test_a_stranger_who_signs_is_refused(place: Path, device: Path, tmp_path: Path) -> None:
    resigned(place, device, "stranger")
    imported = signed_import(place, device, tmp_path / "ledger")
    assert imported.error is not None
    assert "signer-unknown" in imported.error.what
    assert imported.objects == {}


def test_packs_of_one_device_under_the_seal_of_another(place: Path, device: Path, tmp_path: Path) -> None:
    """Seal and signature of one device, packs and segments of the other: nothing of them is taken."""
    for folder in ("packs", "segments"):
        shutil.rmtree(device / folder)
        shutil.copytree(place / "other" / folder, device / folder)
    imported = signed_import(place, device, tmp_path / "ledger")
    assert isinstance(imported.error, IntegrityError)
    assert imported.objects == {}


def test_that_seal_made_to_fit_by_a_stranger(place: Path, device: Path, tmp_path: Path) -> None:
    """The lists of the other device's files under this device's identity: the true key did not sign that."""
    for folder in ("packs", "segments"):
        shutil.rmtree(device / folder)
        shutil.copytree(place / "other" / folder, device / folder)
    mine, theirs = (json.loads((root / "SEAL.json").read_bytes()) for root in (device, place / "other"))
    (device / "SEAL.json").write_text(
        json.dumps(mine | {n: theirs[n] for n in ("packs", "segments", "totals")})
    )
    codes = []
    for key in (None, "stranger"):
        if key is not None:
            resigned(place, device, key)
        imported = signed_import(place, device, tmp_path / "ledger")
        assert isinstance(imported.error, IntegrityError)
        codes.append(imported.error.what.partition("trusted: ")[2].partition(":")[0])
        assert imported.objects == {}
    assert codes == ["signature-wrong", "signer-unknown"]


def test_a_device_without_a_seal_is_not_signed(place: Path, device: Path, tmp_path: Path) -> None:
    (device / "SEAL.json").unlink()
    options = replace(OPTIONS, incomplete=True, signers=load_signers(str(place / "allowed_signers")))
    imported = run_import(device, options, ledger=tmp_path / "ledger")
    assert imported.error is not None
    assert "signature-missing" in imported.error.what


@pytest.mark.parametrize("incomplete", [False, True])
def test_a_seal_that_cannot_be_read(device: Path, incomplete: bool) -> None:
    """Otherwise its segments would be taken for those of a device that is not sealed."""
    (device / "SEAL.json").rename(device.with_name("elsewhere"))
    (device / "SEAL.json").symlink_to(device.with_name("elsewhere"))
    imported = run_import(device, replace(OPTIONS, incomplete=incomplete))
    assert imported.error is not None
    assert "SEAL.json" in imported.error.what or "the seal of" in imported.error.what
    assert imported.objects == {}


def test_without_signers_a_wrong_signature_is_told_at_the_end(device: Path) -> None:
    (device / "SEAL.json.sig").write_bytes(b"-")
    imported = run_import(device)
    assert imported.error is None
    assert imported.codes == {"signature-invalid"}
    assert imported.objects["small"] == b"some words"


def next_generation(device: Path, source: Path) -> Path:
    """The same device, reopened, filled further and sealed anew."""
    newer = Path(shutil.copytree(device, device.with_name("newer")))
    assert transfer("seal", newer, "--reopen").code == 0
    (source / "new").write_bytes(b"more")
    copy_to(newer, source)
    seal(newer)
    return newer


def test_an_older_seal_is_refused_before_anything_is_sent(place: Path, tmp_path: Path) -> None:
    older = open_device(tmp_path)
    seal(older)
    newer = next_generation(older, tmp_path / "source of device")
    ledger, store = tmp_path / "ledger", MemoryStore(limits=LIMITS)
    assert run_import(older, store=store, ledger=ledger).error is None
    assert run_import(newer, store=store, ledger=ledger).error is None
    before = known(ledger, older)
    assert before is not None
    assert before.device.generation == 2

    watched = WatchedStore(MemoryStore(limits=LIMITS))
    imported = run_import(older, store=watched, ledger=ledger)
    assert isinstance(imported.error, IntegrityError)
    assert "its seal is older than one of this device that was seen before" in imported.error.what
    assert (imported.objects, watched.calls) == ({}, [])
    assert known(ledger, older) == before

    options = replace(OPTIONS, allow_older=True, ignore_custody=True)  # its custody log is older too
    imported = run_import(older, options, store=store, ledger=ledger)
    assert imported.error is None
    assert any("newer seal" in note for note in imported.outcome.notes)
    assert known(ledger, older) == before


def test_another_seal_of_the_same_generation_is_refused(device: Path, tmp_path: Path) -> None:
    twin = Path(shutil.copytree(device, tmp_path / "twin"))
    text = json.loads((twin / "SEAL.json").read_bytes())
    (twin / "SEAL.json").write_text(json.dumps(text))
    unsign(twin)
    assert run_import(device, ledger=tmp_path / "ledger").error is None
    imported = run_import(twin, ledger=tmp_path / "ledger")
    assert isinstance(imported.error, IntegrityError)
    assert "another seal of the same generation" in imported.error.what
    assert imported.objects == {}
    assert run_import(twin, replace(OPTIONS, allow_older=True), ledger=tmp_path / "ledger").error is None


def test_the_commands_take_signers(place: Path, device: Path, tmp_path: Path) -> None:
    signers = place / "allowed_signers"
    command = ("import", device, "s3://bucket/", "--dry-run", "--json", "--signers")
    assert transfer(*command, signers).code == 0
    unsign(device)
    ended = transfer(*command, signers)
    assert (ended.code, ended.document["error"]["exit_code"]) == (4, 4)
    assert "signature-missing" in ended.document["error"]["what"]
    for told in (command, ("serve", "--dock", tmp_path, "--bucket", "s3://bucket", "--signers")):
        assert transfer(*told, tmp_path / "none").code == 2
