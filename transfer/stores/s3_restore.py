"""Archived objects: asking S3 for a readable copy."""

from __future__ import annotations

from transfer.errors import ArchivedError, PreconditionError, StoreError
from transfer.stores.contract import RestoreTier
from transfer.stores.s3_connection import Request, S3Connection


async def request_restore(
    connection: S3Connection, key: str, *, days: int, tier: RestoreTier, version_id: str | None
) -> None:
    """See `Store.request_restore`.

    Raises:
        ValueError: no days.
    """
    if days < 1:
        raise ValueError(f"a restored copy for {days} days")
    document = (
        '<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Days>{days}</Days><GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>"
    ).encode()
    query = [("restore", ""), *([("versionId", version_id)] if version_id else [])]
    request = Request("POST", key, query, {"content-type": "application/xml"}, [document])
    try:
        async with await connection.send(request):
            pass
    except PreconditionError as error:
        if error.code != "RestoreAlreadyInProgress":
            raise
    except ArchivedError as error:  # the same words as for reading one that is
        what = f"{request.describe(connection.endpoint)}: the object is not archived"
        raise StoreError(what, status=error.status, code=error.code) from None
