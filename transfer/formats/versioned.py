"""What all JSON documents with a version share: the size limit, the version first, strict types."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from transfer.errors import FormatError

Document = TypeVar("Document", bound=Struct)


class _Versioned(Struct):
    """Just enough of a document to learn its version; both required: the defaults are for writers."""

    format: str
    format_version: int


_version_decoder = msgspec.json.Decoder(_Versioned)


class DocumentReader(Generic[Document]):
    """Reads documents of one kind; made at import: msgspec must not build a type's decoder in two threads."""

    def __init__(self, kind: type[Document], *, version: int, limit_bytes: int) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._version = version
        self._limit_bytes = limit_bytes

    def decode(self, text: bytes, where: str) -> Document:
        """A document from its bytes.

        Raises:
            FormatError: naming `where`, the field and what is wrong.
        """
        if len(text) > self._limit_bytes:
            raise FormatError(f"{where} is larger than {self._limit_bytes} bytes")
        try:
            version = _version_decoder.decode(text).format_version
            if version != self._version:
                raise FormatError(
                    f"{where} has format version {version}; this program reads version {self._version}",
                    remedy="use a newer release of transfer",
                )
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{where}: {error}") from None
