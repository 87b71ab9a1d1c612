"""How much and how long clients may keep the HTTP side busy. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of the HTTP side; those of a request line and of headers are aiohttp's (8,190 bytes a line).

    Attributes:
        head_timeout_s: for a whole request head, and for which an idle connection is kept.
        body_timeout_s: for a whole body.
        body_bytes: of one body.
        stall_timeout_s: for which a client may leave unread what it asked for.
        connections: at once; those above are told so, and those above twice as many are closed.
        streams: of events, at once.
        heartbeat_s: between two signs of life of a stream.
        snapshot_jobs: told at the beginning of a stream, the newest.
    """

    head_timeout_s: float = 20.0
    body_timeout_s: float = 15.0
    body_bytes: int = 64 * 1024
    stall_timeout_s: float = 30.0
    connections: int = 256
    streams: int = 64
    heartbeat_s: float = 15.0
    snapshot_jobs: int = 1000
