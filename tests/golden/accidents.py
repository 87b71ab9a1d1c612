"""What happens to a disk on its way, and to people who handle several: files changed, lost, mixed up.

Nothing is made to agree afterwards: the seal still lists what was there.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.golden.build import CREATED, OTHER_DEVICE_ID, write_good
from tests.golden.damage import Gallery
from tests.golden.model import Record, seal
from transfer.formats.custody import Entry, Event, digest, encode_entry

accidents = Gallery()
damage = accidents.damage


def _pack(device: Path, number: int) -> Path:
    return device / f"packs/{number:08}.tar.zst"


def _segment(device: Path, number: int) -> Path:
    return device / f"segments/{number:08}.jsonl.zst"


def _cut(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def _swap(first: Path, second: Path) -> None:
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def _other_device(name: str) -> bytes:
    """A file of another device, written alike."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "device")
        write_good(other, OTHER_DEVICE_ID)
        seal(other)
        return (other / name).read_bytes()


def custody_lines(device: Path) -> list[bytes]:
    """The lines of a custody log of the device; the good one has none."""
    lines: list[bytes] = []
    events: tuple[Event, ...] = ("prepared", "copied", "sealed", "handed-over")
    for number, event in enumerate(events):
        entry = Entry(
            number=number,
            time=CREATED,
            host="golden",
            who="somebody",
            event=event,
            seal_blake3=digest((device / "SEAL.json").read_bytes()) if number > 1 else "",
            previous=digest(lines[-1] if lines else (device / "DEVICE.json").read_bytes()),
            note="",
        )
        lines.append(encode_entry(entry))
    return lines


def _log(device: Path, lines: list[bytes]) -> None:
    (device / "CUSTODY.jsonl").write_bytes(b"".join(lines))


@damage("custody-invalid")
def custody_edited(device: Path) -> None:
    """Another name stands in line 2 of the custody log."""
    lines = custody_lines(device)
    _log(device, [lines[0], lines[1].replace(b"somebody", b"nobody"), *lines[2:]])


@damage("custody-invalid")
def custody_without_a_line(device: Path) -> None:
    """Line 3 of the custody log is gone."""
    lines = custody_lines(device)
    _log(device, [*lines[:2], *lines[3:]])


@damage("custody-invalid")
def custody_with_unknown_field(device: Path) -> None:
    """The last line of the custody log has a field that the format does not know."""
    lines = custody_lines(device)
    _log(device, [*lines[:-1], lines[-1].replace(b"}", b',"more":1}')])


@damage("custody-invalid")
def custody_of_another_device(device: Path) -> None:
    """The custody log is that of another device."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "device")
        write_good(other, OTHER_DEVICE_ID)
        seal(other)
        _log(device, custody_lines(other))


@damage("pack-altered", "pack-altered frame-damaged")
def flipped_byte_in_pack(device: Path) -> None:
    """One bit of pack 1 is another."""
    _flip(_pack(device, 1), 150)


@damage("pack-altered", "pack-altered")
def flipped_byte_in_seek_table(device: Path) -> None:
    """One bit of the seek table of pack 1 is another."""
    _flip(_pack(device, 1), -12)


@damage("pack-truncated", "pack-truncated frame-damaged")
def truncated_pack(device: Path) -> None:
    """Pack 1 ends in the middle."""
    _cut(_pack(device, 1), 500)


@damage("pack-missing")
def missing_pack(device: Path) -> None:
    """Pack 1 is gone."""
    _pack(device, 1).unlink()


@damage("pack-extra")
def extra_pack(device: Path) -> None:
    """A pack 4 is there that was never sealed."""
    _pack(device, 4).write_bytes(_pack(device, 3).read_bytes())


@damage("pack-swapped", "pack-swapped frame-damaged content-altered")
def swapped_packs(device: Path) -> None:
    """Packs 1 and 2 have each other's names."""
    _swap(_pack(device, 1), _pack(device, 2))


@damage("pack-altered", "pack-altered frame-damaged")
def pack_of_another_device(device: Path) -> None:
    """Pack 3 was replaced by one that does not belong here."""
    _pack(device, 3).write_bytes(_pack(device, 2).read_bytes()[:-1] + b"\0")


@damage("segment-altered segment-invalid")
def segment_cut_short(device: Path) -> None:
    """Segment 1 ends in the middle."""
    _cut(_segment(device, 1), 600)


@damage("segment-altered segment-invalid")
def segment_without_its_last_byte(device: Path) -> None:
    """Segment 1 lacks one byte of its last checksum: all records are there."""
    _cut(_segment(device, 1), -1)


