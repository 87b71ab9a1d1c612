"""ssh-agent: signs with a key that it holds (draft-miller-ssh-agent), so that no key file has to be read.

It is spoken to over the socket that SSH_AUTH_SOCK names. Answers are bounded in size and time; what an agent
signs, the caller checks.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Final

from transfer.errors import AccessError
from transfer.formats.ssh_keys import RSA, PublicKey
from transfer.formats.ssh_wire import WireError, WireReader, string, uint32

SOCKET_VARIABLE = "SSH_AUTH_SOCK"

_REQUEST_IDENTITIES, _IDENTITIES, _SIGN_REQUEST, _SIGN_RESPONSE = 11, 12, 13, 14
_RSA_SHA512 = 4
_MAX_ANSWER_BYTES: Final = 256 << 10
_TIMEOUT_S = 120.0  # it may ask a person, or wait for the touch of a key


def sign(public: PublicKey, data: bytes) -> bytes:
    """The agent's signature of `data`, as the SSH protocols write it.

    Raises:
        AccessError: there is no agent, it does not hold the key, or it refuses.
    """
    with _connected() as agent:
        if public.blob not in _held(agent):
            raise AccessError(
                f"the ssh-agent does not hold the key {public.fingerprint}",
                remedy="add it with ssh-add, or give the private key's file",
            )
        flags = _RSA_SHA512 if public.kind == RSA else 0
        kind, answer = _ask(agent, _SIGN_REQUEST, string(public.blob) + string(data) + uint32(flags))
        if kind != _SIGN_RESPONSE:
            raise AccessError(f"the ssh-agent refused to sign with the key {public.fingerprint}")
        signature = answer.string()
        answer.end()
        return signature


def _held(agent: socket.socket) -> set[bytes]:
    kind, answer = _ask(agent, _REQUEST_IDENTITIES, b"")
    if kind != _IDENTITIES:
        raise AccessError("the ssh-agent does not say which keys it holds")
    blobs = set()
    for _ in range(answer.uint32()):
        blobs.add(answer.string())
        answer.string()  # the comment
    answer.end()
    return blobs


@contextlib.contextmanager
def _connected() -> Iterator[socket.socket]:
    path = os.environ.get(SOCKET_VARIABLE)
    if not path:
        raise AccessError(
            f"there is no ssh-agent: {SOCKET_VARIABLE} is not set",
            remedy="start one, or give the private key's file",
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(_TIMEOUT_S)
            agent.connect(path)
            yield agent
    except (OSError, WireError) as error:
        raise AccessError(f"the ssh-agent at {path} does not work: {error}") from error


def _ask(agent: socket.socket, request: int, content: bytes) -> tuple[int, WireReader]:
    agent.sendall(string(bytes([request]) + content))
    size = int.from_bytes(_receive(agent, 4))
    if not 1 <= size <= _MAX_ANSWER_BYTES:
        raise WireError(f"its answer has {size} bytes")
    answer = _receive(agent, size)
    return answer[0], WireReader(answer[1:])


def _receive(agent: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        block = agent.recv(count - len(received))
        if not block:
            raise WireError("it hung up")
        received += block
    return bytes(received)
