"""Credentials and settings of an environment that says all itself.

Where there are no files of AWS tools, and no profile is named, the chain of `stores.credentials` ends at its
first link, which can be read without botocore: that takes several times as long to load as all the rest.
Whatever is more than that is botocore's matter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from transfer.core.sigv4 import Credentials

_FILES: Final = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
_FOR_BOTOCORE: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


def says_all(environment: Mapping[str, str]) -> bool:
    """Whether keys are in the environment and nothing else could say anything."""
    if any(name in environment for name in _FOR_BOTOCORE):
        return False
    if not (environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY")):
        return False
    files = (os.path.expanduser(environment.get(name, place)) for name, place in _FILES.items())
    return not any(file != os.devnull and os.path.lexists(file) for file in files)


def credentials_in(environment: Mapping[str, str]) -> Credentials:
    """The credentials of an environment that says all."""
    token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN")
    return Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token or None)


def settings_in(environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Region and endpoint of an environment that says all."""
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    return environment.get("AWS_DEFAULT_REGION"), endpoint or None
