"""What an S3 endpoint answers, as the errors of transfer/errors.py, each with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transfer.core.retry import Verdict, classify, parse_retry_after
from transfer.errors import (
    AccessError,
    ArchivedError,
    BusyError,
    ChecksumRejectedError,
    NotFoundError,
    PreconditionError,
    StoreError,
    TransferError,
)
from transfer.stores.endpoint import Endpoint
from transfer.stores.xml import Element, XmlError, parse

_TEXT_CHARS = 300  # of the store's own words that go into an error

_ACCESS_REMEDIES = {
    "InvalidAccessKeyId": "the endpoint does not know this key: check --aws-profile and --endpoint-url",
    "SignatureDoesNotMatch": "the secret key does not fit the access key: check --aws-profile",
    "ExpiredToken": "the credentials have expired: sign in again",
    "RequestTimeTooSkewed": "set the clock of this machine: it differs from the endpoint's by minutes",
    "RequestExpired": "set the clock of this machine: it differs from the endpoint's by minutes",
}
_ACCESS_CODES = {
    *_ACCESS_REMEDIES,
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredTokenException",
    "InvalidToken",
}
_CHECKSUM_CODES = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that tells of an error.

    Attributes:
        status: of HTTP; a 200 can tell of an error too.
        headers: names in any case.
        body: empty for HEAD.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def error_code(answer: Answer) -> str:
    """The store's code for the error, or an empty string."""
    return _document(answer).value("Code")


def to_error(answer: Answer, endpoint: Endpoint, doing: str) -> TransferError:
    """The error an answer tells of.

    Args:
        answer: with any status.
        endpoint: it came from.
        doing: what was asked for, such as "PUT s3://bucket/key".
    """
    document = _document(answer)
    code, status = document.value("Code"), answer.status
    said = _clip(" ".join(filter(None, (str(status), code, document.value("Message")))))
    what = f"{doing} at {endpoint}: {said}"
    if code == "InvalidObjectState":
        return ArchivedError(
            what, remedy="the object is archived: have it restored first", status=status, code=code
        )
    if status in {401, 403} or code in _ACCESS_CODES:
        default = "check --aws-profile, and that its policy allows this in the bucket"
        return AccessError(what, remedy=_ACCESS_REMEDIES.get(code, default), code=code or str(status))
    if code in _CHECKSUM_CODES:
        return ChecksumRejectedError(
            what,
            remedy="the bytes were damaged on their way: run the command again",
            status=status,
            code=code,
        )
    deleted = status == 405 and _header(answer, "x-amz-delete-marker") == "true"
    if status == 404 or deleted or code in {"NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"}:
        return NotFoundError(what, remedy=_missing_remedy(code, endpoint), status=status, code=code)
    if status in {409, 412} or code in {"PreconditionFailed", "ConditionalRequestConflict"}:
        return PreconditionError(what, remedy="another object is there already", status=status, code=code)
    return _other_error(answer, document, what, endpoint)


def _other_error(answer: Answer, document: Element, what: str, endpoint: Endpoint) -> TransferError:
    code, status = document.value("Code"), answer.status
    verdict = classify(status, code)
    if status in {429, 503} or code == "SlowDown":
        return BusyError(
            what,
            remedy="the store is busy: use fewer connections or try later",
            status=status,
            code=code,
            retry_after_s=parse_retry_after(_header(answer, "Retry-After")),
        )
    remedy = ""
    if status == 501:
        remedy = "the store does not know this request: do without it, or use another endpoint"
    if verdict is Verdict.OTHER_REGION:
        region = _clip(_header(answer, "x-amz-bucket-region") or document.value("Region"))
        where = f"the bucket is in region {region}: say --region {region}" if region else "say --region"
        remedy = (
            where if region != endpoint.region else "the endpoint is not the bucket's: check --endpoint-url"
        )
    return StoreError(what, remedy=remedy, status=status, code=code)


def unreadable(doing: str, endpoint: Endpoint, why: object) -> StoreError:
    """The error for an answer that is none of S3."""
    return StoreError(
        f"{doing} at {endpoint}: the answer is not one of S3: {_clip(str(why))}",
        remedy="check --endpoint-url",
    )


def _missing_remedy(code: str, endpoint: Endpoint) -> str:
    if code == "NoSuchBucket":
        return f"check the bucket's name and --endpoint-url; to import, create {endpoint.bucket!r} first"
    return "start the upload again" if code == "NoSuchUpload" else ""


def _document(answer: Answer) -> Element:
    try:
        document = parse(answer.body)
    except XmlError:
        return Element("")
    return document if document.name == "Error" else Element("")


def _header(answer: Answer, name: str) -> str:
    return next((value for key, value in answer.headers.items() if key.lower() == name.lower()), "")


def _clip(text: str) -> str:
    """The store's words, fit for a terminal: short and printable."""
    return "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS])
