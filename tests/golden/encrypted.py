"""The good device once more, encrypted: the same bytes each time, for all that is random comes from a seed.

Its destination's identity lies beside it, so that every later version can be held against it: what was
encrypted once has to be readable for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from blake3 import blake3
from msgspec.structs import replace

from tests.golden.build import DEVICE_ID, SOFTWARE, document, write_content
from tests.golden.model import SEALED
from transfer.device.device import Device, open_device
from transfer.device.layout import DEVICE_NAME, JOB_KEY_NAME, KEYS, RECOVERY_NAME, SCRIPT_NAME, SEAL_NAME
from transfer.device.recovery import recover_script, recovery_text
from transfer.formats.age.keys import Identity
from transfer.formats.age.writer import encrypt
from transfer.formats.documents import DeviceDocument, Recipients, SealDocument, SealedFile, encode

DEVICE, IDENTITY = "device", "identity.txt"

README = """# An encrypted golden device

`device` holds what `../golden/good` holds, encrypted for the identity in `identity.txt`, which protects
nothing: it is here so that every reader can be tried. An identity has to be its owner's alone:

    cp identity.txt ~/golden.key && chmod 600 ~/golden.key
    transfer verify device --deep --identity ~/golden.key

finds nothing wrong. `make golden` writes both anew, from a fixed seed; what is to be kept secret is never
encrypted from one.
"""


def _identity(name: str) -> Identity:
    return Identity(blake3(f"golden {name}".encode()).digest())


DESTINATION, JOB, RESUME = (_identity(name) for name in ("destination", "job", "resume"))


def _seeded() -> Callable[[int], bytes]:
    """What `secrets.token_bytes` is, from a seed."""
    count = 0

    def token_bytes(size: int) -> bytes:
        nonlocal count
        count += 1
        return blake3(f"golden random {count}".encode()).digest(length=size)

    return token_bytes


@contextmanager
def _from_a_seed() -> Iterator[None]:
    seeded = _seeded()
    with (
        patch("transfer.formats.age.writer.token_bytes", seeded),
        patch("transfer.formats.age.keys.token_bytes", seeded),
    ):
        yield


def write_encrypted(root: Path) -> None:
    """Write README, identity and device into an empty folder."""
    (root / "README.md").write_text(README)
    (root / IDENTITY).write_text(f"# public key: {DESTINATION.recipient}\n{DESTINATION.text}\n")
    with _from_a_seed():
        device = _prepare(root / DEVICE)
        write_content(device)
    _seal(root / DEVICE, device.document)


def _prepare(root: Path) -> Device:
    recipients = Recipients(job=JOB.recipient.text, resume=RESUME.recipient.text)
    identity = replace(document(DEVICE_ID), recipients=recipients)
    for folder in ("packs", "segments", KEYS):
        os.makedirs(root / folder)
    text = recovery_text(identity.job, identity.device_id, identity.created, encrypted=True)
    for name, data in (
        (JOB_KEY_NAME, encrypt(f"{JOB.text}\n".encode(), [DESTINATION.recipient])),
        (RECOVERY_NAME, text),
        (SCRIPT_NAME, recover_script()),
        (DEVICE_NAME, encode(identity)),
    ):
        (root / name).write_bytes(data)
    (root / SCRIPT_NAME).chmod(0o755)
    return open_device(str(root))


def _seal(root: Path, identity: DeviceDocument) -> None:
    seal = SealDocument(
        device_id=identity.device_id,
        job=identity.job,
        ordinal=identity.ordinal,
        generation=1,
        sealed=SEALED,
        software=SOFTWARE,
        complete=True,
        files=[_sealed(root, name) for name in (DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME, JOB_KEY_NAME)],
        packs=[_sealed(path.parent, path.name) for path in sorted((root / "packs").iterdir())],
        segments=[_sealed(path.parent, path.name) for path in sorted((root / "segments").iterdir())],
    )
    (root / SEAL_NAME).write_bytes(encode(seal))


def _sealed(folder: Path, name: str) -> SealedFile:
    data = (folder / name).read_bytes()
    return SealedFile(name, len(data), blake3(data).hexdigest())
