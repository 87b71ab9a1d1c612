"""Files that an unlock code opens: real age files, with work that no device can raise."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyrage
import pytest

from tests.key_tools import age_opens
from transfer.core.unlock_code import UnlockCode
from transfer.device.code_lock import MAX_WORK_FACTOR, WORK_FACTOR, lock_with_code, open_with_code
from transfer.errors import FormatError, IntegrityError
from transfer.formats.age.keys import Identity
from transfer.formats.age.writer import encrypt

CODE = UnlockCode.from_entropy(bytes(range(16)))
OTHER = UnlockCode.from_entropy(bytes(16))
PLAIN = b"what the code guards\n"


@pytest.fixture(scope="module")
def stored() -> bytes:
    return lock_with_code(PLAIN, CODE)


def test_the_code_opens_and_another_does_not(stored: bytes) -> None:
    assert open_with_code(stored, CODE) == PLAIN
    assert open_with_code(stored, OTHER) is None
    assert lock_with_code(PLAIN, CODE) != stored


def test_the_age_program_opens_it_with_the_code_as_printed(stored: bytes, tmp_path: Path) -> None:
    file = tmp_path / "job.age"
    file.write_bytes(stored)
    assert age_opens(file, None, CODE.text) == PLAIN
    assert age_opens(file, None, CODE.text.replace("-", "")) is None


def test_pyrage_opens_it(stored: bytes) -> None:
    assert pyrage.passphrase.decrypt(stored, CODE.text) == PLAIN


def test_a_file_for_others_is_not_opened() -> None:
    identity = Identity.generate()
    assert open_with_code(encrypt(PLAIN, [identity.recipient]), CODE) is None


@pytest.mark.parametrize("part", ["body", "mac", "nonce", "payload", "end", "more"])
def test_damage_is_found(stored: bytes, part: str) -> None:
    lines = stored.split(b"\n", 4)
    body, mac, rest = lines[2], lines[3], lines[4]
    head = stored[: len(stored) - len(rest)]
    damaged = {
        "body": stored.replace(body, body[:5] + (b"A" if body[5:6] != b"A" else b"B") + body[6:]),
        "mac": stored.replace(mac, mac[:9] + (b"A" if mac[9:10] != b"A" else b"B") + mac[10:]),
        "nonce": head + bytes([rest[0] ^ 1]) + rest[1:],
        "payload": head + rest[:20] + bytes([rest[20] ^ 1]) + rest[21:],
        "end": stored[:-1],
        "more": stored + b"\0",
    }[part]
    if part == "body":  # nothing tells it from a file for another code
        assert open_with_code(damaged, CODE) is None
    else:
        with pytest.raises(IntegrityError):
            open_with_code(damaged, CODE)


@pytest.mark.parametrize("size", range(0, 200, 7))
def test_a_file_cut_short_is_refused(stored: bytes, size: int) -> None:
    with pytest.raises(IntegrityError):
        open_with_code(stored[:size], CODE)


@pytest.mark.parametrize("work", ["18", "22", "63", "99", "0", "016", "-1", "1e1", "100", "x"])
def test_a_device_cannot_ask_for_more_work(stored: bytes, work: str) -> None:
    assert WORK_FACTOR < MAX_WORK_FACTOR + 1 == 18
    asked = stored.replace(f" {WORK_FACTOR}\n".encode(), f" {work}\n".encode(), 1)
    assert asked != stored
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"more than 2\^17|malformed scrypt stanza"):
            open_with_code(asked, CODE)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("change", [(b"-> scrypt ", b"-> scrypt AAAA "), (b"-> scrypt ", b"-> scrypt A")])
def test_a_malformed_stanza_is_refused(stored: bytes, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(FormatError):
        open_with_code(stored.replace(*change), CODE)
