"""Records that are needed later, kept on temporary disk in the order in which they came by: so the manifest
is read once, and memory does not grow with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import msgspec

from transfer.core.merge import SpottedRecord
from transfer.core.records import AnyRecord, Entry
from transfer.formats.segment import encode_line

_decoder = msgspec.json.Decoder(AnyRecord)


class Spool:
    """The records of one unit.

    Args:
        age: of the unit; it is the first number of the spot of every record that is given back.
    """

    def __init__(self, age: int) -> None:
        self._age = age
        self._file = tempfile.TemporaryFile(buffering=1 << 16)  # noqa: SIM115 - see close

    def put(self, record: Entry) -> None:
        """Keep one more."""
        self._file.write(encode_line(record))

    def place(self) -> int:
        """Where the next one will stand."""
        return self._file.tell()

    def go_back(self, place: int) -> None:
        """Forget what was kept from that place on."""
        self._file.seek(place)
        self._file.truncate()

    def records(self) -> Iterator[SpottedRecord]:
        """All that were kept; one reader at a time, and nothing is put meanwhile."""
        self._file.seek(0)
        for number, line in enumerate(self._file):
            record = _decoder.decode(line)
            if isinstance(record, Entry):
                yield record.path_bytes, record, (self._age, number)
        self._file.seek(0, 2)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
