"""Signatures that do not count: of another seal, for another use, by somebody else, or none at all.

The keys are fixed and public: they sign nothing but these devices.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.golden.build import OTHER_DEVICE_ID, write_good
from tests.golden.damage import Gallery
from tests.golden.model import Record, seal
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.ssh_wire import string
from transfer.formats.sshsig import armor, signed_data

signatures = Gallery()
damage = signatures.damage

NAMESPACE = "transfer-seal"
_SENDER, _EXPIRED, _STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))


def allowed_signers() -> str:
    """The file of allowed signers that these devices are held against."""
    return (
        f'sender namespaces="transfer-*" {_public(_SENDER).line}\n'
        f'former valid-before="20200101Z" {_public(_EXPIRED).line}\n'
    )


def sign(
    device: Path,
    key: Ed25519PrivateKey = _SENDER,
    *,
    namespace: str = NAMESPACE,
    change: Callable[[bytes], bytes] = lambda armored: armored,
) -> None:
    """Sign what is there; `change` may bend the text."""
    data = signed_data((device / "SEAL.json").read_bytes(), namespace)
    made = string(b"ssh-ed25519") + string(key.sign(data))
    (device / "SEAL.json.sig").write_bytes(change(armor(_public(key), namespace, made)))


def _public(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw()))


@damage("signature-missing")
def unsigned(device: Path) -> None:
    """It is the good device, which nobody signed."""


@damage("signature-wrong")
def signed_before_the_seal_changed(device: Path) -> None:
    """The seal is of a higher generation than the one that was signed."""
    sign(device)

    def change(document: Record) -> None:
        document |= {"generation": 2, "previous_seal": "0" * 64}

    seal(device, change)


@damage("signature-wrong")
def signature_of_another_device(device: Path) -> None:
    """The signature is that of another device's seal."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "device")
        write_good(other, OTHER_DEVICE_ID)
        seal(other)
        sign(other)
        (device / "SEAL.json.sig").write_bytes((other / "SEAL.json.sig").read_bytes())


@damage("seal-foreign")
def signed_seal_of_another_device(device: Path) -> None:
    """Seal and signature are those of another device of the sender."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "device")
        write_good(other, OTHER_DEVICE_ID)
        seal(other)
        sign(other)
        for name in ("SEAL.json", "SEAL.json.sig"):
            (device / name).write_bytes((other / name).read_bytes())


@damage("signature-wrong")
def signed_for_another_use(device: Path) -> None:
    """The sender signed the seal in the namespace `file`."""
    sign(device, namespace="file")


@damage("signature-wrong")
def signature_with_flipped_bit(device: Path) -> None:
    """One bit of the signature is another."""

    def change(armored: bytes) -> bytes:
        lines = armored.splitlines()
        blob = bytearray(base64.b64decode(b"".join(lines[1:-1])))
        blob[-1] ^= 1
        return b"\n".join([lines[0], base64.b64encode(blob), lines[-1], b""])

    sign(device, change=change)


@damage("signature-invalid")
def signature_cut_off(device: Path) -> None:
    """The signature lacks its last bytes."""
    sign(device, change=lambda armored: armored[:-40])


@damage("signature-invalid")
def signature_of_much_text(device: Path) -> None:
    """The signature is larger than 64 KiB."""
    sign(device, change=lambda armored: armored + b"\n" * (64 << 10))


@damage("signer-unknown")
def signed_by_a_stranger(device: Path) -> None:
    """A key signed that the destination does not know."""
    sign(device, _STRANGER)


@damage("signer-unknown")
def signed_with_an_expired_key(device: Path) -> None:
    """A key signed that is allowed no more."""
    sign(device, _EXPIRED)


@damage("seal-invalid")
def second_generation_without_a_first(device: Path) -> None:
    """The seal, rightly signed, is of generation 2 and names no previous one."""

    def change(document: Record) -> None:
        document["generation"] = 2

    seal(device, change)
    sign(device)
