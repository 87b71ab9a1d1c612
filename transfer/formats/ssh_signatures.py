"""Whether a signature is that of an OpenSSH key (RFC 4253 §6.6, RFC 5656, RFC 8332, RFC 8709; OpenSSH
PROTOCOL.u2f for keys on a FIDO device).

Not accepted are: DSA, RSA below 2048 bits or with SHA-1, certificates, and a FIDO key that nobody touched.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from transfer.errors import IntegrityError
from transfer.formats.ssh_keys import ECDSA, ED25519, MIN_RSA_BITS, RSA, RSA_SHA512, PublicKey
from transfer.formats.ssh_wire import WireError, WireReader

_SK_ED25519 = "sk-ssh-ed25519@openssh.com"
_SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
_CERTIFICATE = "-cert-v01@openssh.com"

_RSA_HASHES = {"rsa-sha2-256": SHA256, RSA_SHA512: SHA512}
_MAX_RSA_BITS = 16384
_MAX_EXPONENT_BITS = 64  # a longer one only makes a check slow
_TOUCHED = 0x01  # the flag "user present" of a FIDO signature

CURVE_HASHES: dict[str, type[HashAlgorithm]] = {"nistp256": SHA256, "nistp384": SHA384, "nistp521": SHA512}
"""The hash that signatures on a curve are made of (RFC 5656 §6.2.1)."""

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "nistp256": ec.SECP256R1,
    "nistp384": ec.SECP384R1,
    "nistp521": ec.SECP521R1,
}


def check_signature(public: PublicKey, signature: bytes, data: bytes) -> None:
    """Check that `signature` is that of a key, of `data`.

    Args:
        public: the key.
        signature: as the SSH protocols write it: the name of the algorithm, then what it makes.
        data: what was signed.

    Raises:
        IntegrityError: it is not, or is of a kind that is not accepted.
    """
    try:
        _check(WireReader(public.blob), WireReader(signature), data)
    except InvalidSignature:
        what = f"the signature is not that of {public.fingerprint} for what is here"
        raise IntegrityError(what) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = str(error) if isinstance(error, WireError) else "its numbers make no key or no signature"
        raise IntegrityError(f"the key or its signature cannot be used: {reason}") from None


def _check(key: WireReader, signed: WireReader, data: bytes) -> None:
    kind, algorithm = key.name(), signed.name()
    if kind.endswith(_CERTIFICATE):
        raise WireError("it is a certificate, and certificates are not supported")
    if algorithm not in (_RSA_HASHES if kind == RSA else (kind,)):
        raise WireError(f"a signature of kind {algorithm} of a key of kind {kind} is not accepted")
    if kind == ED25519:
        _check_ed25519(_last(key), _last(signed), data)
    elif kind == RSA:
        _check_rsa(key, _last(signed), data, _RSA_HASHES[algorithm]())
    elif kind.startswith(ECDSA) and kind.removeprefix(ECDSA) in _CURVES:
        curve, point = _curve_and_point(key, kind.removeprefix(ECDSA))
        key.end()
        _check_ecdsa(curve, point, _last(signed), data)
    elif kind in (_SK_ED25519, _SK_ECDSA):
        _check_touched(key, signed, data, is_ecdsa=kind == _SK_ECDSA)
    else:
        raise WireError(f"keys of kind {kind} are not accepted")


def _last(reader: WireReader) -> bytes:
    value = reader.string()
    reader.end()
    return value


def _check_ed25519(public: bytes, signature: bytes, data: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, data)


def _check_rsa(key: WireReader, signature: bytes, data: bytes, hash_: HashAlgorithm) -> None:
    exponent, modulus = key.mpint(), key.mpint()
    key.end()
    bits = modulus.bit_length()
    if not MIN_RSA_BITS <= bits <= _MAX_RSA_BITS or exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise WireError(f"an RSA key of {bits} bits is not accepted, {MIN_RSA_BITS} are the least")
    size = (bits + 7) // 8
    if len(signature) > size:
        raise WireError("its signature is longer than the key")
    # Agents are known that leave leading zeros out.
    padded = signature.rjust(size, b"\0")
    RSAPublicNumbers(exponent, modulus).public_key().verify(padded, data, PKCS1v15(), hash_)


def _curve_and_point(key: WireReader, expected: str) -> tuple[str, bytes]:
    curve, point = key.name(), key.string()
    if curve != expected:
        raise WireError("it says two curves")
    return curve, point


def _check_ecdsa(curve: str, point: bytes, signature: bytes, data: bytes) -> None:
    pair = WireReader(signature)
    r, s = pair.mpint(), pair.mpint()
    pair.end()
    public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve](), point)
    public.verify(encode_dss_signature(r, s), data, ec.ECDSA(CURVE_HASHES[curve]()))


def _check_touched(key: WireReader, signed: WireReader, data: bytes, *, is_ecdsa: bool) -> None:
    """A signature of a FIDO device: over the key's application, flags, a counter and the hash of the data."""
    curve, public = _curve_and_point(key, "nistp256") if is_ecdsa else ("", key.string())
    application = key.string()
    key.end()
    signature, flags, counter = signed.string(), signed.take(1), signed.take(4)
    signed.end()
    if not flags[0] & _TOUCHED:
        raise WireError("the key was used without a touch")
    told = hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(data).digest()
    if is_ecdsa:
        _check_ecdsa(curve, public, signature, told)
    else:
        _check_ed25519(public, signature, told)