@damage("segment-altered segment-invalid")
def flipped_byte_in_segment(device: Path) -> None:
    """One bit of segment 2 is another."""
    _flip(_segment(device, 2), 800)


@damage("segment-missing")
def missing_segment(device: Path) -> None:
    """Segment 1 is gone."""
    _segment(device, 1).unlink()


@damage("segment-altered segment-invalid")
def segment_of_another_device(device: Path) -> None:
    """Segment 1 is that of another device."""
    _segment(device, 1).write_bytes(_other_device("segments/00000001.jsonl.zst"))


@damage("segment-altered segment-invalid")
def swapped_segments(device: Path) -> None:
    """Segments 1 and 2 have each other's names."""
    _swap(_segment(device, 1), _segment(device, 2))


@damage("segment-extra segment-invalid")
def extra_segment(device: Path) -> None:
    """A segment 4 is there that was never sealed; it is a copy of segment 3."""
    _segment(device, 4).write_bytes(_segment(device, 3).read_bytes())


@damage("seal-invalid")
def seal_cut_short(device: Path) -> None:
    """SEAL.json ends in the middle."""
    _cut(device / "SEAL.json", 1000)


@damage("seal-foreign")
def seal_of_another_device(device: Path) -> None:
    """SEAL.json is that of another device."""
    (device / "SEAL.json").write_bytes(_other_device("SEAL.json"))


@damage("seal-invalid")
def seal_of_unknown_version(device: Path) -> None:
    """SEAL.json has format version 2."""
    seal(device, lambda document: document.update(format_version=2))


@damage("seal-disagrees", "seal-disagrees frame-damaged content-altered seek-table")
def seal_lists_a_pack_of_another_device(device: Path) -> None:
    """Pack 1 and its line in the seal are of another device; the segment tells of the one that was here."""
    _pack(device, 1).write_bytes(_pack(device, 2).read_bytes())
    seal(device)


@damage("seal-invalid")
def seal_without_a_pack(device: Path) -> None:
    """SEAL.json lists one pack less than segments."""
    seal(device, lambda document: document["packs"].pop())


@damage("seal-invalid")
def seal_without_the_script(device: Path) -> None:
    """SEAL.json does not list recover.sh."""
    seal(device, lambda document: document["files"].pop())


@damage("seal-disagrees")
def seal_with_wrong_totals(device: Path) -> None:
    """SEAL.json counts no failed entry, there is one."""
    seal(device, lambda document: document["totals"].update(failed=0))


@damage("stranger")
def partial_pack_left(device: Path) -> None:
    """A pack that was never finished lies on the sealed device."""
    (device / "packs/00000004.tar.zst.partial").write_bytes(_pack(device, 3).read_bytes()[:100])


@damage("stranger")
def partial_seal_left(device: Path) -> None:
    """A seal that was never finished lies beside the seal."""
    (device / "SEAL.json.partial").write_bytes(b"{")


@damage("stranger")
def stranger_among_segments(device: Path) -> None:
    """A file that nobody knows lies among the segments."""
    (device / "segments/notes.txt").write_bytes(b"remember\n")


@damage("file-altered")
def script_altered(device: Path) -> None:
    """recover.sh is not the one that was sealed."""
    with open(device / "recover.sh", "ab") as script:
        script.write(b"# one line more\n")


@damage("file-missing")
def script_missing(device: Path) -> None:
    """recover.sh is gone."""
    (device / "recover.sh").unlink()


@damage("device-invalid")
def device_of_unknown_version(device: Path) -> None:
    """DEVICE.json has format version 2."""
    _change_device(device, {"format_version": 2})


@damage("device-invalid")
def device_with_unknown_field(device: Path) -> None:
    """DEVICE.json has a field that version 1 does not know."""
    _change_device(device, {"recipients": []})


@damage("device-invalid")
def device_with_an_odd_chunk_size(device: Path) -> None:
    """DEVICE.json has a chunk size that is no power of two."""
    _change_device(device, {"chunk_size_bytes": 100_000})


def _change_device(device: Path, fields: Record) -> None:
    path = device / "DEVICE.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields, indent=2) + "\n")
    (device / "SEAL.json").unlink()
    seal(device)


@damage("uncommitted incomplete")
def interrupted_and_not_sealed(device: Path) -> None:
    """Nothing is damaged: the copy was interrupted, pack 2 was never committed, there is no seal."""
    for path in (_segment(device, 2), _segment(device, 3), _pack(device, 3), device / "SEAL.json"):
        path.unlink()
