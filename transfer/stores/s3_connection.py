"""One bucket's requests: signed, sent, and their answers judged. What the requests mean is decided in s3.py.

Guarantees: what is signed is what is sent, byte for byte; an answer that tells of an error is raised as one,
also where it came with status 200 (S3 commits to a status before it copies or assembles); expired credentials
are renewed and the request sent once more; no error repeats credentials, whatever the endpoint says. All
other retries are left to `stores.retrying`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from transfer.core import sigv4
from transfer.core.retry import Verdict, classify
from transfer.stores.checksums import size_of
from transfer.stores.concealing import Concealer
from transfer.stores.contract import Buffers
from transfer.stores.credentials import CredentialSource
from transfer.stores.endpoint import Endpoint
from transfer.stores.s3_errors import Answer, error_code, to_error, unreadable
from transfer.stores.xml import MAX_DOCUMENT_BYTES, Element, XmlError, parse

if TYPE_CHECKING:  # which transport it is, and what that needs, is for whoever opens a store
    from aiohttp import ClientResponse

    from transfer.stores.http import HttpTransport

MAX_ERROR_BYTES = 64 * 1024
_SMALL_BYTES = 256 * 1024  # below it a digest is quicker than a change of threads
_SIGNED = ("x-amz-", "content-md5", "content-type")  # what must be, and what no proxy has a reason to change


class Request(Struct, frozen=True):
    """One request to the bucket or, with a key, to an object.

    Attributes:
        headers: names in lower case.
    """

    method: str
    key: str = ""
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] | None = None
    body: Buffers = ()

    def describe(self, endpoint: Endpoint) -> str:
        """Method and place, for people."""
        return f"{self.method} s3://{endpoint.bucket}/{self.key}"


class S3Connection:
    """Signs and sends requests for one bucket."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: CredentialSource,
        transport: HttpTransport,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.endpoint = endpoint
        self.transport = transport
        self._credentials = credentials
        self._now = now
        self._concealer = Concealer()

    async def send(self, request: Request) -> ClientResponse:
        """Send a request; the answer, one of success, is to be used in `async with`.

        Raises:
            TransferError: as `s3_errors.to_error` and `HttpTransport.request` say.
        """
        with self._concealer.guarding():
            return await self._send(request)

    async def _send(self, request: Request) -> ClientResponse:
        renewable = True
        while True:
            url, headers = await self._signed(request)
            response = await self.transport.request(request.method, url, headers, request.body)
            if response.status < 300:
                return response
            async with response:
                body = await self.transport.read(response, MAX_ERROR_BYTES) or b""
                answer = Answer(response.status, response.headers, body)
            if not (renewable and _expired(request, answer) and await self._credentials.renew()):
                raise to_error(answer, self.endpoint, request.describe(self.endpoint))
            renewable = False

    async def ask(self, request: Request) -> tuple[Element, Mapping[str, str]]:
        """Send a request that is answered in XML; the document and the headers.

        Raises:
            TransferError: as `send`, and where the document tells of an error or is not one of S3.
        """
        with self._concealer.guarding():
            return await self._ask(request)

    async def _ask(self, request: Request) -> tuple[Element, Mapping[str, str]]:
        async with await self._send(request) as response:
            document = await self.transport.read(response, MAX_DOCUMENT_BYTES)
            headers, status = response.headers, response.status
        doing = request.describe(self.endpoint)
        if document is None:
            raise unreadable(doing, self.endpoint, f"more than {MAX_DOCUMENT_BYTES:,} bytes")
        try:
            root = parse(document)
        except XmlError as error:
            raise unreadable(doing, self.endpoint, error) from None
        if root.name == "Error":
            raise to_error(Answer(status, headers, document), self.endpoint, doing)
        return root, headers

    async def _signed(self, request: Request) -> tuple[str, dict[str, str]]:
        """The URL and all headers of a request."""
        endpoint = self.endpoint
        path = endpoint.path(request.key)
        query = sigv4.encode_query(request.query) if request.query else ""
        headers = dict(request.headers or {})
        url = f"{endpoint.origin}{path}?{query}" if query else endpoint.origin + path
        credentials = await self._credentials.current()
        if credentials is not None:
            self._concealer.learn(credentials)
            to_sign = {name: headers[name] for name in headers if name.startswith(_SIGNED)}
            to_sign["host"] = endpoint.host
            payload = await self._payload_hash(request.body)
            headers |= sigv4.signed_headers(
                request.method, path, query, to_sign, payload,
                credentials=credentials, region=endpoint.region, now=self._now(),
            )  # fmt: skip
        headers["host"] = endpoint.host
        return url, headers

    async def _payload_hash(self, body: Buffers) -> str:
        if not self.endpoint.signs_payload:
            return sigv4.UNSIGNED_PAYLOAD
        return (await digest(body, "sha256")).hex() if body else sigv4.EMPTY_SHA256


async def digest(body: Buffers, algorithm: str) -> bytes:
    """The digest of the buffers end to end; of large ones in a thread."""
    if size_of(body) < _SMALL_BYTES:
        return _digest(body, algorithm)
    return await asyncio.to_thread(_digest, body, algorithm)


def _digest(body: Buffers, algorithm: str) -> bytes:
    hasher = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    for buffer in body:
        hasher.update(buffer)
    return hasher.digest()


def _expired(request: Request, answer: Answer) -> bool:
    """Whether the credentials were called expired; a HEAD has no words for it but a bare 400."""
    if request.method == "HEAD":
        return answer.status == 400
    return classify(answer.status, error_code(answer)) is Verdict.REFRESH_CREDENTIALS
