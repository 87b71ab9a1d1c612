"""Certificates, companions and erasures as bytes: there and back, and whatever else there may be."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from transfer.errors import FormatError
from transfer.formats.certificate import (
    Certificate,
    EntriesFile,
    Evidence,
    SealSigner,
    Unlisted,
    decode_certificate,
    encode_certificate,
)
from transfer.formats.certificate_entries import (
    CertifiedObject,
    EntriesWriter,
    Line,
    NotCertified,
    read_entries,
)
from transfer.formats.erasure import ErasedPart, Erasure, decode_erasure, encode_erasure

DIGEST = "ab" * 32
CERTIFICATE = Certificate(
    device_id="00000000-0000-4000-8000-000000000000",
    job="survey",
    ordinal=1,
    generation=2,
    seal_blake3=DIGEST,
    seal_signed_by=SealSigner(key="SHA256:x", principal="carol"),
    endpoint="",
    bucket="archive",
    prefix="survey/",
    started="2026-01-01T00:00:00Z",
    finished="2026-01-01T01:00:00Z",
    software="transfer 0",
    complete=False,
    objects=1,
    bytes=2,
    evidence=Evidence(crc64nvme=1, crc32c=0, download=0, empty=0),
    entries=EntriesFile(name="c.entries.jsonl.zst", entries=1, size_bytes=1, blake3=DIGEST),
    folders_implied=0,
    symlinks_left_out=0,
    other_objects=0,
    not_certified=1,
    not_certified_first=[Unlisted(path="a", state="missing", reason="it is not there")],
)
ERASURE = Erasure(
    state="begun",
    device_id=CERTIFICATE.device_id,
    job="survey",
    ordinal=1,
    begun="2026-01-01T00:00:00Z",
    finished="",
    who="",
    host="host",
    software="transfer 0",
    generation=None,
    seal_blake3=None,
    certificate_blake3=DIGEST,
    encrypted=True,
    resume_key_destroyed=False,
    parts=[ErasedPart(part="keys", files=1, bytes=5, method="overwritten-and-removed")],
    left=[],
    limits=["words"],
)
OBJECT = CertifiedObject(
    path="a", key="p/a", size_bytes=1, blake3=DIGEST, crc64nvme="0" * 16, crc32c="0" * 8, evidence="empty"
)


def test_there_and_back() -> None:
    assert decode_certificate(encode_certificate(CERTIFICATE), "it") == CERTIFICATE
    assert decode_erasure(encode_erasure(ERASURE), "it") == ERASURE


@pytest.mark.parametrize("whole", [CERTIFICATE, ERASURE], ids=["certificate", "erasure"])
def test_each_field_is_needed_and_none_beyond(whole: Any) -> None:
    decode = decode_certificate if isinstance(whole, Certificate) else decode_erasure
    document = json.loads(msgspec.json.encode(whole))
    for name in document:
        if name in ("format", "format_version"):
            bent = document | {name: "other" if name == "format" else 2}
        else:
            bent = {other: value for other, value in document.items() if other != name}
        with pytest.raises(FormatError, match="the file"):
            decode(json.dumps(bent).encode(), "the file")
    with pytest.raises(FormatError, match="more"):
        decode(json.dumps(document | {"more": 1}).encode(), "the file")


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are(content: bytes) -> None:
    """Accepted or refused with the documented error."""
    with pytest.raises(FormatError):
        decode_certificate(content, "it")
    with pytest.raises(FormatError):
        decode_erasure(content, "it")
    for stored in (content, zstandard.ZstdCompressor().compress(content)):
        try:
            for _ in read_entries(io.BytesIO(stored), "it"):
                pass
        except FormatError as error:
            assert "it" in error.what


@given(st.data())
def test_a_bit_flipped_is_refused_or_means_something(data: st.DataObject) -> None:
    for whole, decode in (
        (encode_certificate(CERTIFICATE), decode_certificate),
        (encode_erasure(ERASURE), decode_erasure),
    ):
        at = data.draw(st.integers(0, len(whole) - 1))
        bent = whole[:at] + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :]
        with contextlib.suppress(FormatError):
            decode(bent, "it")  # type: ignore[operator]


PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
OBJECTS = st.builds(lambda path: msgspec.structs.replace(OBJECT, path=path, key=f"p/{path}"), PATHS)
OTHERS = st.builds(
    lambda path, state: NotCertified(path=path, state=state, reason="why"),
    PATHS,
    st.sampled_from(["missing", "unproved"]),
)
LINES = OBJECTS | OTHERS


@given(st.lists(LINES, max_size=50))
def test_a_companion_there_and_back(lines: list[Line]) -> None:
    writer = EntriesWriter()
    stored = b"".join([writer.add(line) for line in lines]) + writer.finish()
    assert list(read_entries(io.BytesIO(stored), "it")) == lines
    assert writer.entries == len(lines)
    text = zstandard.ZstdDecompressor().stream_reader(stored).read()
    assert text.count(b"\n") == len(lines)


@pytest.mark.parametrize("byte", [b"x", b"\n"])
def test_a_companion_that_inflates(byte: bytes) -> None:
    """A gigabyte in a few KiB: refused with little memory, at its first line that is none."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    block = byte * (1 << 20)
    stored = b"".join([compressor.compress(block) for _ in range(256)]) + compressor.flush()
    tracemalloc.start()
    with pytest.raises(FormatError):
        list(read_entries(io.BytesIO(stored), "it"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 << 20


def test_a_window_that_is_too_large() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stored = compressor.compress(b"{}\n") + compressor.flush()
    with pytest.raises(FormatError, match="damaged"):
        list(read_entries(io.BytesIO(stored), "it"))
