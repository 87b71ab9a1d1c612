"""The documents of a device and of a shipment: seeds, and what is asked of what is read of them."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec

from tests.fuzz import crafting
from tests.fuzz.crafting import DEVICE_JSON, joined, split
from tests.fuzz.json_mutation import dump
from tests.fuzz.law import check_accepted_path, must
from transfer.formats import custody, documents, tracking
from transfer.formats.certificate import decode_certificate, encode_certificate
from transfer.formats.certificate_entries import read_entries


def read_device(case: bytes) -> str:
    document = documents.decode_device(case, "DEVICE.json")
    must(documents.decode_device(documents.encode(document), "again") == document, "it is not itself again")
    from transfer.device.encryption import recipients_of

    recipients_of(document)
    return "accepted"


def encrypted_device_json() -> bytes:
    recipients = documents.Recipients(job=crafting.JOB.recipient.text, resume=crafting.RESUME.recipient.text)
    device = documents.decode_device(DEVICE_JSON, "DEVICE.json")
    return documents.encode(msgspec.structs.replace(device, recipients=recipients))


def read_seal(case: bytes) -> str:
    document = documents.decode_seal(case, "SEAL.json")
    must(documents.decode_seal(documents.encode(document), "again") == document, "it is not itself again")
    for file in (*document.files, *document.packs, *document.segments):
        check_accepted_path(file.name.encode())
    return "accepted"


def read_custody(case: bytes) -> str:
    device_json, log = split(case, 2)
    found = custody.decode_log(log, device_json, "CUSTODY.jsonl")
    again = b"".join(map(custody.encode_entry, found.entries))
    must(log.startswith(again) and b"\n" not in log[len(again) :], "the log is not what was read of it")
    must(crafting.chained(again, device_json) == again, "an entry is not bound to the one before")
    return f"accepted {min(3, len(found.entries))}"


def read_custody_inside(case: bytes) -> str:
    return read_custody(joined([DEVICE_JSON, crafting.chained(case, DEVICE_JSON)]))


def read_certificate(case: bytes) -> str:
    found = decode_certificate(case, "certificate")
    must(decode_certificate(encode_certificate(found), "again") == found, "it is not itself again")
    return "accepted"


def read_certificate_entries(case: bytes) -> str:
    """Lines of a companion."""
    return f"accepted {min(9, sum(1 for _ in read_entries(io.BytesIO(case), 'entries')))}"


def entries_lines() -> list[bytes]:
    digest, text = "0" * 64, {"path": "a", "key": "a"}
    sums = {"size_bytes": 1, "blake3": digest, "crc64nvme": "0" * 16, "crc32c": "0" * 8}
    lines = [
        {"kind": "object", **text, **sums, "evidence": "crc64nvme", "etag": "e", "version_id": "v"},
        {"kind": "not-certified", "path": "b", "state": "missing", "reason": "nothing is there"},
        {"kind": "not-certified", "path_base64": "/w==", "state": "not-sendable", "reason": "no key"},
    ]
    return [b"".join(json.dumps(line).encode() + b"\n" for line in lines)]


def certificates() -> list[bytes]:
    fields: dict[str, Any] = {
        "format": "transfer-certificate",
        "format_version": 1,
        "device_id": "01020304-0506-4708-890a-0b0c0d0e0f10",
        "job": "job",
        "ordinal": 1,
        "generation": 1,
        "seal_blake3": "0" * 64,
        "seal_signed_by": {"key": "SHA256:x", "principal": "p"},
        "endpoint": "",
        "bucket": "bucket",
        "prefix": "",
        "started": "2024-01-02T03:04:05Z",
        "finished": "2024-01-02T03:04:05Z",
        "software": "fuzz",
        "complete": False,
        "objects": 1,
        "bytes": 1,
        "evidence": {"crc64nvme": 1, "crc32c": 0, "download": 0, "empty": 0},
        "entries": {"name": "n", "entries": 1, "size_bytes": 1, "blake3": "0" * 64},
        "folders_implied": 0,
        "symlinks_left_out": 0,
        "other_objects": 0,
        "not_certified": 1,
        "not_certified_first": [{"path": "b", "state": "missing", "reason": "r"}],
    }
    return [dump(fields)]


def tracking_records() -> list[bytes]:
    moment = "2024-01-02T03:04:05Z"
    event = {"state": "prepared", "simulated": moment, "real": moment}
    fields: dict[str, Any] = {
        "format": "transfer-tracking",
        "format_version": 1,
        "shipment_id": "01020304-0506-4708-890a-0b0c0d0e0f10",
        "device_id": "01020304-0506-4708-890a-0b0c0d0e0f10",
        "job": "job",
        "ordinal": 1,
        "profile": "folder",
        "seal_blake3": "0" * 64,
        "source": "/source",
        "source_base64": "",
        "folder": "job-001",
        "move": False,
        "carried_by": "copy",
        "route": {"carrier_days": 2, "delay_days": 0, "day_length_s": 0.5},
        "due": moment,
        "faults": ["bitflip:1"],
        "seed": 7,
        "files": 3,
        "size_bytes": 1000,
        "loaded": True,
        "source_removed": False,
        "events": [event, event | {"state": "with-customer"}, event | {"state": "in-transit"}],
    }
    return [dump(fields)]


def read_tracking(case: bytes) -> str:
    """The record, and what is reckoned with it."""
    document = tracking.decode_tracking(case, "tracking")
    must(tracking.decode_tracking(tracking.encode(document), "again") == document, "it is not itself again")
    return "accepted"


def fault_records() -> list[bytes]:
    flip = {"kind": "bitflip", "file": "packs/0", "offset": 1, "bit": 3, "before": 0, "after": 8}
    cut = {"kind": "truncate", "file": "segments/0", "size_bytes": 9, "left_bytes": 3}
    fields = {
        "format": "transfer-faults",
        "format_version": 1,
        "shipment_id": "01020304-0506-4708-890a-0b0c0d0e0f10",
        "device_id": "01020304-0506-4708-890a-0b0c0d0e0f10",
        "seed": 7,
        "faults": [flip, cut, {"kind": "delay", "days": 3}],
    }
    return [dump(fields)]


def read_faults(case: bytes) -> str:
    document = tracking.decode_faults(case, "faults")
    for fault in document.faults:
        if hasattr(fault, "file"):
            check_accepted_path(fault.file.encode())
    return "accepted"
