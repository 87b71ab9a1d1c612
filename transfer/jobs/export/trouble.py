"""Which errors of a store are one object's, and which end the job."""

from __future__ import annotations

from typing import NamedTuple

from transfer.core.retry import is_transient
from transfer.errors import (
    AccessError,
    ArchivedError,
    IntegrityError,
    NotFoundError,
    PreconditionError,
    StoreError,
    TransferError,
)
from transfer.jobs.export.work import StoreTrouble

_DETAIL_CHARS = 1000


class Trouble(NamedTuple):
    """Why an object is not on the device, in the words of its record; `again`: another pass may have it."""

    skipped: bool
    reason: str
    detail: str
    again: bool = False

    @property
    def kind(self) -> str:
        """What a person is told that it is."""
        return "skipped" if self.skipped else "again" if self.again else "failed"


OUTGROWN = Trouble(False, "changed", "its size changed since it was listed", again=True)
CHANGED = "it changed while it was fetched"


def judge(error: TransferError) -> Trouble | None:
    """What an error says of the one object that was asked for; None where it is the whole job's."""
    reason = _reason(error)
    if reason is None:
        return None
    detail = CHANGED if reason == "changed" else error.what[:_DETAIL_CHARS]
    return Trouble(reason == "archived", reason, detail)


def _reason(error: TransferError) -> str | None:
    reason: str | None = None
    match error:
        case ArchivedError():
            reason = "archived"
        case IntegrityError():
            reason = "checksum-mismatch"
        case AccessError():
            reason = "unreadable" if _is_about_an_object(error) else None
        case NotFoundError():
            reason = None if error.code == "NoSuchBucket" else "vanished"
        case PreconditionError():
            reason = "changed"
        case StoreError():
            ends = is_transient(error) or not 400 <= error.status < 500
            reason = None if ends else "unreadable"
        case _:
            pass
    return reason


def _is_about_an_object(error: AccessError) -> bool:
    """Whether it is the object that is denied, and not the credentials that are wrong."""
    return error.code in {"403", "AccessDenied", "AllAccessDisabled"}


def told(error: TransferError) -> StoreTrouble:
    """An error on its way out of a worker process."""
    return StoreTrouble(type(error).__name__, error.what, error.remedy)


def unexpected(error: Exception) -> StoreTrouble:
    """An error that no worker process should have."""
    what = f"internal error of a worker process: {type(error).__name__}: {error}"
    return StoreTrouble("TransferError", what[:_DETAIL_CHARS], "please report this with the command you gave")


def raised(trouble: StoreTrouble) -> TransferError:
    """The error that a worker process told of, with the exit code of its kind."""
    import transfer.errors as errors  # noqa: PLC0415, PLR0402

    kind = getattr(errors, trouble.kind, TransferError)
    if not (isinstance(kind, type) and issubclass(kind, TransferError)):
        kind = TransferError
    return kind(trouble.what, remedy=trouble.remedy)
