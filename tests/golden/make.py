"""`python -m tests.golden.make` writes the golden devices and schemas of manifests/ anew, byte for byte.

The bytes of frames depend on the version of the zstd library; README.md beside the devices names the one that
made them. Everything else depends on nothing but this repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import zstandard

from tests.golden.accidents import accidents
from tests.golden.build import write_good
from tests.golden.damage import Damage
from tests.golden.encrypted import write_encrypted
from tests.golden.export import write_export
from tests.golden.model import seal
from tests.golden.schemas import schemas
from tests.golden.signatures import allowed_signers, signatures
from tests.golden.tampering import tampering

MANIFESTS = Path(__file__).parents[2] / "manifests"
GOLDEN, SCHEMAS = MANIFESTS / "golden", MANIFESTS / "schemas"
ENCRYPTED = MANIFESTS / "golden-encrypted"
EXPORT = MANIFESTS / "golden-export"
DAMAGES = [*accidents.damages, *tampering.damages, *signatures.damages]
SIGNERS = "allowed_signers"
ZSTD_VERSION = ".".join(map(str, zstandard.ZSTD_VERSION))

_HEAD = """# Golden devices

Small devices as FORMAT.md describes them: `good`, and copies of it that are damaged, each named for its
damage. Other readers of the format are welcome to them: `transfer verify` finds exactly what the tables say,
with exit code 4, and nothing in `good`. A dash means that this way of looking does not find it. Neither a
listing nor any other command may crash, hang or use much memory on any of them.

`make golden` writes them anew. Their bytes are always the same for one version of the zstd library; these
come from zstd {version}.

`good` has four packs in two runs: a large file over three packs behind a voided attempt, small files, an
empty one, one whose name is not UTF-8, one with extended attributes, folders, an empty one, a hard link, a
symbolic link, a skipped and a failed entry; in the second run a changed file, and a folder that became a
file.
"""


def write_golden(root: Path) -> None:
    """Write the README and all devices into an empty folder."""
    (root / "README.md").write_text(_readme())
    (root / SIGNERS).write_text(allowed_signers())
    write_good(root / "good")
    seal(root / "good")
    for damage in DAMAGES:
        device = root / damage.name
        shutil.copytree(root / "good", device)
        damage.apply(device)


def _readme() -> str:
    return "\n".join(
        [
            _HEAD.format(version=ZSTD_VERSION),
            "## Accidents\nFiles changed, lost or mixed up; the seal lists what was there.\n",
            *_table(accidents.damages),
            "\n## Tampering\nDigests, counts and seal agree; one rule is broken.\n",
            *_table(tampering.damages),
            f"\n## Signatures\nFound by `verify --signers {SIGNERS}`, with the file beside this one.\n",
            *_table(signatures.damages),
            "",
        ]
    )


def _table(damages: list[Damage]) -> list[str]:
    rows = [f"| `{d.name}` | {d.what} | {_codes(d.fast)} | {_codes(d.deep)} |" for d in damages]
    return ["| device | what is wrong | verify | verify --deep |", "|---|---|---|---|", *rows]


def _codes(codes: frozenset[str]) -> str:
    return ", ".join(f"`{code}`" for code in sorted(codes)) or "-"


def main() -> None:
    """Replace what is in manifests/."""
    for folder in (GOLDEN, ENCRYPTED, EXPORT, SCHEMAS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    write_golden(GOLDEN)
    write_encrypted(ENCRYPTED)
    write_export(EXPORT)
    for name, data in schemas().items():
        (SCHEMAS / name).write_bytes(data)


if __name__ == "__main__":
    main()
