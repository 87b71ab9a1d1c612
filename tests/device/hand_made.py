"""Small devices made by hand, for tests of the recovery with stock tools.

They come from tarfile's headers and the zstd program, so that no code of this project can hide an error of
its own. What a segment says beyond what recover.sh reads is left out.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.tools import require_tool
from transfer.device.recovery import recover_script

MTIME = 1_000_000_000
END_OF_ARCHIVE = bytes(1024)


@dataclass(frozen=True)
class Pack:
    """The tar bytes of one pack, in frames, and what its segment says of them."""

    frames: tuple[bytes, ...]
    starts: bool = True
    ends: bool = True
    run: int = 1


def member(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime, info.pax_headers = kind, len(content), MTIME, pax or {}
    info.mode = 0o750 if kind == tarfile.DIRTYPE else 0o640
    header = info.tobuf(tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
    return header + content + bytes(-len(content) % 512)


LARGE = bytes(i * 7 % 251 for i in range(300_000))
LARGE_MEMBER = member("dir/large", LARGE)
# Groups: 0 | 1 2 3 | 4. The large file runs over three packs; the second run brings one file anew.
PACKS = (
    Pack((member("a", b"old"), member("b", b"b" * 700))),
    Pack((member("dir/", kind=tarfile.DIRTYPE) + member("dir/c", b"c"), LARGE_MEMBER[:512]), ends=False),
    Pack((LARGE_MEMBER[512:100_512], LARGE_MEMBER[100_512:200_512]), starts=False, ends=False),
    Pack((LARGE_MEMBER[200_512:], member("e", b"e")), starts=False),
    Pack((member("a", b"new"), member("f", b"f")), run=2),
)
LEFT_BY = {
    0: {"a": b"new", "dir/c": b"c", "dir/large": LARGE, "e": b"e", "f": b"f"},
    1: {"a": b"new", "b": b"b" * 700, "f": b"f"},
    2: {"a": b"new", "b": b"b" * 700, "f": b"f"},
    3: {"a": b"new", "b": b"b" * 700, "f": b"f"},
    4: {"a": b"old", "b": b"b" * 700, "dir/c": b"c", "dir/large": LARGE, "e": b"e"},
}
ALL = LEFT_BY[0] | LEFT_BY[1]
RANGE_OF = dict.fromkeys((1, 2, 3), "00000001 to 00000003")
RANGE_OF |= {number: f"{number:08} to {number:08}" for number in (0, 4)}
SHELLS = [("dash",), ("busybox", "sh"), ("bash", "--posix")]


@cache
def zstd(content: bytes) -> bytes:
    command = [require_tool("zstd"), "-qc", "--check", f"--stream-size={len(content)}"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def pack_bytes(pack: Pack) -> bytes:
    """FORMAT.md §7: the frames, the end-of-archive where a member ends, the seek table."""
    contents = [*pack.frames, *([END_OF_ARCHIVE] if pack.ends else [])]
    frames = [zstd(content) for content in contents]
    rows = [
        struct.pack("<II", len(frame), len(content)) for frame, content in zip(frames, contents, strict=True)
    ]
    table = b"".join(rows) + struct.pack("<IBI", len(rows), 0, 0x8F92EAB1)
    return b"".join(frames) + struct.pack("<II", 0x184D2A5E, len(table)) + table


def segment_bytes(number: int, pack: Pack) -> bytes:
    header = {
        "kind": "segment",
        "sequence": number,
        "run": pack.run,
        "source": '/data "starts_with_member":true "ends_with_member":true "pack_size_bytes":1',
        "starts_with_member": pack.starts,
        "ends_with_member": pack.ends,
        "pack_size_bytes": len(pack_bytes(pack)),
    }
    records = b'{"kind":"end"}\n' * 20_000  # more than a pipe holds: reading the first line ends zstd early
    return zstd(json.dumps(header, separators=(",", ":")).encode() + b"\n") + zstd(records)


def pack_path(device: Path, number: int) -> Path:
    return device / f"packs/{number:08}.tar.zst"


def segment_path(device: Path, number: int) -> Path:
    return device / f"segments/{number:08}.jsonl.zst"


def make_device(device: Path, packs: tuple[Pack, ...] = PACKS, *, sealed: bool = True) -> Path:
    (device / "packs").mkdir(parents=True)
    (device / "segments").mkdir()
    (device / "recover.sh").write_bytes(recover_script())
    (device / "DEVICE.json").write_text("{}")
    for number, pack in enumerate(packs):
        pack_path(device, number).write_bytes(pack_bytes(pack))
        segment_path(device, number).write_bytes(segment_bytes(number, pack))
    if sealed:
        names = [{"name": f"{n:08}.tar.zst", "size_bytes": 1} for n in range(len(packs))]
        (device / "SEAL.json").write_text(json.dumps({"job": "00000009.tar.zst", "packs": names}))
    return device


def recover(
    device: Path,
    *arguments: str | Path,
    shell: tuple[str, ...] = ("dash",),
    tar: str = "tar",
    path: str | None = None,
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TAR": require_tool(tar)} | ({"PATH": path} if path is not None else {})
    return subprocess.run(
        [require_tool(shell[0]), *shell[1:], device / "recover.sh", *arguments],
        env=environment,
        cwd=device,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def state(root: Path) -> dict[Path, tuple[bytes, int]]:
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
