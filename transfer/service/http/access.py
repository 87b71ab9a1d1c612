"""Who may ask: bearer tokens (RFC 6750 §2.1), looked up in a file that may change at any time.

Rules:
    - One header `Authorization: Bearer TOKEN`, and nothing else: no query, no cookie, no form.
    - Every refusal reads the same; it tells nothing about the tokens there are.
    - The file is looked at for every request: a token that was revoked is refused at once. A file that has
      become bad changes nothing: the tokens read before still hold, and `problem` says so.
    - Refused requests are logged once a second at most.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import Logger
from typing import Final

from aiohttp import web

from transfer.errors import TransferError
from transfer.service.http.problems import Refusal
from transfer.service.http.token_file import read_tokens
from transfer.service.http.tokens import Role, TokenRecord, find_token

_SCHEME: Final = "bearer "
_MAX_TOKEN_CHARS: Final = 256
_LOG_INTERVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with a request."""

    name: str
    role: Role


class KnownTokens:
    """The tokens of a file, as it stands.

    Attributes:
        problem: why the file cannot be used now, which the log tells in full; empty when it can.

    Raises:
        AccessError: the file cannot be read, or others can read or write it.
        UsageError: it is no file of tokens.
    """

    def __init__(self, path: str, log: Logger) -> None:
        self._path = path
        self._log = log
        self._stamp = self._look()
        self._tokens = read_tokens(path)
        self.problem = ""

    def current(self) -> list[TokenRecord]:
        """The tokens; read anew where the file has changed."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        return self._tokens

    def _read(self) -> None:
        try:
            self._tokens = read_tokens(self._path)
        except TransferError as error:
            self.problem = "the tokens file cannot be used; the tokens read before still hold"
            self._log.error("%s: %s", self.problem, error)
        else:
            self.problem = ""
            self._log.info("tokens were read anew: %d", len(self._tokens))

    def _look(self) -> tuple[int, ...]:
        """What changes whenever the file does; the inode, since it is replaced."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            return (error.errno or 0,)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Gate:
    """Lets requests in, or refuses them.

    Args:
        tokens: that are known.
        now: the time, RFC 3339 in UTC.
        log: of refusals.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        tokens: KnownTokens,
        now: Callable[[], str],
        log: Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._log = log
        self._clock = clock
        self._quiet_until_s = clock()
        self._unlogged = 0

    def caller(self, request: web.BaseRequest) -> Caller:
        """Who asks.

        Raises:
            Refusal: 401; there is no token, or none that is valid.
        """
        told = request.headers.getall("Authorization", [])
        if not told:
            raise Refusal(401, "send a token as 'Authorization: Bearer TOKEN'", headers=_challenge())
        token = _bearer(told)
        record = find_token(self._tokens.current(), token, self._now()) if token else None
        if record is None:
            self._log_refused(request)
            raise Refusal(401, "the token is not valid", headers=_challenge('error="invalid_token"'))
        return Caller(record.name, record.role)

    def _log_refused(self, request: web.BaseRequest) -> None:
        if self._clock() < self._quiet_until_s:
            self._unlogged += 1
            return
        self._log.warning(
            "a request with a wrong token was refused",
            extra={"remote": request.remote, "unlogged": self._unlogged},
        )
        self._unlogged = 0
        self._quiet_until_s = self._clock() + _LOG_INTERVAL_S


def check_role(caller: Caller, needed: Role) -> None:
    """Whether somebody may do something.

    Raises:
        Refusal: 403; the role is too small.
    """
    if not caller.role.allows(needed):
        detail = f"this needs a token with the role {needed}; the role of this one is {caller.role}"
        raise Refusal(403, detail, headers=_challenge('error="insufficient_scope"'))


def _bearer(told: list[str]) -> str:
    """The token of the header; empty where there is none that could be one."""
    if len(told) != 1 or told[0][: len(_SCHEME)].lower() != _SCHEME:
        return ""
    token = told[0][len(_SCHEME) :].strip(" ")
    return token if len(token) <= _MAX_TOKEN_CHARS else ""


def _challenge(more: str = "") -> dict[str, str]:
    challenge = 'Bearer realm="transfer"'
    return {"WWW-Authenticate": f"{challenge}, {more}" if more else challenge}
