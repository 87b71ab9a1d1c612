"""JSON Schemas (draft 2020-12) of the product's documents, made from the types that read and write them."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from transfer.core.records import AnyRecord, Entry, Hardlink, Header, Symlink
from transfer.formats.certificate import Certificate
from transfer.formats.certificate_entries import Line
from transfer.formats.custody import Entry as CustodyEntry
from transfer.formats.documents import DeviceDocument, SealDocument
from transfer.formats.erasure import Erasure
from transfer.formats.report import ImportReport

Schema = dict[str, Any]
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
LINES: Final = "One line of a segment: its header, a record, or its end record (FORMAT.md §9, §10)."


def schemas() -> dict[str, bytes]:
    """File names and contents of all schemas."""
    records = (Header, *get_args(AnyRecord))
    made = {
        "device": _document(DeviceDocument),
        "seal": _seal(),
        "report": _document(ImportReport),
        "certificate": _certificate(),
        "certificate-entries": _lines(),
        "custody": _custody(),
        "erasure": _document(Erasure),
        "segment": _schema(records, {"title": "Segment line", "description": LINES}),
    }
    return {
        f"{name}.schema.json": json.dumps(_identified(name, schema), indent=2).encode() + b"\n"
        for name, schema in made.items()
    }


def _identified(name: str, schema: Schema) -> Schema:
    return {"$schema": DRAFT, "$id": f"{name}.schema.json"} | schema


def _document(kind: type[Struct]) -> Schema:
    (reference,), definitions = _components((kind,))
    own = definitions.pop(reference["$ref"].split("/")[-1])
    absent = {field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    own["required"] = [name for name in own["properties"] if name not in absent]  # defaults are for writers
    for field in own["properties"].values():
        field.pop("default", None)
    return own | ({"$defs": definitions} if definitions else {})


def _seal() -> Schema:
    """Totals but of an encrypted device, whose seal lists a key; the previous seal from generation 2 on."""
    key = {"required": ["name"], "properties": {"name": {"const": "keys/job.age"}}}
    encrypted = {"properties": {"files": {"contains": key}}}
    first = {"properties": {"generation": {"const": 1}}}
    return _document(SealDocument) | {
        "allOf": [_either(encrypted, _without("totals")), _either(first, _without("previous_seal"))]
    }


def _either(case: Schema, then: Schema) -> Schema:
    """`then` in this case, and the opposite in all others."""
    return {"if": case, "then": then, "else": {"not": then}}


def _without(name: str) -> Schema:
    return {"not": {"required": [name]}}


def _certificate() -> Schema:
    made = _document(Certificate)
    _exactly_one(made["$defs"]["Unlisted"], "path")
    return made


def _custody() -> Schema:
    """One line of a custody log; its signature is the only field that may be absent."""
    return _document(CustodyEntry)


def _lines() -> Schema:
    """One line of a certificate's companion."""
    kinds = get_args(Line)
    references, definitions = _components(kinds)
    _exactly_one(definitions["NotCertified"], "path")
    head = {"title": "Certificate entry", "description": "One line of a certificate's companion."}
    return head | {"oneOf": list(references), "$defs": definitions}


def _schema(kinds: tuple[type[Struct], ...], head: Schema) -> Schema:
    references, definitions = _components(kinds)
    for kind in kinds:
        if issubclass(kind, Entry):
            _exactly_one(definitions[kind.__name__], "path")
        if issubclass(kind, Symlink | Hardlink):
            _exactly_one(definitions[kind.__name__], "target")
    _first_and_last(definitions[Header.__name__])
    return head | {"oneOf": list(references), "$defs": definitions}


def _components(kinds: tuple[type[Struct], ...]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
    references, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition.setdefault("additionalProperties", False)
        for field in definition.get("properties", {}).values():
            if field.get("default") == "":  # stands for "not given" in the types, and is refused in the JSON
                del field["default"]
    return references, definitions


def _one_of(name: str) -> Schema:
    return {"oneOf": [{"required": [name]}, {"required": [f"{name}_base64"]}]}


def _exactly_one(definition: Schema, name: str) -> None:
    definition.setdefault("allOf", []).append(_one_of(name))


def _first_and_last(definition: Schema) -> None:
    """Both of a header's paths or neither of them, each in one spelling."""
    names = ["first_path", "first_path_base64", "last_path", "last_path_base64"]
    neither = {"not": {"anyOf": [{"required": [name]} for name in names]}}
    definition["oneOf"] = [{"allOf": [_one_of("first_path"), _one_of("last_path")]}, neither]
