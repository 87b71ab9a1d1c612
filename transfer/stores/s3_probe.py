"""What an S3 endpoint checks, found out by giving it wrong sums.

A part with a wrong sum is sent to an upload of its own, which is then aborted: a store that rejects it checks
that sum, one that takes it does not. No object ever appears, so nothing is left behind, versions included.
Whether `If-None-Match` is honoured could only be learned by overwriting an object; that is left open, except
for Amazon's own endpoints, which document it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from transfer.core.retry import is_transient
from transfer.errors import ChecksumRejectedError, NotFoundError, StoreError
from transfer.stores.checksums import checksums_of, encode, value_of
from transfer.stores.contract import Capabilities, ChecksumKind
from transfer.stores.s3_connection import Request, S3Connection
from transfer.stores.s3_integrity import CRCS, header_of

PROBE_KEY = ".transfer-probe"
_BODY = b"transfer: does this store check what it is sent?"
_RIGHT = checksums_of([_BODY])
_WRONG_MD5 = base64.b64encode(bytes(16)).decode()


@dataclass(frozen=True, slots=True)
class _Trial:
    kind: ChecksumKind
    create: Mapping[str, str]
    wrong: Mapping[str, str]
    right: Mapping[str, str]


def _crc_trial(kind: ChecksumKind) -> _Trial:
    value = value_of(_RIGHT, kind)
    return _Trial(
        kind,
        {"x-amz-checksum-algorithm": kind.value, "x-amz-checksum-type": "FULL_OBJECT"},
        {header_of(kind): encode(value ^ 1, kind)},
        {header_of(kind): encode(value, kind)},
    )


_TRIALS = (
    _crc_trial(ChecksumKind.CRC64NVME),
    _crc_trial(ChecksumKind.CRC32C),
    _Trial(ChecksumKind.MD5, {}, {"content-md5": _WRONG_MD5}, {}),
)


async def find_capabilities(connection: S3Connection) -> Capabilities:
    """Try the sums, best first, until one is checked.

    Raises:
        TransferError: the bucket cannot be reached, is not there, or must not be written to.
    """
    if_none_match = True if connection.endpoint.is_aws else None
    for trial in _TRIALS:
        upload = await _begin(connection, trial)
        if upload is None:
            continue
        upload_id, full_object = upload
        try:
            checked = await _is_checked(connection, upload_id, trial)
        finally:
            with suppress(NotFoundError):  # some stores drop an upload with its first bad part
                await _send(connection, "DELETE", [("uploadId", upload_id)])
        if checked:
            return Capabilities(trial.kind, full_object, if_none_match)
    return Capabilities(ChecksumKind.NONE, False, if_none_match)


async def _begin(connection: S3Connection, trial: _Trial) -> tuple[str, bool] | None:
    """Begin an upload; its id and whether sums are of the whole object; None where such sums are unknown."""
    try:
        answer, headers = await connection.ask(
            Request("POST", PROBE_KEY, query=[("uploads", "")], headers=trial.create)
        )
    except StoreError as error:
        if trial.create and not isinstance(error, NotFoundError) and not is_transient(error):
            return None
        raise
    # CRC64NVME has no other type; of CRC32C, a store that does not answer with the type knows one only.
    full = trial.kind is ChecksumKind.CRC64NVME or headers.get("x-amz-checksum-type") == "FULL_OBJECT"
    return answer.value("UploadId"), full and trial.kind in CRCS


async def _is_checked(connection: S3Connection, upload_id: str, trial: _Trial) -> bool:
    part = [("partNumber", "1"), ("uploadId", upload_id)]
    try:
        await _send(connection, "PUT", part, trial.wrong)
    except ChecksumRejectedError:
        return True
    except StoreError as error:
        if is_transient(error):
            raise
    else:
        return False
    try:  # refused, but for the sum or for the header? Then it would refuse the right sum too.
        await _send(connection, "PUT", part, trial.right)
    except StoreError as error:
        if is_transient(error):
            raise
        return False
    return True


async def _send(
    connection: S3Connection,
    method: str,
    query: list[tuple[str, str]],
    headers: Mapping[str, str] | None = None,
) -> None:
    body = [_BODY] if method == "PUT" else []
    async with await connection.send(Request(method, PROBE_KEY, query, headers, body)):
        pass
