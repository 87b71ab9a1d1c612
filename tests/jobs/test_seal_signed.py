"""`transfer seal --sign-key`, and what verify says of signatures; ssh-keygen says it too."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from tests import ssh_tools
from tests.jobs.shipment import copy_to, transfer
from tests.jobs.signed_devices import codes, open_device, seal, verify
from transfer.formats.age.keys import Identity
from transfer.formats.ssh_keys import PublicKey

NAMESPACE = "transfer-seal"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return open_device(tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return ssh_tools.make_key(tmp_path)


def fingerprint(key: Path) -> str:
    return PublicKey.parse(ssh_tools.public_line(key)).fingerprint


def test_ssh_keygen_accepts_the_seal(device: Path, key: Path, tmp_path: Path) -> None:
    ended = seal(device, "--sign-key", key)
    assert ended.document["signed_by"] == fingerprint(key)
    signers = ssh_tools.signers_file(tmp_path, key)
    armored = (device / "SEAL.json.sig").read_bytes()
    assert ssh_tools.accepts(signers, key.name, (device / "SEAL.json").read_bytes(), armored, NAMESPACE)

    checked = verify(device, "--signers", signers)
    assert codes(checked) == []
    assert checked.document["signed_by"] == {"key": fingerprint(key), "principal": key.name}
    told = transfer("verify", device, "--signers", signers, "--no-progress").stdout
    assert f"signed by {key.name} ({fingerprint(key)})" in told


def test_a_signature_of_ssh_keygen_is_accepted(device: Path, key: Path, tmp_path: Path) -> None:
    seal(device)
    armored = ssh_tools.sign(key, (device / "SEAL.json").read_bytes(), NAMESPACE)
    (device / "SEAL.json.sig").write_bytes(armored)
    assert codes(verify(device, "--signers", ssh_tools.signers_file(tmp_path, key))) == []


def test_an_agent_signs(device: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssh_tools.agent(tmp_path) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        ssh_tools.add_to_agent(socket, key)
        seal(device, "--sign-key", f"{key}.pub")
    assert codes(verify(device, "--signers", ssh_tools.signers_file(tmp_path, key))) == []


def test_a_passphrase_from_a_file(device: Path, tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path, passphrase="correct horse")
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    seal(device, "--sign-key", key, "--passphrase-file", secret)
    assert codes(verify(device, "--signers", ssh_tools.signers_file(tmp_path, key))) == []


def test_without_signers_nobody_says_whose_key_it_is(device: Path, key: Path) -> None:
    seal(device, "--sign-key", key)
    checked = verify(device)
    assert checked.document["signed_by"] == {"key": fingerprint(key), "principal": ""}
    told = transfer("verify", device, "--no-progress").stdout
    assert f"signed by {fingerprint(key)}; whose key that is was not checked: no --signers" in told


def test_a_key_that_fails_leaves_the_device_open(device: Path, key: Path) -> None:
    before = sorted(os.listdir(device))
    (key.with_name(f"{key.name}.pub")).write_text("ssh-ed25519 AAAA\n")
    for path, code in ((f"{key}.pub", 2), (f"{key}.none", 2)):
        assert transfer("seal", device, "--sign-key", path).code == code
    key.chmod(0o644)
    assert transfer("seal", device, "--sign-key", key).code == 12
    assert sorted(os.listdir(device)) == before


def test_an_agent_that_refuses_leaves_the_device_open(
    device: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ended = transfer("seal", device, "--sign-key", f"{key}.pub", "--json")
    assert (ended.code, (device / "SEAL.json").exists()) == (12, False)
    assert "no ssh-agent" in ended.document["error"]["what"]


def test_a_dry_run_does_not_sign(device: Path, key: Path) -> None:
    seal(device, "--sign-key", key, "--dry-run")
    assert not (device / "SEAL.json.sig").exists()
    seal(device)
    assert seal(device, "--sign-key", key, "--dry-run").document["signed_by"] is None
    assert not (device / "SEAL.json.sig").exists()


def test_a_sealed_device_is_signed_afterwards(device: Path, key: Path, tmp_path: Path) -> None:
    seal(device)
    text = (device / "SEAL.json").read_bytes()
    signers = ssh_tools.signers_file(tmp_path, key)
    assert codes(verify(device, "--signers", signers)) == ["signature-missing"]

    ended = seal(device, "--sign-key", key)
    assert ended.document["seal_blake3"] == blake3(text).hexdigest()
    assert (device / "SEAL.json").read_bytes() == text
    assert codes(verify(device, "--signers", signers)) == []
    armored = (device / "SEAL.json.sig").read_bytes()
    assert seal(device, "--sign-key", key).document["signed_by"] == fingerprint(key)
    assert (device / "SEAL.json.sig").read_bytes() == armored


def test_a_device_that_another_key_signed(device: Path, key: Path, tmp_path: Path) -> None:
    seal(device, "--sign-key", key)
    other = ssh_tools.make_key(tmp_path, name="other")
    ended = transfer("seal", device, "--sign-key", other, "--json")
    assert ended.code == 10
    assert f"is signed already, by {fingerprint(key)}" in ended.document["error"]["what"]


def flip(name: str) -> Callable[[Path], None]:
    def change(device: Path) -> None:
        content = bytearray((device / name).read_bytes())
        content[len(content) // 2] ^= 1
        (device / name).write_bytes(content)

    return change


def cut(name: str) -> Callable[[Path], None]:
    return lambda device: os.truncate(device / name, (device / name).stat().st_size - 1)


def add(name: str) -> Callable[[Path], None]:
    return lambda device: (device / name).write_bytes(b"")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip("recover.sh"), "recover.sh was altered"),
        (flip("segments/00000001.jsonl.zst"), "segments/00000001.jsonl.zst was altered"),
        (cut("packs/00000000.tar.zst"), "packs/00000000.tar.zst has another size"),
        (add("packs/00000009.tar.zst"), "other packs or segments"),
        (add("segments/00000009.jsonl.zst"), "other packs or segments"),
        (flip("SEAL.json"), "SEAL.json|not what its seal says"),
    ],
)
def test_what_was_changed_since_is_not_signed(
    device: Path, key: Path, change: Callable[[Path], None], message: str
) -> None:
    seal(device)
    change(device)
    ended = transfer("seal", device, "--sign-key", key, "--json")
    assert ended.code == 4
    assert re.search(message, ended.document["error"]["what"])
    assert not (device / "SEAL.json.sig").exists()


def test_a_signature_of_another_seal_is_not_replaced(device: Path, key: Path, tmp_path: Path) -> None:
    other = open_device(tmp_path, name="other")
    seal(other, "--sign-key", key)
    seal(device)
    (device / "SEAL.json.sig").write_bytes((other / "SEAL.json.sig").read_bytes())
    ended = transfer("seal", device, "--sign-key", key, "--json")
    assert ended.code == 4
    assert "signature" in ended.document["error"]["what"]


def test_what_is_wrong_with_signatures(device: Path, key: Path, tmp_path: Path) -> None:
    signers = ssh_tools.signers_file(tmp_path, key)
    seal(device, "--sign-key", key)
    armored = (device / "SEAL.json.sig").read_bytes()
    text = (device / "SEAL.json").read_bytes()
    stranger = ssh_tools.make_key(tmp_path, name="stranger")

    def found(content: bytes | None, signers: Path = signers) -> list[str]:
        (device / "SEAL.json.sig").unlink(missing_ok=True)
        if content is not None:
            (device / "SEAL.json.sig").write_bytes(content)
        return codes(verify(device, "--signers", signers))

    assert found(armored) == []
    assert found(None) == ["signature-missing"]
    assert found(b"") == ["signature-invalid"]
    assert found(armored[:-40]) == ["signature-invalid"]
    assert found(armored + bytes(64 << 10)) == ["signature-invalid"]
    assert found(ssh_tools.sign(key, text + b"\n", NAMESPACE)) == ["signature-wrong"]
    assert found(ssh_tools.sign(key, text, "file")) == ["signature-wrong"]
    assert found(ssh_tools.sign(stranger, text, NAMESPACE)) == ["signer-unknown"]
    for options in (
        'valid-before="20200101Z"',
        'valid-after="20990101Z"',
        'namespaces="file"',
        "cert-authority",
    ):
        assert found(armored, ssh_tools.signers_file(tmp_path, key, options=options)) == ["signer-unknown"]
    # A later seal of the same device, made by who has no key, under the signature of the one before.
    changed = json.loads(text) | {"sealed": "2030-01-01T00:00:00Z"}
    (device / "SEAL.json").write_text(json.dumps(changed))
    assert found(armored) == ["signature-wrong"]


def test_a_signature_that_is_no_file(device: Path, key: Path, tmp_path: Path) -> None:
    seal(device)
    (device / "SEAL.json.sig").symlink_to("/etc/passwd")
    assert codes(verify(device)) == ["signature-invalid"]


def test_a_signature_that_is_there_must_be_right_without_signers_too(device: Path, key: Path) -> None:
    seal(device, "--sign-key", key)
    (device / "SEAL.json.sig").write_bytes(ssh_tools.sign(key, b"other", NAMESPACE))
    assert codes(verify(device)) == ["signature-wrong"]


def test_an_open_device_cannot_be_signed_for(device: Path, key: Path, tmp_path: Path) -> None:
    assert codes(verify(device, "--signers", ssh_tools.signers_file(tmp_path, key))) == ["signature-missing"]


@pytest.mark.parametrize("content", [b"someone\n", b"a b c\n", b"\xff\n", None])
def test_a_file_of_signers_that_cannot_be_used(device: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "signers"
    if content is not None:
        path.write_bytes(content)
    ended = verify(device, "--signers", path)
    assert (ended.code, ended.document["error"]["exit_code"]) == (2, 2)
    assert "signers" in ended.document["error"]["what"]


def test_packs_of_one_device_under_the_seal_of_another(device: Path, key: Path, tmp_path: Path) -> None:
    """The seal binds device, job, number, and every pack and segment."""
    signers = ssh_tools.signers_file(tmp_path, key)
    other = open_device(tmp_path, name="other", size_bytes=1_500_000)
    seal(device, "--sign-key", key)
    seal(other, "--sign-key", key)
    for name in ("SEAL.json", "SEAL.json.sig"):
        (device / name).write_bytes((other / name).read_bytes())
    assert "seal-foreign" in codes(verify(device, "--signers", signers))
    (device / "DEVICE.json").write_bytes((other / "DEVICE.json").read_bytes())
    found = codes(verify(device, "--signers", signers))
    assert {"pack-altered", "segment-altered"} & set(found), found


def test_the_copy_after_a_stale_signature_goes_on(device: Path, key: Path, tmp_path: Path) -> None:
    """What an interrupted reopening leaves: a signature beside no seal."""
    (device / "SEAL.json.sig").write_bytes(ssh_tools.sign(key, b"a seal before", NAMESPACE))
    copy_to(device, tmp_path / "source of device")
    seal(device)
    assert not (device / "SEAL.json.sig").exists()
    assert codes(verify(device)) == []


def test_an_encrypted_device_is_signed_without_a_key_that_opens_it(key: Path, tmp_path: Path) -> None:
    """Signed by who filled it, checked by who carries it: neither can read what is on it."""
    device, source = tmp_path / "device", tmp_path / "source"
    device.mkdir()
    source.mkdir()
    (source / "file").write_bytes(os.urandom(100_000))
    recipient = Identity.generate().recipient.text
    told = ("--profile", "folder", "--job", "j", "--recipient", recipient)
    assert transfer("prepare", device, *told).code == 0
    copy_to(device, source)
    seal(device)
    signers = ssh_tools.signers_file(tmp_path, key)
    assert codes(verify(device, "--signers", signers)) == ["signature-missing"]
    assert seal(device, "--sign-key", key).document["signed_by"] == fingerprint(key)
    assert codes(verify(device, "--signers", signers)) == []
    ended = transfer("seal", device, "--reopen", "--json")
    assert ended.code == 10
    assert "is encrypted: the key to go on with it was destroyed" in ended.document["error"]["what"]
    (device / "keys/job.age").write_bytes(b"another")
    assert codes(verify(device, "--signers", signers)) == ["file-altered"]
