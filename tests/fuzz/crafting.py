"""Files made around what was changed inside of them, so that the change reaches the layers within.

Everything here is the same every time: keys are fixed, and what the product draws from the system's
randomness comes from a seeded source.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fuzz.json_mutation import dump, parse
from transfer.core.unlock_code import UnlockCode
from transfer.formats.age.keys import Identity
from transfer.formats.custody import Entry, encode_entry
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.ssh_wire import string
from transfer.formats.sshsig import armor, signed_data

IDENTITY = Identity(bytes(range(32)))
"""Of the destination."""
JOB = Identity(bytes(range(32, 64)))
"""Of the job: it opens encrypted devices."""
RESUME = Identity(bytes(range(64, 96)))
STRANGER = Identity(bytes(range(96, 128)))
CODE = UnlockCode.from_entropy(bytes(range(16)))
_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = PublicKey.parse(_SIGNER.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())

GOLDEN = Path(__file__).parents[2] / "manifests/golden"
CORPUS = Path(__file__).parent / "corpus"
DEVICE_JSON = (GOLDEN / "good/DEVICE.json").read_bytes()

FILE_KEY, NONCE = bytes(range(16)), bytes(range(16, 32))


@contextlib.contextmanager
def fixed_randomness() -> Iterator[None]:
    """Keys and nonces that the product makes are the same every time."""
    source = Random(0)
    with contextlib.ExitStack() as patches:
        for module in ("age.keys", "age.writer"):
            patches.enter_context(patch(f"transfer.formats.{module}.token_bytes", source.randbytes))
        patches.enter_context(patch("transfer.device.code_lock.token_bytes", source.randbytes))
        yield


def ssh_sign(message: bytes, namespace: str) -> bytes:
    """An armored signature."""
    made = _SIGNER.sign(signed_data(message, namespace))
    return armor(SIGNER, namespace, string(b"ssh-ed25519") + string(made))


def fido_sign(message: bytes, namespace: str) -> bytes:
    """An armored signature as of a key on a FIDO device that was touched (OpenSSH PROTOCOL.u2f)."""
    kind, application, touched = b"sk-ssh-ed25519@openssh.com", b"ssh:", b"\1\0\0\0\7"
    told = hashlib.sha256(signed_data(message, namespace)).digest()
    made = _SIGNER.sign(hashlib.sha256(application).digest() + touched + told)
    public = PublicKey(b"".join(map(string, (kind, _SIGNER.public_key().public_bytes_raw(), application))))
    return armor(public, namespace, string(kind) + string(made) + touched)


def armored(blob: bytes) -> bytes:
    """The armor around any bytes."""
    return b"-----BEGIN SSH SIGNATURE-----\n%b-----END SSH SIGNATURE-----\n" % base64.encodebytes(blob)


def segment_of(lines: bytes) -> bytes:
    """A segment file around its header and records; the end record is right, whatever they are."""
    records = max(0, lines.count(b"\n") - 1)
    end = b'{"kind":"end","records":%d,"blake3":"%b"}\n' % (records, blake3(lines).hexdigest().encode())
    head, newline, body = lines.partition(b"\n")
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return compressor.compress(head + newline) + compressor.compress(body + end)


def lines_of(segment: bytes) -> bytes:
    """Header and records of a segment file, without the end record."""
    reader = zstandard.ZstdDecompressor().stream_reader(segment, read_across_frames=True)
    text = reader.read(64 << 20)
    return text[: text.rfind(b"\n", 0, -1) + 1]


def chained(lines: bytes, device_json: bytes) -> bytes:
    """A custody log whose entries have their numbers and are bound to the line before, whatever they are."""
    log, previous = b"", blake3(device_json).hexdigest()
    for number, text in enumerate(lines.split(b"\n")[:-1]):
        fields = parse(text)
        line = text + b"\n"
        if isinstance(fields, dict):
            line = dump(fields | {"number": number, "previous": previous}) + b"\n"
        log, previous = log + line, blake3(line).hexdigest()
    return log


def custody_log(device_json: bytes) -> bytes:
    """A log of three entries, the last one signed."""
    log, previous = b"", blake3(device_json).hexdigest()
    for number, event in enumerate(("prepared", "copied", "sealed")):
        fields = {
            "host": "host",
            "who": "who \u00e9",
            "note": "",
            "seal_blake3": "0" * 64 if number > 1 else "",
        }
        entry = Entry(number=number, time="2024-01-02T03:04:05Z", event=event, previous=previous, **fields)  # type: ignore[arg-type]
        if number > 1:
            signature = ssh_sign(encode_entry(entry), "transfer-custody").decode()
            entry = Entry(
                number=number,
                time=entry.time,
                event=event,  # type: ignore[arg-type]
                previous=previous,
                signature=signature,
                **fields,
            )
        line = encode_entry(entry)
        log, previous = log + line, blake3(line).hexdigest()
    return log


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, 32 bytes."""
    return hmac.digest(hmac.digest(salt, key, hashlib.sha256), info + b"\1", hashlib.sha256)


def age_header(stanzas: bytes) -> bytes:
    """An age header around the lines of its stanzas, with a right MAC."""
    authenticated = b"age-encryption.org/v1\n" + stanzas + b"---"
    mac = hmac.digest(hkdf(FILE_KEY, bytes(32), b"header"), authenticated, hashlib.sha256)
    return authenticated + b" " + base64.b64encode(mac).rstrip(b"=") + b"\n"


def age_chunk(index: int, plain: bytes, *, last: bool) -> bytes:
    """A chunk sealed for a place, whether or not it may be there."""
    cipher = ChaCha20Poly1305(hkdf(FILE_KEY, NONCE, b"payload"))
    return cipher.encrypt((index % (1 << 88)).to_bytes(11, "big") + bytes([last]), plain, None)


def joined(parts: Sequence[bytes]) -> bytes:
    """Parts of one case: each with its length before it."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def split(case: bytes, count: int) -> list[bytes]:
    """The parts that `joined` made; what is missing is empty, the last one takes what is left."""
    parts = []
    for _ in range(count - 1):
        size = int.from_bytes(case[:4], "little")
        parts.append(case[4 : 4 + size])
        case = case[4 + size :]
    return [*parts, case[4:]]


def each_part(
    count: int, change: Callable[[Random, bytes, Sequence[bytes]], bytes]
) -> Callable[[Random, bytes, Sequence[bytes]], bytes]:
    """A change of one part of a case."""

    def mutate(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
        parts = split(case, count)
        at = rng.randrange(count)
        parts[at] = change(rng, parts[at], [split(other, count)[at] for other in others])
        return joined(parts)

    return mutate


def golden(pattern: str) -> list[bytes]:
    """All files of the golden devices of that name; each content once."""
    return sorted({path.read_bytes() for path in GOLDEN.glob(f"*/{pattern}")})


def compressed(case: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(case)


def inflating(begin: bytes, fill: bytes, size: int = 512 << 20) -> bytes:
    """A frame that holds so much of nothing, made without holding it."""
    block, stream = fill * (1 << 20), zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj()
    pieces = [stream.compress(begin), *(stream.compress(block) for _ in range(size >> 20)), stream.flush()]
    return b"".join(pieces)
