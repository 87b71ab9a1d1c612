"""DEVICE.json and SEAL.json: one spelling on the way out, no tolerance on the way in."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.build import document
from tests.golden.make import GOLDEN
from transfer.errors import FormatError, UsageError
from transfer.formats.documents import (
    MAX_DEVICE_BYTES,
    MAX_SEAL_BYTES,
    DeviceDocument,
    SealDocument,
    check_job,
    decode_device,
    decode_seal,
    encode,
)

DEVICE: dict[str, Any] = json.loads((GOLDEN / "good/DEVICE.json").read_bytes())
SEAL: dict[str, Any] = json.loads((GOLDEN / "good/SEAL.json").read_bytes())


def device(text: bytes) -> DeviceDocument:
    return decode_device(text, "DEVICE.json")


def seal(text: bytes) -> SealDocument:
    return decode_seal(text, "SEAL.json")


def test_round_trip() -> None:
    text = encode(document())
    assert device(text) == document()
    assert text == (GOLDEN / "good/DEVICE.json").read_bytes()
    assert text.endswith(b"}\n")
    written = decode_seal((GOLDEN / "good/SEAL.json").read_bytes(), "SEAL.json")
    assert decode_seal(encode(written), "SEAL.json") == written


BAD_VALUES: dict[str, list[Any]] = {
    "format": ["transfer-seal", "", None, 1],
    "format_version": [0, 2, 1.5, "1", None, True, 10**30],
    "device_id": ["", "x", DEVICE["device_id"].upper(), DEVICE["device_id"] + "\n", DEVICE["device_id"][:-1]],
    "job": ["", ".a", "-a", "a b", "a/b", "ä", "a" * 64, "a\n"],
    "ordinal": [0, 10_000, -1, "1", 1.0e3],
    "created": [
        "",
        "2024-01-02",
        "2024-01-02T03:04:05",
        "2024-01-02T03:04:05+00:00",
        "2024-01-02T03:04:05Z\n",
    ],
    "software": ["", "x" * 129, None],
    "profile": ["", "x" * 129],
    "capacity_bytes": [-1, 2**63, "1"],
    "reserve_bytes": [-1, None],
    "pack_size_bytes": [0, 128 * 1024 - 1, 2**40 + 1],
    "chunk_size_bytes": [0, 1, 32 * 1024, 100_000, 2**27, -65536],
    "batch_size_bytes": [0, 2**27],
    "batch_entries": [0, 100_001],
    "max_entries": [0, 1_000_001],
    "level": [0, 20, -1],
    "read_bytes_per_s": [-1, None],
    "write_bytes_per_s": [-1, "fast"],
}


@pytest.mark.parametrize("field", DEVICE)
def test_every_field_of_a_device_is_checked(field: str) -> None:
    assert BAD_VALUES[field]
    for value in BAD_VALUES[field]:
        with pytest.raises(FormatError, match=r"DEVICE\.json"):
            device(json.dumps(DEVICE | {field: value}).encode())
    less = {name: value for name, value in DEVICE.items() if name != field}
    with pytest.raises(FormatError, match=rf"DEVICE\.json.*{field}"):
        device(json.dumps(less).encode())


def test_every_chunk_size_there_is() -> None:
    sizes = [size for power in range(31) if _takes(size := 1 << power)]
    assert sizes == [1 << power for power in range(16, 27)]


def _takes(chunk_size_bytes: int) -> bool:
    try:
        device(json.dumps(DEVICE | {"chunk_size_bytes": chunk_size_bytes}).encode())
    except FormatError:
        return False
    return True


@pytest.mark.parametrize("field", sorted(SEAL.keys() - {"totals"}))
def test_every_field_of_a_seal_must_be_there(field: str) -> None:
    less = {name: value for name, value in SEAL.items() if name != field}
    with pytest.raises(FormatError, match=rf"SEAL\.json.*{field}"):
        seal(json.dumps(less).encode())


def test_a_seal_of_an_encrypted_device_has_no_totals_and_is_written_without() -> None:
    less = seal(json.dumps({name: value for name, value in SEAL.items() if name != "totals"}).encode())
    assert less.totals is msgspec.UNSET
    assert "totals" not in json.loads(encode(less))


def test_recipients_are_two_age_recipients_and_absent_where_nothing_is_encrypted() -> None:
    one, other = f"age1{'q' * 58}", f"age1{'z' * 58}"
    told = {"job": one, "resume": other}
    encrypted = device(json.dumps(DEVICE | {"recipients": told}).encode())
    assert encrypted.is_encrypted
    assert json.loads(encode(encrypted))["recipients"] == told
    plain = device(json.dumps(DEVICE).encode())
    assert not plain.is_encrypted
    assert "recipients" not in json.loads(encode(plain))


@pytest.mark.parametrize(
    "recipients",
    [
        None,
        {},
        {"job": f"age1{'q' * 58}"},
        {"job": f"age1{'q' * 58}", "resume": f"age1{'q' * 57}b"},
        {"job": f"age1{'q' * 58}", "resume": f"age1{'Q' * 58}"},
        {"job": f"age1{'q' * 58}\n", "resume": f"age1{'q' * 58}"},
        {"job": f"age1{'q' * 58}", "resume": f"age1{'q' * 58}", "third": f"age1{'q' * 58}"},
    ],
)
def test_other_recipients_are_refused(recipients: object) -> None:
    with pytest.raises(FormatError, match=r"DEVICE\.json.*recipients"):
        device(json.dumps(DEVICE | {"recipients": recipients}).encode())


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"name": "a", "size_bytes": 1},
        {"name": "../a", "size_bytes": 1, "blake3": "0" * 64},
        {"name": "a/b", "size_bytes": 1, "blake3": "0" * 64},
        {"name": ".a", "size_bytes": 1, "blake3": "0" * 64},
        {"name": "a\n", "size_bytes": 1, "blake3": "0" * 64},
        {"name": "a" * 65, "size_bytes": 1, "blake3": "0" * 64},
        {"name": "a", "size_bytes": -1, "blake3": "0" * 64},
        {"name": "a", "size_bytes": 1, "blake3": "0" * 63},
        {"name": "a", "size_bytes": 1, "blake3": "0" * 64, "more": 1},
    ],
    ids=str,
)
def test_files_of_a_seal(file: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        seal(json.dumps(SEAL | {"packs": [file]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"text"',
        b"{",
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"\xff",
        b'{"format":"\xff","format_version":1}',
        b'{"format":"\\ud800","format_version":1}',
        json.dumps(DEVICE).encode() + b"x",
        json.dumps(DEVICE).encode() + json.dumps(DEVICE).encode(),
        b"\xef\xbb\xbf" + json.dumps(DEVICE).encode(),
        json.dumps(DEVICE).encode("utf-16"),
        json.dumps(DEVICE).encode()[:-1],
    ],
)
def test_what_is_no_such_document(text: bytes) -> None:
    with pytest.raises(FormatError, match="DEVICE"):
        device(text)
    with pytest.raises(FormatError, match="SEAL"):
        seal(text)


def test_each_is_not_the_other() -> None:
    with pytest.raises(FormatError):
        device(json.dumps(SEAL).encode())
    with pytest.raises(FormatError):
        seal(json.dumps(DEVICE).encode())


def test_versions_to_come_are_refused_by_version_and_not_by_what_is_new() -> None:
    with pytest.raises(FormatError, match=r"format version 2.*newer release"):
        device(json.dumps(DEVICE | {"format_version": 2, "recipients": []}).encode())


@pytest.mark.parametrize("limit", [MAX_DEVICE_BYTES, MAX_SEAL_BYTES])
def test_size_limits(limit: int) -> None:
    read = device if limit == MAX_DEVICE_BYTES else seal
    text = json.dumps(DEVICE if read is device else SEAL).encode()
    read(text + b" " * (limit - len(text)))
    with pytest.raises(FormatError, match="larger than"):
        read(text + b" " * (limit - len(text) + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(text: bytes) -> None:
    with pytest.raises(FormatError):
        device(text)


@pytest.mark.parametrize("job", ["a", "A.b_c-9", "0" * 63])
def test_jobs(job: str) -> None:
    check_job(job)


@pytest.mark.parametrize("job", BAD_VALUES["job"])
def test_no_jobs(job: str) -> None:
    with pytest.raises(UsageError, match="is not possible"):
        check_job(job)
