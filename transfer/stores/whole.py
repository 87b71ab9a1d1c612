"""Reading small objects whole, in one call: what `Store.get` gives, for less time of the processor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from transfer.stores.contract import ObjectInfo, Store

Whole = tuple[ObjectInfo, bytes | None]


async def read_whole(store: Store, key: str, *, version_id: str | None = None, limit_bytes: int) -> Whole:
    """An object and all of its bytes.

    Args:
        store: that has it.
        key: of the object.
        version_id: which version; the latest where None.
        limit_bytes: of a larger object no bytes are given, only what it is.

    Raises:
        TransferError: as `Store.get`.
    """
    quick: Callable[..., Awaitable[Whole]] | None = getattr(store, "read_whole", None)
    if quick is not None:
        return await quick(key, version_id=version_id, limit_bytes=limit_bytes)
    async with store.get(key, version_id=version_id) as body:
        if body.info.size_bytes > limit_bytes:
            return body.info, None
        return body.info, b"".join([piece async for piece in body])
