"""What an exported object becomes in the bucket: exactly what export kept of it, nothing added. Pure.

Its user metadata and content headers go back as they were told. Its storage class does where that was asked
for (`--storage-class`); the default one of a store is never asked for by name, as not every store knows it.
"""

from __future__ import annotations

from typing import Final

from transfer.core.object_metadata import ObjectMetadata
from transfer.core.records import Begin, Entry, File, ObjectFacts
from transfer.errors import StoreError, TransferError

KEEP: Final = "keep"
"""`--storage-class`: the class that an object had where it was exported."""
DEFAULT: Final = "default"
"""`--storage-class`: whatever the store does by itself."""

_EVERYWHERE = "STANDARD"
_REFUSED = frozenset({"InvalidStorageClass"})


def facts_of(record: Entry) -> ObjectFacts | None:
    """What a bucket said of an entry; None where it is no object."""
    return record.object if isinstance(record, File | Begin) else None


def class_of(asked: str, told: str = "") -> str | None:
    """The storage class to ask the store for; None: none.

    Args:
        asked: `keep`, `default`, or the name of one.
        told: the class of the object where it was exported.
    """
    if asked == DEFAULT:
        return None
    if asked == KEEP:
        return told if told and told != _EVERYWHERE else None
    return asked


def object_metadata(facts: ObjectFacts, storage_class: str) -> ObjectMetadata:
    """All that the store is to be told of an object, as the bucket that it came from told it."""
    return ObjectMetadata(
        content_type=facts.content_type or None,
        content_encoding=facts.content_encoding or None,
        content_disposition=facts.content_disposition or None,
        content_language=facts.content_language or None,
        cache_control=facts.cache_control or None,
        expires=facts.expires or None,
        website_redirect=facts.website_redirect or None,
        storage_class=class_of(storage_class, facts.storage_class),
        user=facts.user,
        tags=facts.tags,
    )


def refusal(error: TransferError, metadata: ObjectMetadata) -> str:
    """Why an object could not be written; of a class that the store does not have, what to do."""
    if isinstance(error, StoreError) and error.code in _REFUSED and metadata.storage_class:
        return (
            f"the store has no storage class {metadata.storage_class!r:.100}: "
            "--storage-class default leaves it to the store, --storage-class NAME asks for another"
        )
    return str(error)
