"""The bytes of an object, or of a range of one, as they come in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from transfer.stores.contract import ObjectInfo
from transfer.stores.read_into import ReceiveInto

if TYPE_CHECKING:
    from aiohttp import ClientResponse

    from transfer.stores.http import HttpTransport


def range_header(offset_bytes: int, length_bytes: int | None) -> dict[str, str]:
    """The `Range` (RFC 9110 §14.2) for these bytes; none for a whole object, which may be empty.

    Raises:
        ValueError: a range that no header can say.
    """
    if offset_bytes < 0 or (length_bytes is not None and length_bytes < 1):
        raise ValueError(f"{length_bytes} bytes from {offset_bytes}")
    if length_bytes is not None:
        return {"range": f"bytes={offset_bytes}-{offset_bytes + length_bytes - 1}"}
    return {"range": f"bytes={offset_bytes}-"} if offset_bytes else {}


class S3Body:
    """An answer to a GET; ends early only with an error, since S3 states the length."""

    def __init__(self, info: ObjectInfo, response: ClientResponse, transport: HttpTransport) -> None:
        self.info = info
        self._response = response
        self._transport = transport
        self.receive_into: ReceiveInto | None = getattr(response, "receive_into", None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._transport.stream(self._response)
