"""Where the service listens: a loopback address by default, TLS or a clear word for anything else."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import ssl
from typing import Final

from transfer.errors import TransferError, UsageError
from transfer.service.http.server import HttpServer

_HANDSHAKE_TIMEOUT_S: Final = 10.0
_TLS_CLOSE_TIMEOUT_S: Final = 2.0


class Listener:
    """A listening server.

    Args:
        server: makes the connections.
        tls: for https.

    Attributes:
        url: where it listens; known when it has started.
    """

    def __init__(self, server: HttpServer, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        self._listening: asyncio.Server | None = None
        self.url = ""

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            TransferError: the address is in use, is not ours, or may not be used.
        """
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._server,
                host,
                port,
                ssl=self._tls,
                # asyncio takes these for TLS alone.
                ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S if self._tls else None,
                ssl_shutdown_timeout=_TLS_CLOSE_TIMEOUT_S if self._tls else None,
            )
        except OSError as error:
            raise _no_address(host, port, error) from None
        self.url = _url(host, self._listening.sockets[0].getsockname()[1], is_tls=self._tls is not None)

    async def stop(self, timeout_s: float) -> None:
        """Take no more connections, let running requests end, close all.

        Args:
            timeout_s: for the requests; after that they are cut off.
        """
        if self._listening is not None:
            self._listening.close()
        self._server.pre_shutdown()
        await self._server.shutdown(timeout_s)


def is_loopback(host: str) -> bool:
    """Whether an address leads to this machine alone; a name other than localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_tls(certificate: str, key: str) -> ssl.SSLContext:
    """A TLS context from a certificate chain and its key, both PEM files; TLS 1.2 or later.

    Raises:
        UsageError: they cannot be read, or do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key that asks for a passphrase would wait for a person for ever.
        context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"certificate {certificate} and key {key} cannot be used: {reason}",
            remedy="give PEM files that belong together; the key without a passphrase",
        ) from None
    return context


def _url(host: str, port: int, *, is_tls: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{shown}:{port}"


def _no_address(host: str, port: int, error: OSError) -> TransferError:
    place = f"{host} port {port}"
    if error.errno == errno.EADDRINUSE:
        return TransferError(f"{place} is in use by another program", remedy="stop it, or use another --port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return TransferError(
            f"no permission to listen on {place}", remedy="use a --port above 1023, with a proxy in front"
        )
    return TransferError(
        f"cannot listen on {place}: {error.strerror or error}", remedy="name an address of this machine"
    )
