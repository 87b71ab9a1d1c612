"""The job: checks the manifest against its digests and the seal, and writes the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from transfer.core.progress import Progress
from transfer.device.path_table import PathTable
from transfer.errors import IntegrityError, UsageError
from transfer.jobs.comparing.originals import Originals
from transfer.jobs.import_.arrival import Arrival, receive
from transfer.jobs.lists.files import b3sum_list, bill_of_materials
from transfer.jobs.lists.inventory import address_of, write_inventory
from transfer.jobs.lists.options import Listed, ListFormat, ListOptions
from transfer.jobs.lists.output import NewFile
from transfer.jobs.lists.view import Item, View
from transfer.jobs.verify.findings import Finding

_STEP = 2000
"""Entries between two looks at progress."""

Observer = Callable[[Progress], None]
Write = Callable[[bytes], object]


def write_list(
    root: str, output: str | None, options: ListOptions, observe: Observer, write: Write | None = None
) -> Listed:
    """Write a list of what a device holds.

    Args:
        root: of the device.
        output: the file, or of an inventory the folder; None: it goes to `write`.
        options: of the list.
        observe: told how far it is.
        write: takes the pieces of a list that has no file.

    Raises:
        UsageError: the output is taken, or the options make no sense.
        DeviceError: there is no device, or it is not sealed.
        IntegrityError: its manifest is not whole, or not what was sealed; nothing was written.
        AccessError: it is encrypted, and nothing was given that opens it.
        TransferError: the disk refused.
    """
    defects: list[Finding] = []
    arrival = _receive(root, options, defects)
    listed = Listed(options.format.value, defects=defects, seal_blake3=arrival.seal_blake3)
    with ExitStack() as stack:
        originals = Originals(stack.enter_context(PathTable()))
        originals.find(arrival.manifest)
        view = View(arrival.manifest, originals)
        items = _observed(view.items(), listed, observe)
        if options.format is ListFormat.INVENTORY:
            if output is None:
                raise UsageError("an inventory is several files", remedy="say --output FOLDER")
            address = address_of(arrival.manifest.headers, options)
            write_inventory(output, items, listed, address, overwrite=options.overwrite)
        else:
            pieces = _pieces(items, listed, arrival, options.format, stack.enter_context(PathTable()))
            _put(pieces, output, options, write)
        listed.not_on_device = view.not_on_device
    return listed


def _receive(root: str, options: ListOptions, defects: list[Finding]) -> Arrival:
    """The device, with all of its manifest: a list that lacks entries in silence would prove too much."""
    arrival = receive(root, options.incomplete, defects.append, options.keys, options.signers)
    seal = arrival.files.seal
    expected = len(arrival.files.segments) if seal is None else len(seal.segments)
    if len(arrival.manifest.headers) != expected:
        raise IntegrityError(
            f"the manifest of {root} is not whole: {defects[0] if defects else ''}",
            remedy="run `transfer verify` for the whole picture",
        )
    return arrival


def _pieces(
    items: Iterator[Item], listed: Listed, arrival: Arrival, form: ListFormat, table: PathTable
) -> Iterator[bytes]:
    if form is ListFormat.B3SUM:
        return b3sum_list(items, listed, table)
    return bill_of_materials(items, listed, arrival.device.document, arrival.seal_blake3)


def _put(pieces: Iterator[bytes], output: str | None, options: ListOptions, write: Write | None) -> None:
    if output is None:
        for piece in pieces:
            if write is not None:
                write(piece)
        return
    with NewFile(output, overwrite=options.overwrite) as file:
        for piece in pieces:
            file.write(piece)
        file.finish()


def _observed(items: Iterator[Item], listed: Listed, observe: Observer) -> Iterator[Item]:
    for number, item in enumerate(items, start=1):
        yield item
        if number % _STEP == 0:
            observe(Progress("list", listed.lines, listed.content_bytes, current_path=item.path))
    observe(Progress("list", listed.lines, listed.content_bytes))
