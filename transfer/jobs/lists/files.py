"""Lists of files in one stream: for b3sum, and as a bill of materials. The newest version of each alone."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.core.names import POSIX, NameMapper
from transfer.device.path_table import PathTable
from transfer.formats.b3sum_list import b3sum_line, b3sum_problem
from transfer.formats.bill_of_materials import bom_closing, bom_line, bom_opening
from transfer.formats.documents import DeviceDocument
from transfer.jobs.comparing.originals import Content
from transfer.jobs.lists.options import Listed
from transfer.jobs.lists.view import Item

LOST = "the device does not tell its content"


def b3sum_list(items: Iterator[Item], listed: Listed, table: PathTable) -> Iterator[bytes]:
    """Lines for `b3sum --check` in the folder that the device is restored into.

    Args:
        items: by path.
        listed: counts.
        table: of its own, for the names of objects.
    """
    names = NameMapper(POSIX, table)
    for item in items:
        if item.marker is not None or not item.is_latest:
            continue
        is_folder = item.facts is not None and item.path.endswith(b"/") and _is_empty(item)
        path = item.path if item.facts is None else names.assign(item.path, is_folder=is_folder)
        if is_folder or item.is_folder:
            continue
        problem = LOST if item.content is None else b3sum_problem(path)
        if item.content is None or problem:
            listed.leave_out(item.path, problem)
        else:
            _count(listed, item.content)
            yield b3sum_line(item.content.blake3, path)


def bill_of_materials(
    items: Iterator[Item], listed: Listed, document: DeviceDocument, seal_blake3: str
) -> Iterator[bytes]:
    """The pieces of a bill of materials.

    Args:
        items: by path.
        listed: counts.
        document: of the device.
        seal_blake3: of its seal; empty where there is none.
    """
    yield bom_opening(
        device_id=document.device_id, job=document.job, ordinal=document.ordinal, seal_blake3=seal_blake3
    )
    for item in items:
        if item.marker is not None or item.is_folder or not item.is_latest:
            continue
        if item.content is None:
            listed.leave_out(item.path, LOST)
            continue
        _count(listed, item.content)
        content = item.content
        yield bom_line(
            item.path, size_bytes=content.size_bytes, crc64nvme=content.crc64nvme, blake3=content.blake3
        )
    yield bom_closing(files=listed.lines, size_bytes=listed.content_bytes)


def _count(listed: Listed, content: Content) -> None:
    listed.lines += 1
    listed.content_bytes += content.size_bytes


def _is_empty(item: Item) -> bool:
    return item.content is not None and not item.content.size_bytes
