"""What is fuzzed: for each parser of bytes from a device its seeds, the changes that suit it, and its law.

A target takes a case, which is bytes, and gives a word for what became of it. It raises a `TransferError`
where the product refused, and `Broken` where a law does not hold. Targets whose names end in `-inside` put
the case into a file that agrees with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.fuzz import contents, crafting, papers, seals
from tests.fuzz.crafting import CORPUS, DEVICE_JSON, GOLDEN, compressed, each_part, golden, inflating, joined
from tests.fuzz.json_mutation import dump, mutate_json, parse
from tests.fuzz.mutation import mutate_bytes

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """Something that reads bytes from a device.

    Attributes:
        name: also of the folder in the corpus.
        make_seeds: cases to begin with, the same every time.
        mutate: makes a case of one of the pool; the others are there to be mixed in.
        run: raises TransferError where the case is refused.
    """

    name: str
    make_seeds: Callable[[], list[bytes]]
    mutate: Mutate
    run: Callable[[bytes], str]

    def seeds(self) -> list[bytes]:
        """Those that are made, and those that are kept in the corpus."""
        return [*self.make_seeds(), *(path.read_bytes() for path in self.kept())]

    def kept(self) -> list[Path]:
        """The files of the corpus."""
        return sorted((CORPUS / self.name).glob("*"))


def _json(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """Mostly by its structure."""
    value = parse(case)
    if value is None or not rng.randrange(4):
        return mutate_bytes(rng, case, others)
    return dump(mutate_json(rng, value, [parse(rng.choice(others))]))


def _lines(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
    """JSON Lines: some of them by their structure, or the order of all."""
    lines = case.split(b"\n")
    if rng.randrange(3):
        at = rng.randrange(len(lines))
        lines[at] = _json(rng, lines[at], lines)
        return b"\n".join(lines)
    return mutate_bytes(rng, case, others)


def _devices(*, is_encrypted: bool) -> list[bytes]:
    from tests.fuzz.devices import take_apart

    names = ("good",) if is_encrypted else ("good", "interrupted-and-not-sealed", "path-hidden-in-base64")
    recipes = [take_apart(GOLDEN / name, is_encrypted=is_encrypted) for name in names]
    recipes.append(recipes[0] | {"signed": True})
    recipes.append(recipes[0] | {"seal": {"none": True}})
    return [json.dumps(recipe, separators=(",", ":")).encode() for recipe in recipes]


def _device_target(name: str, reading: str, *, is_encrypted: bool) -> Target:
    def run(case: bytes) -> str:
        from tests.fuzz import reading as readings

        return str(getattr(readings, reading)(case))

    def mutate(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
        from tests.fuzz.devices import mutate_recipe

        return mutate_recipe(rng, case, others)

    return Target(name, partial(_devices, is_encrypted=is_encrypted), mutate, run)


_ALL = (
    Target(
        "device-json",
        lambda: [*golden("DEVICE.json"), papers.encrypted_device_json()],
        _json,
        papers.read_device,
    ),
    Target("seal-json", lambda: golden("SEAL.json"), _json, papers.read_seal),
    Target("segment", contents.segments, mutate_bytes, contents.read_segment),
    Target(
        "segment-inside",
        contents.segment_lines,
        _lines,
        lambda case: contents.read_segment(crafting.segment_of(case)),
    ),
    Target("frame", contents.stored_frames, mutate_bytes, contents.read_frame),
    Target("seek-table", contents.seek_tables, mutate_bytes, contents.read_seek_table),
    Target("age", seals.age_files, seals.age, seals.read_age),
    Target("age-inside", seals.age_recipes, each_part(2, mutate_bytes), seals.read_age_inside),
    Target("job-key", seals.job_keys, mutate_bytes, seals.read_job_key),
    Target("job-key-code", seals.code_locked, mutate_bytes, seals.read_code_locked),
    Target("sshsig", seals.signatures, mutate_bytes, seals.read_signature),
    Target(
        "sshsig-inside",
        seals.signature_blobs,
        seals.signature_fields,
        lambda case: seals.read_signature(crafting.armored(case)),
    ),
    Target("allowed-signers", seals.signers_texts, mutate_bytes, seals.read_signers),
    Target(
        "custody",
        lambda: [joined([DEVICE_JSON, crafting.custody_log(DEVICE_JSON)])],
        each_part(2, _lines),
        papers.read_custody,
    ),
    Target("custody-inside", lambda: [crafting.custody_log(DEVICE_JSON)], _lines, papers.read_custody_inside),
    Target("certificate", papers.certificates, _json, papers.read_certificate),
    Target(
        "certificate-entries",
        lambda: [*map(compressed, papers.entries_lines()), inflating(b"", b"\0"), inflating(b"{", b" ")],
        mutate_bytes,
        papers.read_certificate_entries,
    ),
    Target(
        "certificate-entries-inside",
        papers.entries_lines,
        _lines,
        lambda case: papers.read_certificate_entries(compressed(case)),
    ),
    Target("tracking", papers.tracking_records, _json, papers.read_tracking),
    Target("faults", papers.fault_records, _json, papers.read_faults),
    _device_target("device", "look_at", is_encrypted=False),
    _device_target("device-encrypted", "look_at", is_encrypted=True),
    _device_target("import", "bring_in", is_encrypted=False),
)
TARGETS = {target.name: target for target in _ALL}
