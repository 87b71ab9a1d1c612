"""Credentials, region and endpoint from where AWS tools keep them, read by botocore and by nothing of ours.

The chain: environment, shared files and profiles, SSO, credential processes, web identity, container and
instance roles. botocore is imported on first use (it takes longer than a whole small command) and runs in a
thread (it may ask the network). What expires is renewed by botocore when its time comes; what a store calls
expired is read anew.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any, Protocol

from transfer.core.sigv4 import Credentials
from transfer.errors import AccessError, UsageError
from transfer.stores.environment import credentials_in, says_all, settings_in


class CredentialSource(Protocol):
    """Gives the credentials to sign the next request with."""

    async def current(self) -> Credentials | None:
        """Valid ones, or None to send requests unsigned.

        Raises:
            AccessError: there are none.
        """

    async def renew(self) -> bool:
        """The store called them expired: get others. False where there are no others to be had."""


class FixedCredentials:
    """The same credentials for ever; None for anonymous access."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials | None:
        """The credentials given."""
        return self._credentials

    async def renew(self) -> bool:
        """There are no others."""
        return False


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What the environment and the profile say; None where they say nothing.

    Attributes:
        path_style: from the profile's `s3 = addressing_style`.
    """

    region: str | None
    endpoint_url: str | None
    path_style: bool | None


class AwsChain:
    """botocore's session for one profile."""

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile
        self._frozen: Credentials | None = None
        self._source: Any = None  # botocore's credentials object, which renews itself where it can
        self._lock = asyncio.Lock()

    async def settings(self) -> AwsSettings:
        """Region, endpoint and addressing style.

        Raises:
            UsageError: there is no such profile, or its file cannot be read.
        """
        return await asyncio.to_thread(self._read_settings)

    async def current(self) -> Credentials | None:
        """Credentials of the chain; about to expire, they are renewed first."""
        if self._frozen is None or self._about_to_expire():
            async with self._lock:
                self._frozen = await asyncio.to_thread(self._freeze)
        return self._frozen

    async def renew(self) -> bool:
        """Walk the chain again; whether it gave other credentials than before."""
        async with self._lock:
            before, self._source = self._frozen, None
            self._frozen = await asyncio.to_thread(self._freeze)
        return self._frozen != before

    def _about_to_expire(self) -> bool:
        needed = getattr(self._source, "refresh_needed", None)  # only those that expire have it
        return needed is not None and bool(needed())

    def _session(self) -> Any:
        from botocore.session import Session  # noqa: PLC0415  (start-up time)

        return Session(profile=self._profile)  # type: ignore[no-untyped-call]

    def _freeze(self) -> Credentials:
        if self._profile is None and says_all(os.environ):
            return credentials_in(os.environ)
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (start-up time)

        try:
            self._source = self._source or self._session().get_credentials()
            found = self._source and self._source.get_frozen_credentials()
        except BotoCoreError as error:
            raise AccessError(
                f"no credentials from {self._where()}: {error}",
                remedy="sign in again, or name another --aws-profile",
            ) from None
        if not found or not found.access_key:
            raise AccessError(
                f"no credentials from {self._where()}; tried the environment (AWS_ACCESS_KEY_ID), the shared "
                "files, SSO, credential processes, container and instance roles",
                remedy="set them, name a --aws-profile, or say --no-sign-request for a public bucket",
            )
        return Credentials(found.access_key, found.secret_key, found.token)

    def _read_settings(self) -> AwsSettings:
        if self._profile is None and says_all(os.environ):
            region, url = settings_in(os.environ)
            return AwsSettings(region, url, None)
        from botocore.configprovider import ConfiguredEndpointProvider  # noqa: PLC0415  (start-up time)
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        session = self._session()
        try:
            scoped = session.get_scoped_config()
            endpoint = ConfiguredEndpointProvider(  # type: ignore[no-untyped-call]
                full_config=session.full_config, scoped_config=scoped, client_name="s3", environ=os.environ
            )
            ignored = session.get_config_variable("ignore_configured_endpoint_urls")
            url = None if ignored else endpoint.provide()  # type: ignore[no-untyped-call]
            region = session.get_config_variable("region")
        except BotoCoreError as error:
            raise UsageError(
                f"{self._where()} cannot be read: {error}", remedy="see `aws configure list`"
            ) from None
        section = scoped.get("s3")
        style = section.get("addressing_style") if isinstance(section, dict) else None
        return AwsSettings(region, url, {"path": True, "virtual": False}.get(style or ""))

    def _where(self) -> str:
        return f"profile {self._profile!r}" if self._profile else "the AWS credential chain"
