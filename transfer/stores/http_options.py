"""How connections to an endpoint are made and kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How connections are made and kept.

    Attributes:
        max_connections: at once; further requests wait for their turn.
        connect_timeout_s: for one TCP and TLS handshake.
        stall_timeout_s: without a byte sent or received; 60 s also bridges a store's own fail-over.
    """

    max_connections: int = 32
    connect_timeout_s: float = 15.0
    stall_timeout_s: float = 60.0
