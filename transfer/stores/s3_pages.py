"""S3's listings, which come in pages: the next page is asked for when the one before is used up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, TypeVar
from urllib.parse import unquote_plus

from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_errors import unreadable
from transfer.stores.xml import Element, XmlError

T = TypeVar("T")

WORDS: Final = frozenset({"uploads", "versions"})
"""Parameters that say what is asked for, without a value."""


async def pages(
    connection: S3Connection,
    query: Mapping[str, str],
    markers: Mapping[str, str],
    read: Callable[[Element], Iterable[T]],
    *,
    root: str = "",
    key: str = "",
) -> AsyncIterator[list[T]]:
    """What all pages of one listing tell, page by page.

    Args:
        connection: of the bucket.
        query: of the first page; empty values are left out where S3 gives them no meaning.
        markers: the elements that say where the next page begins, with the parameters that ask for it.
        read: what a page tells; raises XmlError or UnicodeError where it is none of S3.
        root: the name the document must have, if any: a store that does not know what it was asked for
            answers something else, which must not pass for an empty listing.
        key: of the object, where its parts are listed.

    Raises:
        StoreError: a page is not one of that listing, or says that there are more, but not where, or the same
            place again.
    """
    asked = {name: value for name, value in query.items() if value or name in WORDS}
    while True:
        request = Request("GET", key, query=[*asked.items()])
        page, _ = await connection.ask(request)
        doing = request.describe(connection.endpoint)
        if root and page.name != root:
            raise unreadable(doing, connection.endpoint, f"it is {page.name}, not {root}")
        try:
            found = [*read(page)]
            following = {parameter: _marker(page, element) for element, parameter in markers.items()}
        except (XmlError, UnicodeError) as error:
            raise unreadable(doing, connection.endpoint, error) from None
        yield found
        if page.value("IsTruncated") != "true":
            return
        if not any(following.values()) or following.items() <= asked.items():
            raise unreadable(doing, connection.endpoint, "a listing that does not go on")
        asked |= following


def _marker(page: Element, element: str) -> str:
    """Where the next page begins; a key is encoded as those in the page are."""
    text = page.value(element)
    encoded = element == "NextKeyMarker" and page.value("EncodingType") == "url"
    return unquote_plus(text, errors="strict") if encoded else text
