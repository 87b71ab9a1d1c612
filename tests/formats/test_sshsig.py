"""SSHSIG, both ways, against `ssh-keygen`; FIDO keys, which need a device, are played by hand."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests import ssh_tools
from tests.ssh_tools import KINDS
from transfer.errors import FormatError, IntegrityError, TransferError, UsageError
from transfer.formats import sshsig
from transfer.formats.allowed_signers import AllowedSigners
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.ssh_wire import WireReader, mpint, string

NAMESPACE = "transfer-seal"
MESSAGE = b'{"format": "transfer-seal"}\n' * 1000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hash_", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_is_verified(tmp_path: Path, kind: str, hash_: str) -> None:
    key = ssh_tools.make_key(tmp_path, kind)
    armored = ssh_tools.sign(key, MESSAGE, NAMESPACE, options=("-O", f"hashalg={hash_}"))

    public = sshsig.verify(MESSAGE, armored, NAMESPACE)

    assert public == PublicKey.parse(ssh_tools.public_line(key))
    with pytest.raises(IntegrityError, match="is not that of SHA256:"):
        sshsig.verify(MESSAGE + b" ", armored, NAMESPACE)
    with pytest.raises(IntegrityError, match="for the namespace 'transfer-seal', not for 'file'"):
        sshsig.verify(MESSAGE, armored, "file")


def test_a_key_has_the_fingerprint_that_ssh_keygen_shows(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], check=True, capture_output=True, text=True)
    assert PublicKey.parse(ssh_tools.public_line(key)).fingerprint == shown.stdout.split()[1]


def test_a_line_is_read_and_written() -> None:
    line = "ssh-ed25519 " + base64.b64encode(string(b"ssh-ed25519") + string(bytes(32))).decode()
    assert PublicKey.parse(f"  {line} a comment of words\n").line == line
    for bad in ("", "ssh-ed25519", line.replace("ssh-ed25519", "ssh-rsa"), line[:-1] + "!"):
        with pytest.raises(UsageError, match="no public SSH key"):
            PublicKey.parse(bad)


def test_rsa_with_sha1_is_refused(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path, "rsa-2048")
    signature = sshsig.read(ssh_tools.sign(key, MESSAGE, NAMESPACE))
    armored = sshsig.armor(signature.public, NAMESPACE, string(b"ssh-rsa") + signature.signature[16:])
    with pytest.raises(
        IntegrityError, match="a signature of kind ssh-rsa of a key of kind ssh-rsa is not accept"
    ):
        sshsig.verify(MESSAGE, armored, NAMESPACE)


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path, "rsa-1024")
    armored = ssh_tools.sign(key, MESSAGE, NAMESPACE)
    with pytest.raises(IntegrityError, match="RSA key of 1024 bits"):
        sshsig.verify(MESSAGE, armored, NAMESPACE)


def test_numbers_have_one_spelling(tmp_path: Path) -> None:
    """Else there would be many signatures where there is one."""
    key = ssh_tools.make_key(tmp_path, "ecdsa-256")
    signature = sshsig.read(ssh_tools.sign(key, MESSAGE, NAMESPACE))
    reader = WireReader(signature.signature)
    kind, pair = reader.string(), WireReader(reader.string())
    r, s = pair.string(), pair.string()

    def verify(r: bytes, s: bytes) -> None:
        made = string(kind) + string(string(r) + string(s))
        sshsig.verify(MESSAGE, sshsig.armor(signature.public, NAMESPACE, made), NAMESPACE)

    verify(r, s)
    for other in ((b"\0" + r, s), (r, b"\0" + s), (b"\xff" + r, s), (b"", s)):
        with pytest.raises(IntegrityError):
            verify(*other)
    with pytest.raises(IntegrityError, match="a number in it is negative or longer than it need be"):
        verify(b"\0" + r, s)


class Touched:
    """A key on a FIDO device, as PROTOCOL.u2f has it."""

    def __init__(self, *, is_ecdsa: bool) -> None:
        self._is_ecdsa = is_ecdsa
        self._ec, self._ed = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
        self.kind = b"sk-ecdsa-sha2-nistp256@openssh.com" if is_ecdsa else b"sk-ssh-ed25519@openssh.com"
        point = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        public = (
            string(b"nistp256") + string(point)
            if is_ecdsa
            else string(self._ed.public_key().public_bytes_raw())
        )
        self.public = PublicKey(string(self.kind) + public + string(b"ssh:"))

    def sign(self, message: bytes, *, flags: int = 1) -> bytes:
        data = sshsig.signed_data(message, NAMESPACE)
        told = hashlib.sha256(b"ssh:").digest() + bytes([flags]) + bytes(4) + hashlib.sha256(data).digest()
        if self._is_ecdsa:
            r, s = decode_dss_signature(self._ec.sign(told, ec.ECDSA(SHA256())))
            made = mpint(r) + mpint(s)
        else:
            made = self._ed.sign(told)
        return sshsig.armor(
            self.public, NAMESPACE, string(self.kind) + string(made) + bytes([flags]) + bytes(4)
        )


@pytest.mark.parametrize("is_ecdsa", [False, True])
def test_keys_on_a_device(tmp_path: Path, is_ecdsa: bool) -> None:
    key = Touched(is_ecdsa=is_ecdsa)
    armored = key.sign(MESSAGE)
    signers = tmp_path / "signers"
    signers.write_text(f"me {key.public.line}\n")

    assert ssh_tools.accepts(signers, "me", MESSAGE, armored, NAMESPACE)
    assert sshsig.verify(MESSAGE, armored, NAMESPACE) == key.public
    with pytest.raises(IntegrityError, match="is not that of"):
        sshsig.verify(b"other", armored, NAMESPACE)
    with pytest.raises(IntegrityError, match="without a touch"):
        sshsig.verify(MESSAGE, key.sign(MESSAGE, flags=0), NAMESPACE)


def test_a_certificate_is_refused_clearly(tmp_path: Path) -> None:
    authority, key = ssh_tools.make_key(tmp_path, name="ca"), ssh_tools.make_key(tmp_path)
    run = ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", "me", f"{key}.pub"]
    subprocess.run(run, check=True, capture_output=True)
    certificate = PublicKey.parse((tmp_path / f"{key.name}-cert.pub").read_text())
    signature = sshsig.read(ssh_tools.sign(key, MESSAGE, NAMESPACE))
    armored = sshsig.armor(certificate, NAMESPACE, signature.signature)
    with pytest.raises(IntegrityError, match="certificates are not supported"):
        sshsig.verify(MESSAGE, armored, NAMESPACE)
    line = f"me cert-authority {ssh_tools.public_line(authority)}"
    with pytest.raises(IntegrityError, match=r"line 1 \(me\) is a cert-authority"):
        AllowedSigners.parse(line, "f").principal(
            PublicKey.parse(ssh_tools.public_line(authority)), NAMESPACE, datetime.now(UTC)
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: b"x" + text, "does not stand between"),
        (lambda text: text + b"x", "does not stand between"),
        (lambda text: text.replace(b"-----END", b"----END"), "does not stand between"),
        (lambda text: b"", "does not stand between"),
        (lambda text: text[:60] + b"!" + text[60:], "base64|Only"),
        (lambda text: text + b" " * (64 << 10), "larger than 65536 bytes"),
    ],
)
def test_bad_armor(change, message: str) -> None:  # type: ignore[no-untyped-def]
    key = Ed25519PrivateKey.generate()
    blob = string(b"ssh-ed25519") + string(key.public_key().public_bytes_raw())
    armored = sshsig.armor(PublicKey(blob), NAMESPACE, b"")
    with pytest.raises(FormatError, match=message):
        sshsig.read(change(armored))


def _armored(blob: bytes) -> bytes:
    text = base64.b64encode(blob)
    return b"-----BEGIN SSH SIGNATURE-----\n" + text + b"\n-----END SSH SIGNATURE-----\n"


KEY_BLOB = string(b"ssh-ed25519") + string(bytes(32))
SIGNED = string(b"ssh-ed25519") + string(bytes(64))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"SSHSIG" + bytes(3) + b"\2", "it has version 2"),
        (b"SSHSIH" + bytes(3) + b"\1", "does not begin with SSHSIG"),
        (b"SSHSIG" + bytes(3) + b"\1" + b"\xff" * 4, "ends too early"),
        (
            b"SSHSIG\0\0\0\1" + b"".join(map(string, (KEY_BLOB, b"n", b"", b"sha512", SIGNED))) + b"x",
            "something follows its end",
        ),
        (
            b"SSHSIG\0\0\0\1" + b"".join(map(string, (KEY_BLOB, b"n", b"x", b"sha512", SIGNED))),
            "reserved field",
        ),
        (b"SSHSIG\0\0\0\1" + b"".join(map(string, (KEY_BLOB, b"n", b"", b"md5", SIGNED))), "hash md5"),
        (b"SSHSIG\0\0\0\1" + b"".join(map(string, (KEY_BLOB, b"", b"", b"sha512", SIGNED))), "is empty"),
        (b"SSHSIG\0\0\0\1" + b"".join(map(string, (b"", b"n", b"", b"sha512", SIGNED))), "ends too early"),
        (
            b"SSHSIG\0\0\0\1" + b"".join(map(string, (KEY_BLOB, b"a\nb", b"", b"sha512", SIGNED))),
            "a name in it",
        ),
    ],
)
def test_bad_content(blob: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        sshsig.read(_armored(blob))


KINDS_ON_THE_WIRE = st.sampled_from(
    [
        b"ssh-ed25519",
        b"ssh-rsa",
        b"rsa-sha2-512",
        b"ecdsa-sha2-nistp256",
        b"ecdsa-sha2-nistp521",
        b"sk-ssh-ed25519@openssh.com",
        b"sk-ecdsa-sha2-nistp256@openssh.com",
        b"ssh-dss",
    ]
)
FIELDS = st.lists(
    st.one_of(
        st.binary(max_size=80).map(string),
        st.integers(0, 2**2100).map(mpint),
        st.sampled_from([string(b"nistp256"), string(b"nistp521"), bytes(5), mpint(65537), mpint(0)]),
    ),
    max_size=5,
).map(b"".join)


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=300).map(_armored)))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        sshsig.verify(MESSAGE, data, NAMESPACE)


@given(KINDS_ON_THE_WIRE, FIELDS, KINDS_ON_THE_WIRE, FIELDS)
def test_any_fields_are_refused(kind: bytes, key: bytes, algorithm: bytes, signature: bytes) -> None:
    armored = sshsig.armor(PublicKey(string(kind) + key), NAMESPACE, string(algorithm) + signature)
    with pytest.raises(IntegrityError):
        sshsig.verify(MESSAGE, armored, NAMESPACE)


@given(st.data())
def test_one_bit_changes_all(data: st.DataObject) -> None:
    """A valid signature with any one bit of its bytes changed is none, or still says the very same."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = PublicKey(string(b"ssh-ed25519") + string(private.public_key().public_bytes_raw()))
    signed = string(b"ssh-ed25519") + string(private.sign(sshsig.signed_data(MESSAGE, NAMESPACE)))
    fields = (public.blob, NAMESPACE.encode(), b"", b"sha512", signed)
    blob = bytearray(b"SSHSIG\0\0\0\1" + b"".join(map(string, fields)))
    assert sshsig.verify(MESSAGE, _armored(bytes(blob)), NAMESPACE) == public
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TransferError):
        sshsig.verify(MESSAGE, _armored(bytes(blob)), NAMESPACE)
