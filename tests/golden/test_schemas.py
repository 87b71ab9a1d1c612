"""The JSON Schemas beside FORMAT.md: those of the types, and of one mind with the readers on damage."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from jsonschema import Draft202012Validator

from tests.golden.make import EXPORT, GOLDEN, SCHEMAS
from tests.golden.schemas import schemas
from transfer.formats.report import ImportReport, encode_report

VALIDATORS = {name.split(".")[0]: Draft202012Validator(json.loads(data)) for name, data in schemas().items()}
# Damage that stands in one document or one line, and can be seen in it alone.
VISIBLE = {
    "device-of-unknown-version": "device",
    "device-with-unknown-field": "device",
    "device-with-an-odd-chunk-size": "device",
    "seal-of-unknown-version": "seal",
    "segment-of-unknown-version": "segment",
    "record-with-unknown-field": "segment",
    "record-without-a-field": "segment",
    "record-of-unknown-kind": "segment",
    "mode-out-of-range": "segment",
    "digest-in-capitals": "segment",
    "size-is-a-text": "segment",
}


def lines(segment: Path) -> list[Any]:
    stream = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(segment.read_bytes()), read_across_frames=True
    )
    return [json.loads(line) for line in stream.read().splitlines()]


def documents(device: Path) -> dict[str, list[Any]]:
    segments = sorted((device / "segments").iterdir())
    return {
        "device": [json.loads((device / "DEVICE.json").read_bytes())],
        "seal": [json.loads((device / "SEAL.json").read_bytes())],
        "segment": [line for segment in segments for line in lines(segment)],
    }


def wrong(device: Path) -> dict[str, int]:
    """How many documents or lines do not validate, by schema."""
    counts = {
        name: sum(not VALIDATORS[name].is_valid(document) for document in found)
        for name, found in documents(device).items()
    }
    return {name: count for name, count in counts.items() if count}


def test_the_schemas_are_those_of_the_types() -> None:
    assert {path.name: path.read_bytes() for path in SCHEMAS.iterdir()} == schemas(), "run `make golden`"


@pytest.mark.parametrize("name", VALIDATORS)
def test_they_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(VALIDATORS[name].schema)
    assert VALIDATORS[name].schema["$id"] == f"{name}.schema.json"


def test_the_good_devices_are_valid_and_show_every_kind_of_record() -> None:
    kinds = set()
    for device in (GOLDEN / "good", EXPORT / "device"):
        assert wrong(device) == {}
        kinds |= {line["kind"] for line in documents(device)["segment"]}
    defined = VALIDATORS["segment"].schema["$defs"].values()
    assert kinds == {
        kind["properties"]["kind"]["enum"][0] for kind in defined if "kind" in kind["properties"]
    }


@pytest.mark.parametrize("name", VISIBLE)
def test_visible_damage_is_not(name: str) -> None:
    assert wrong(GOLDEN / name) == {VISIBLE[name]: 1}


@pytest.mark.parametrize(
    "name", ["path-hidden-in-base64", "chunk-out-of-place", "hard-link-forward", "seek-table-lies"]
)
def test_damage_that_only_rules_can_see_passes(name: str) -> None:
    assert wrong(GOLDEN / name) == {}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("removed", {"path_base64": "/w=="}),
        ("removed", {"path": ""}),
        ("symlink", {"target_base64": "/w=="}),
        ("segment", {"first_path_base64": "/w=="}),
        ("segment", {"last_path": None}),
        ("chunk", {"crc32c": "0000000G"}),
        ("skipped", {"reason": "dislike"}),
        ("failed", {"reason": "fifo"}),
        ("frame", {"bytes": 0}),
    ],
)
def test_a_line_bent(kind: str, change: dict[str, Any]) -> None:
    line = next(line for line in documents(GOLDEN / "good")["segment"] if line["kind"] == kind)
    assert VALIDATORS["segment"].is_valid(line)
    bent = {name: value for name, value in (line | change).items() if value is not None}
    assert not VALIDATORS["segment"].is_valid(bent)


def test_every_field_of_a_document_is_required() -> None:
    for name in ("device", "seal"):
        (document,) = documents(GOLDEN / "good")[name]
        for field in document:
            less = {other: value for other, value in document.items() if other != field}
            assert not VALIDATORS[name].is_valid(less), field


_SAMPLES = {"boolean": False, "string": "", "integer": 0, "number": 0.5, "array": []}


def test_reports_are_valid() -> None:
    schema = VALIDATORS["report"].schema
    sample = {
        name: field["enum"][0] if "enum" in field else _SAMPLES[field["type"]]
        for name, field in schema["properties"].items()
    }
    sample["findings"] = [{"code": "pack-altered", "file": "packs/00000000.tar.zst", "frame": 1}]
    report = msgspec.convert(sample, ImportReport)
    document = json.loads(encode_report(report))
    assert document == sample
    assert VALIDATORS["report"].is_valid(document)
    assert not VALIDATORS["report"].is_valid(document | {"state": "fine"})
    assert not VALIDATORS["report"].is_valid(document | {"more": 1})
