"""S3's listings, which come in pages: the next page is asked for when the one before is used up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_errors import unreadable
from transfer.stores.xml import Element


async def pages(
    connection: S3Connection, query: Mapping[str, str], markers: Mapping[str, str], *, key: str = ""
) -> AsyncIterator[Element]:
    """All pages of one listing.

    Args:
        connection: of the bucket.
        query: of the first page; empty values are left out where S3 gives them no meaning.
        markers: the elements that say where the next page begins, with the parameters that ask for it.
        key: of the object, where its parts are listed.

    Raises:
        StoreError: a page says that there are more, but not where, or the same place again.
    """
    asked = {name: value for name, value in query.items() if value or name == "uploads"}
    while True:
        request = Request("GET", key, query=[*asked.items()])
        page, _ = await connection.ask(request)
        yield page
        if page.value("IsTruncated") != "true":
            return
        following = {parameter: page.value(element) for element, parameter in markers.items()}
        if not any(following.values()) or following.items() <= asked.items():
            doing = request.describe(connection.endpoint)
            raise unreadable(doing, connection.endpoint, "a listing that does not go on")
        asked |= following
