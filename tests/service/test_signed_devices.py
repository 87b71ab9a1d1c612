"""A dock that takes signed devices only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests import ssh_tools
from tests.jobs.shipment import transfer
from tests.service.supervising import content_of, memory, options, serving, wanted
from tests.service.test_supervisor_dock import is_accepted, is_refused, state_of
from transfer.device.signers import load_signers
from transfer.ledger.phases import Phase
from transfer.service.ingest.plan import Plan


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return ssh_tools.make_key(tmp_path, name="key")


def plan(key: Path, tmp_path: Path, **values: bool) -> Plan:
    signers = load_signers(os.fspath(ssh_tools.signers_file(tmp_path, key)))
    return Plan(options(signers=signers), **values)


@pytest.mark.parametrize("verify_first", [False, True])
async def test_a_signed_device_is_imported(
    tmp_path: Path, dock: Path, pristine: Path, site: Path, key: Path, verify_first: bool
) -> None:
    store = memory()
    device = Path(shutil.copytree(pristine, tmp_path / "device"))
    assert transfer("seal", device, "--sign-key", key).code == 0
    device.rename(dock / "survey")
    async with serving(tmp_path, dock, store, plan=plan(key, tmp_path, verify_first=verify_first)) as service:
        await service.phase(Phase.COMPLETE)
        shown = await service.device("survey", is_accepted)
    assert shown.signed_by is not None
    assert shown.signed_by.startswith("key (SHA256:")
    assert await content_of(store) == wanted(site)


async def test_what_is_not_rightly_signed_is_refused_and_left_alone(
    tmp_path: Path, dock: Path, pristine: Path, key: Path
) -> None:
    """The ledger hears nothing of it: a forged seal must not make the true one look old."""
    device = Path(shutil.copytree(pristine, dock / "survey"))
    before = state_of(device)
    stranger = ssh_tools.make_key(tmp_path, name="stranger")
    text = (device / "SEAL.json").read_bytes()
    async with serving(tmp_path, dock, store := memory(), plan=plan(key, tmp_path)) as service:
        shown = await service.device("survey", is_refused)
        assert shown.reason is not None
        assert shown.reason.startswith("it cannot be trusted: the seal of ")
        assert shown.reason.endswith("signature-missing: SEAL.json.sig: the seal is not signed")
        assert state_of(device) == before

        (device / "SEAL.json.sig").write_bytes(ssh_tools.sign(stranger, text, "transfer-seal"))
        await service.device("survey", lambda shown: "signer-unknown" in (shown.reason or ""))
        (device / "SEAL.json.sig").write_bytes(ssh_tools.sign(key, text + b" ", "transfer-seal"))
        await service.device("survey", lambda shown: "signature-wrong" in (shown.reason or ""))
        forged = json.loads(text) | {"generation": 9, "previous_seal": "0" * 64}
        (device / "SEAL.json").write_text(json.dumps(forged))
        (device / "SEAL.json.sig").unlink()
        await service.device("survey", lambda shown: "signature-missing" in (shown.reason or ""))
        assert (await service.supervisor.jobs()).items == []
        device_id = shown.device_id
        assert device_id is not None
        assert await service.ledger.devices.get(device_id) is None

        (device / "SEAL.json").write_bytes(text)
        (device / "SEAL.json.sig").write_bytes(ssh_tools.sign(key, text, "transfer-seal"))
        await service.device("survey", is_accepted)
        await service.phase(Phase.COMPLETE)
    assert await content_of(store)
