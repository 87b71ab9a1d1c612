"""What is encrypted or signed: seeds, and the one law of both, that nobody makes it who lacks the key."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random

from tests.fuzz import crafting
from tests.fuzz.crafting import CORPUS, joined, split
from tests.fuzz.law import Broken, must
from tests.fuzz.mutation import mutate_bytes, mutate_fields
from transfer.errors import IntegrityError
from transfer.formats import sshsig
from transfer.formats.age.reader import AgeReader
from transfer.formats.age.writer import encrypt
from transfer.formats.allowed_signers import AllowedSigners

_NOW = datetime(2024, 6, 1, tzinfo=UTC)
_PLAIN = {size: Random(size).randbytes(size) for size in (0, 1, 65535, 65536, 65537, 131_072, 150_000)}


@cache
def age_files() -> list[bytes]:
    with crafting.fixed_randomness():
        to = [crafting.IDENTITY.recipient, crafting.STRANGER.recipient]
        return [encrypt(plain, [to[0]] if size % 2 else to) for size, plain in _PLAIN.items()]


def age(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """Whole chunks move as well as bytes."""
    if rng.randrange(3) or len(case) < 70_000:
        return mutate_bytes(rng, case, others)
    head = len(case) % 65_552 or 1
    chunks = [case[at : at + 65_552] for at in range(head, len(case), 65_552)]
    taken = chunks.pop(rng.randrange(len(chunks)))
    for _ in range(rng.randrange(3)):
        chunks.insert(rng.randrange(len(chunks) + 1), taken)
    return case[:head] + b"".join(chunks)


def read_age(case: bytes) -> str:
    """Who lacks the key cannot make anything open but what was sealed, in the bytes that it was sealed in."""
    plain = _age_plain(case)
    must(plain in _PLAIN.values(), "an age file opened to what nobody encrypted")
    must(case in age_files(), "an age file was changed, and opened all the same")
    return f"accepted {len(plain)}"


def _age_plain(case: bytes) -> bytes:
    """Read in pieces of odd sizes; and the same as a pack."""
    reader = AgeReader(io.BytesIO(case), [crafting.IDENTITY])
    pieces, size = [], 1
    while piece := reader.read(size):
        must(len(piece) <= size, "more came than was asked for")
        pieces.append(piece)
        size = size * 7 % 200_003
    must(reader.read(1) == b"", "something stands behind the end")
    plain = b"".join(pieces)
    must(len(plain) <= len(case), "more came out than went in")
    return plain


def read_age_inside(case: bytes) -> str:
    """Stanzas with a right MAC, and chunks sealed for wherever the case says."""
    stanzas, told = split(case, 2)
    chunks = [struct.unpack("<IB", told[at : at + 5]) for at in range(0, len(told) // 5 * 5, 5)][:8]
    sealed, plain = b"", b""
    for index, (size, flags) in enumerate(chunks):
        content = bytes(size % 65_538)
        plain += content
        sealed += crafting.age_chunk(index + (flags >> 4), content, last=bool(flags & 1))
    found = _age_plain(crafting.age_header(stanzas) + crafting.NONCE + sealed)
    sizes = [size % 65_538 for size, _ in chunks]
    must(found == plain, "other bytes than were sealed")
    must(
        [flags & 1 for _, flags in chunks] == [0] * (len(chunks) - 1) + [1], "the end was not marked as such"
    )
    must(all(size == 65_536 for size in sizes[:-1]), "a short chunk in the middle")
    must(sizes[-1] <= 65_536 and (sizes[-1] > 0 or len(sizes) == 1), "a last chunk that may not be")
    return "accepted"


def age_recipes() -> list[bytes]:
    with crafting.fixed_randomness():
        from transfer.formats.age import x25519
        from transfer.formats.age.header import encode_header

        mine = x25519.wrap(crafting.FILE_KEY, crafting.IDENTITY.recipient)
        other = x25519.wrap(crafting.FILE_KEY, crafting.STRANGER.recipient)
        made = [encode_header(stanzas, crafting.FILE_KEY) for stanzas in ([mine], [other, mine])]
    stanzas = [header[len(b"age-encryption.org/v1\n") : header.rfind(b"---")] for header in made]
    stanzas.append(b"-> grease a b\n" + b"A" * 64 + b"\n\n" + stanzas[0])
    stanzas.append(b"-> scrypt " + b"A" * 22 + b" 18\n" + b"A" * 43 + b"\n" + stanzas[0])
    whole = struct.pack("<IBIBIB", 65_536, 0, 65_536, 0, 1, 1)
    return [joined([lines, chunks]) for lines in stanzas for chunks in (struct.pack("<IB", 0, 1), whole)]


def job_keys() -> list[bytes]:
    with crafting.fixed_randomness():
        text = f"{crafting.JOB.text}\n".encode()
        to = [crafting.IDENTITY.recipient, crafting.STRANGER.recipient]
        return [encrypt(plain, to) for plain in (text, text * 2, b"", b"\xff", text.lower(), bytes(100_000))]


def read_job_key(case: bytes) -> str:
    from transfer.device.identities import AgeHolder
    from transfer.device.job_key import unlock_job_key

    identity = unlock_job_key(case, [AgeHolder("an identity", [crafting.IDENTITY])])
    must(identity.text == crafting.JOB.text, "another key than the one that was locked away")
    return "accepted"


def code_locked() -> list[bytes]:
    from transfer.device.code_lock import lock_with_code

    with crafting.fixed_randomness():
        return [lock_with_code(f"{crafting.JOB.text}\n".encode(), crafting.CODE), *job_keys()[:1]]


def read_code_locked(case: bytes) -> str:
    from transfer.device.identities import CodeHolder
    from transfer.device.job_key import unlock_job_key

    identity = unlock_job_key(case, [CodeHolder(crafting.CODE)])
    must(identity.text == crafting.JOB.text, "another key than the one that was locked away")
    return "accepted"


_MESSAGE = b"a message\n"


def signatures() -> list[bytes]:
    made = [crafting.ssh_sign(_MESSAGE, space) for space in ("transfer-seal", "transfer-custody")]
    return [*made, crafting.fido_sign(_MESSAGE, "transfer-seal")]


def read_signature(case: bytes) -> str:
    """Who lacks the key cannot sign: a changed signature is of a key that signed, or it is refused."""
    public = sshsig.verify(_MESSAGE, case, "transfer-seal")
    must(public.fingerprint in _known_signers(), "a signature of nobody was accepted")
    try:
        sshsig.verify(_MESSAGE + b"!", case, "transfer-seal")
    except IntegrityError:
        return f"accepted {public.kind}"
    raise Broken("the signature is right for another message as well")


def _all_signatures() -> list[bytes]:
    """Ours, and those in the corpus, each made once by ssh-keygen."""
    return [*signatures(), *(path.read_bytes() for path in sorted((CORPUS / "sshsig").glob("*.sig")))]


@cache
def _known_signers() -> set[str]:
    return {sshsig.read(armored).public.fingerprint for armored in _all_signatures()}


def signature_blobs() -> list[bytes]:
    return [sshsig._unwrap(armored) for armored in _all_signatures()]


def signature_fields(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """Behind SSHSIG and the version."""
    return case[:10] + mutate_fields(rng, case[10:], [other[10:] for other in others])


def signers_texts() -> list[bytes]:
    key = crafting.SIGNER.line.encode()
    return [
        b"carol@example.org " + key + b" a comment\n",
        b'# nobody\n\n"carol, dave" namespaces="transfer-*,!transfer-x",valid-before="20301231Z" ' + key,
        b'* cert-authority,namespaces="file",valid-after="202401021504" ' + key + b"\r\n",
        b'x namespaces="a\\"b",valid-after="20240102150405Z",valid-before="20240102" ' + key,
        b'x namespaces="' + b'\\"' * 2000 + b" " + key,
        b"x " + b'namespaces="a",' * 500 + key,
        b'"' * 5000 + key,
    ]


def read_signers(case: bytes) -> str:
    signers = AllowedSigners.parse(case.decode("utf-8", "replace"), "signers")
    try:
        signers.principal(crafting.SIGNER, "transfer-seal", _NOW)
    except IntegrityError:
        return "refuses the signer"
    return "allows the signer"
