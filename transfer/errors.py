"""Every error of the product, and the exit code each one ends a command with.

    TransferError                 1   the job failed
    ├── UsageError                2   the request makes no sense as asked
    ├── IntegrityError            4   a digest, seal or signature is wrong
    │   └── FormatError           4   a file of a device breaks manifests/FORMAT.md
    ├── DeviceError              10   there is no usable device there
    │   └── DeviceFullError      13   no room left: profile capacity or the disk itself
    ├── LockedError              11   another process works on the device
    ├── AccessError              12   credentials are missing, or access was denied
    ├── LedgerError               1   the ledger cannot be read or written
    └── StoreError                1   an object store answered with an error
        ├── StoreUnreachableError 1   no answer at all
        ├── BusyError             1   it asks for fewer requests (503, 429)
        ├── NotFoundError         1   no such bucket, object or upload
        ├── PreconditionError     1   the object is already there (412), or a race was lost (409)
        ├── ArchivedError         1   an object whose bytes must be restored first (Glacier)
        └── ChecksumRejectedError 4   the store received other bytes than we sent

Errors carry facts as fields: `what` happened (naming the thing and the place) and the `remedy`.
Exit codes 3 (done in part) and 130 (interrupted) are outcomes, not errors: the command line gives them.
"""

from __future__ import annotations

from typing import ClassVar


class TransferError(Exception):
    """A job cannot go on; `what` names the thing and the place, `remedy` says what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


class UsageError(TransferError):
    """The request makes no sense as asked: a wrong option, path or value."""

    exit_code = 2


class IntegrityError(TransferError):
    """A digest, seal or signature is wrong: what was read is not what was written."""

    exit_code = 4


class FormatError(IntegrityError):
    """A file of a device breaks the rules of manifests/FORMAT.md."""


class DeviceError(TransferError):
    """There is no usable device at the given place."""

    exit_code = 10


class DeviceFullError(DeviceError):
    """No room left on the device: its profile's capacity or the disk itself."""

    exit_code = 13


class LockedError(TransferError):
    """Another live process works on the device."""

    exit_code = 11


class AccessError(TransferError):
    """Credentials are missing or wrong, or access was denied.

    Attributes:
        code: a store's error code, or else its HTTP status; empty where no store said it.
    """

    exit_code = 12

    def __init__(self, what: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.code = code


class LedgerError(TransferError):
    """The ledger cannot be read or written: its disk, its server, or itself is in trouble."""


class StoreError(TransferError):
    """An object store answered with an error; `status` and `code` are its own words.

    Attributes:
        status: HTTP status, 0 where there was no answer.
        code: the store's error code, as in `<Code>NoSuchKey</Code>`; empty where it gave none.
    """

    def __init__(self, what: str, *, remedy: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.code = code


class StoreUnreachableError(StoreError):
    """The endpoint gave no answer: connection refused, reset, timed out, name unknown."""


class NotFoundError(StoreError):
    """No such bucket, object or upload."""


class PreconditionError(StoreError):
    """A precondition failed: the object is already there (412), or another writer won (409)."""


class ArchivedError(StoreError):
    """The object is archived: its bytes cannot be read before they were restored (InvalidObjectState)."""


class ChecksumRejectedError(StoreError):
    """The store received other bytes than were sent (BadDigest and its kin)."""

    exit_code = 4


class BusyError(StoreError):
    """The store asks for fewer requests (503, 429).

    Attributes:
        retry_after_s: how long it asks to be left alone, where it says so.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        status: int = 503,
        code: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, remedy=remedy, status=status, code=code)
        self.retry_after_s = retry_after_s
