"""A store that tries again: every idempotent call that failed for a passing reason, after a growing wait.

Which reasons pass is decided by `core.retry.is_transient`, how long to wait by `core.retry.backoff`. A
download that breaks off goes on at the byte it came to, pinned to the same object by its ETag; a listing goes
on behind the last key it gave. `create_upload` is tried again too: a lost answer may leave an empty upload
behind, of which the result tells; `list_uploads` finds it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from transfer.core.object_metadata import NO_METADATA, ObjectMetadata
from transfer.errors import StoreError
from transfer.stores.contract import (
    BegunUpload,
    Buffers,
    Capabilities,
    Checksums,
    CommonPrefixes,
    ListedObject,
    ListedVersion,
    ObjectBody,
    ObjectInfo,
    Part,
    PutResult,
    RestoreTier,
    Store,
    UploadInfo,
    Versioning,
)
from transfer.stores.patience import Patience, RetryPolicy
from transfer.stores.read_into import arriving
from transfer.stores.whole import read_whole

__all__ = ["RetryPolicy", "RetryingStore"]

T = TypeVar("T")


class RetryingStore:
    """Decorates a store; keeps the contract of `stores.contract.Store`."""

    def __init__(self, store: Store, policy: RetryPolicy | None = None) -> None:
        """Take over a store; it is closed with this one."""
        self._store = store
        self._policy = policy or RetryPolicy()

    async def put(
        self,
        key: str,
        body: Buffers,
        *,
        checksums: Checksums,
        metadata: ObjectMetadata = NO_METADATA,
        if_none_match: bool = False,
    ) -> PutResult:
        """See `Store.put`; the same buffers are sent again."""
        return await self._again(
            lambda: self._store.put(
                key, body, checksums=checksums, metadata=metadata, if_none_match=if_none_match
            )
        )

    async def head(self, key: str, *, version_id: str | None = None) -> ObjectInfo:
        """See `Store.head`."""
        return await self._again(lambda: self._store.head(key, version_id=version_id))

    @asynccontextmanager
    async def get(
        self,
        key: str,
        *,
        version_id: str | None = None,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        if_match: str | None = None,
    ) -> AsyncIterator[ObjectBody]:
        """See `Store.get`."""
        async with AsyncExitStack() as stack:

            async def open_at(offset: int, length: int | None, etag: str | None) -> ObjectBody:
                await stack.aclose()
                opened = self._store.get(
                    key, version_id=version_id, offset_bytes=offset, length_bytes=length, if_match=etag
                )
                return await stack.enter_async_context(opened)

            body = await self._again(lambda: open_at(offset_bytes, length_bytes, if_match))
            yield _ResumingBody(body, open_at, self._patience(), offset_bytes, length_bytes)

    async def read_whole(
        self, key: str, *, version_id: str | None, limit_bytes: int
    ) -> tuple[ObjectInfo, bytes | None]:
        """See `stores.whole.read_whole`; what broke off is read anew."""
        return await self._again(
            lambda: read_whole(self._store, key, version_id=version_id, limit_bytes=limit_bytes)
        )

    async def tags(self, key: str, *, version_id: str | None = None) -> Mapping[str, str]:
        """See `Store.tags`."""
        return await self._again(lambda: self._store.tags(key, version_id=version_id))

    async def first_part_size(self, key: str, *, version_id: str | None = None) -> int | None:
        """See `Store.first_part_size`."""
        return await self._again(lambda: self._store.first_part_size(key, version_id=version_id))

    async def delete(self, key: str, *, version_id: str | None = None) -> str | None:
        """See `Store.delete`; a lost answer may leave one delete marker more."""
        return await self._again(lambda: self._store.delete(key, version_id=version_id))

    async def versioning(self) -> Versioning:
        """See `Store.versioning`."""
        return await self._again(self._store.versioning)

    async def common_prefixes(
        self, prefix: str = "", *, delimiter: str = "/", start_after: str = ""
    ) -> CommonPrefixes:
        """See `Store.common_prefixes`."""
        return await self._again(
            lambda: self._store.common_prefixes(prefix, delimiter=delimiter, start_after=start_after)
        )

    async def request_restore(
        self, key: str, *, days: int, tier: RestoreTier = "Standard", version_id: str | None = None
    ) -> None:
        """See `Store.request_restore`."""
        await self._again(
            lambda: self._store.request_restore(key, days=days, tier=tier, version_id=version_id)
        )

    async def versions(
        self, prefix: str = "", *, start_after: str = "", after_version: str = ""
    ) -> AsyncGenerator[ListedVersion]:
        """See `Store.versions`; goes on at a whole key, and leaves out what was given of it before."""
        patience = self._patience()
        key, given = "", set[str]()
        while True:
            listing = self._store.versions(prefix, start_after=start_after, after_version=after_version)
            try:
                async with aclosing(listing):
                    async for item in listing:
                        if item.key != key:
                            start_after, after_version = (key, "") if key else (start_after, after_version)
                            key, given = item.key, set()
                        if item.version_id not in given:
                            patience.reset()
                            given.add(item.version_id)
                            yield item
            except StoreError as error:
                await patience.bear(error)
            else:
                return

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncGenerator[ListedObject]:
        """See `Store.list`."""
        patience = self._patience()
        while True:
            try:
                async with aclosing(self._store.list(prefix, start_after=start_after)) as listing:
                    async for item in listing:
                        patience.reset()
                        start_after = item.key
                        yield item
            except StoreError as error:
                await patience.bear(error)
            else:
                return

    async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
        """See `Store.copy`."""
        return await self._again(lambda: self._store.copy(source_key, key, if_match=if_match))

    async def create_upload(self, key: str, *, metadata: ObjectMetadata = NO_METADATA) -> BegunUpload:
        """See `Store.create_upload`."""
        attempts = 0

        async def create() -> BegunUpload:
            nonlocal attempts
            attempts += 1
            return await self._store.create_upload(key, metadata=metadata)

        begun = await self._again(create)
        return replace(begun, may_have_twin=attempts > 1)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Buffers, *, checksums: Checksums
    ) -> Part:
        """See `Store.put_part`; the same buffers are sent again."""
        return await self._again(
            lambda: self._store.put_part(key, upload_id, number, body, checksums=checksums)
        )

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        *,
        checksums: Checksums,
        if_none_match: bool = False,
    ) -> PutResult:
        """See `Store.complete_upload`."""
        return await self._again(
            lambda: self._store.complete_upload(
                key, upload_id, parts, checksums=checksums, if_none_match=if_none_match
            )
        )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        await self._again(lambda: self._store.abort_upload(key, upload_id))

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        """See `Store.list_parts`; at most 10,000 parts, so they are taken whole or not at all."""
        for part in await self._again(lambda: _all(self._store.list_parts(key, upload_id))):
            yield part

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[UploadInfo]:
        """See `Store.list_uploads`; taken whole or not at all."""
        for upload in await self._again(lambda: _all(self._store.list_uploads(prefix))):
            yield upload

    async def probe(self) -> Capabilities:
        """See `Store.probe`."""
        return await self._again(self._store.probe, self._policy.probe_retries)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._store.aclose()

    async def _again(self, call: Callable[[], Awaitable[T]], retries: int | None = None) -> T:
        patience: Patience | None = None
        while True:
            try:
                return await call()
            except StoreError as error:
                patience = patience or self._patience(retries)
                await patience.bear(error)

    def _patience(self, retries: int | None = None) -> Patience:
        return Patience(self._policy, self._policy.retries if retries is None else retries)


class _ResumingBody:
    """A body that is opened again, where it broke off, at the byte it came to."""

    def __init__(
        self,
        body: ObjectBody,
        open_at: Callable[[int, int | None, str | None], Awaitable[ObjectBody]],
        patience: Patience,
        offset_bytes: int,
        length_bytes: int | None,
    ) -> None:
        self.info = body.info
        self._body = body
        self._open_at = open_at
        self._patience = patience
        self._offset = offset_bytes
        end = self.info.size_bytes if length_bytes is None else offset_bytes + length_bytes
        self._end = min(end, self.info.size_bytes)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reopen = False
        while self._offset < self._end or not reopen:
            try:
                if reopen:
                    left = self._end - self._offset
                    self._body = await self._open_at(self._offset, left, self.info.etag)
                async for piece in self._body:
                    self._patience.reset()
                    self._offset += len(piece)
                    yield piece
            except StoreError as error:
                await self._patience.bear(error)
                reopen = True
            else:
                return

    async def read_into(self, place: memoryview) -> int:
        """See `stores.read_into`; goes on where it broke off."""
        done, reopen = 0, False
        while self._offset < self._end or not reopen:
            try:
                if reopen:
                    left = self._end - self._offset
                    self._body = await self._open_at(self._offset, left, self.info.etag)
                async with aclosing(arriving(self._body, place[done:])) as counts:
                    async for count in counts:
                        self._patience.reset()
                        self._offset += count
                        done += count
            except StoreError as error:
                await self._patience.bear(error)
                reopen = True
            else:
                break
        return done


async def _all(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]
