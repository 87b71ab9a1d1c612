"""Where the objects of a device go: the prefix of the plan, with the device's own words in it. Pure."""

from __future__ import annotations

from dataclasses import replace

from transfer.jobs.import_.options import ImportOptions
from transfer.ledger.values import JobIdentity


def options_for(options: ImportOptions, *, job: str, ordinal: int, device_id: str) -> ImportOptions:
    """The options with `{job}`, `{ordinal}` and `{device_id}` in their prefix replaced."""
    words = {"{job}": job, "{ordinal}": str(ordinal), "{device_id}": device_id}
    prefix = options.prefix
    for word, value in words.items():
        prefix = prefix.replace(word, value)
    return replace(options, prefix=prefix)


def is_store_of(options: ImportOptions, identity: JobIdentity) -> bool:
    """Whether a job goes to the bucket of these options."""
    return (identity.bucket, identity.endpoint) == (options.bucket, options.endpoint)


def is_destination_of(options: ImportOptions, identity: JobIdentity, *, job: str, ordinal: int) -> bool:
    """Whether these options send the device of a job where the job goes."""
    wanted = options_for(options, job=job, ordinal=ordinal, device_id=identity.device_id)
    return is_store_of(options, identity) and identity.prefix == wanted.prefix


def address(identity: JobIdentity) -> str:
    """A job's destination for people."""
    return f"s3://{identity.bucket}/{identity.prefix}"
