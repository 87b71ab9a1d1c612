"""Files of allowed signers (ssh-keygen(1), ALLOWED SIGNERS): whose signatures count, for what and how long.

    carol@example.org namespaces="transfer-*",valid-before="20301231Z" ssh-ed25519 AAAA...

A signer is looked up by key, so that the principals are only what the signer is called. Of several lines with
one key the first counts that allows the signature, as `ssh-keygen -Y find-principals` has it.

Rules:

- A line that cannot be read makes the whole file unusable: a restriction that is not understood must not be
  passed over.
- Times without a Z are of this host's time zone, and their bounds belong to the time that they allow.
- Lines with `cert-authority` are read, but certificates are not supported: whoever is known by such a line
  alone is refused.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from transfer.errors import IntegrityError, UsageError
from transfer.formats.ssh_keys import PublicKey

MAX_SIGNERS_BYTES = 1 << 20

_REMEDY = "see ALLOWED SIGNERS in the manual of ssh-keygen"
_PRINCIPALS = re.compile(r'"([^"]*)"[ \t]|([^" \t]+)[ \t]')
_VALUE = r'"(?:\\"|[^"])*"'
_OPTIONS = re.compile(rf'(?:[^" \t]|{_VALUE})+')
_OPTION = re.compile(rf'([^"=,]*)(?:=({_VALUE}))?(?:,(?!$)|$)')
_TIMES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True)
class AllowedSigner:
    """One line.

    Attributes:
        line: its number in the file, from 1.
        namespaces: patterns, `!` before one that is to be refused; None where there are none.
    """

    line: int
    principals: str
    public: PublicKey
    namespaces: tuple[str, ...] | None = None
    valid_after: datetime | None = None
    valid_before: datetime | None = None
    is_authority: bool = False

    def objection(self, namespace: str, now: datetime) -> str:
        """Why this line does not allow a signature, in words; empty where it does."""
        if self.is_authority:
            return "is a cert-authority, and certificates are not supported"
        if self.namespaces is not None and not _matches(namespace, self.namespaces):
            return f"does not allow the namespace {namespace}"
        if self.valid_after is not None and now < self.valid_after:
            return f"is not valid before {self.valid_after.isoformat()}"
        if self.valid_before is not None and now > self.valid_before:
            return f"expired at {self.valid_before.isoformat()}"
        return ""


@dataclass(frozen=True)
class AllowedSigners:
    """A file of allowed signers."""

    where: str
    signers: tuple[AllowedSigner, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> AllowedSigners:
        """The signers of a file.

        Args:
            text: of the file.
            where: its name, for errors.

        Raises:
            UsageError: naming the line that cannot be read.
        """
        if len(text) > MAX_SIGNERS_BYTES:
            raise UsageError(f"{where} is larger than {MAX_SIGNERS_BYTES} bytes")
        signers = []
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip(" \t\r")
            if stripped and not stripped.startswith("#"):
                signers.append(_signer(stripped, number, f"{where}, line {number}"))
        return cls(where, tuple(signers))

    def principal(self, public: PublicKey, namespace: str, now: datetime) -> str:
        """Who signed.

        Args:
            public: the key of a signature that was checked.
            namespace: that it was checked for.
            now: with a time zone.

        Returns:
            the principals of the line that allows it, as they stand there.

        Raises:
            IntegrityError: no line allows it.
        """
        objections = []
        for signer in self.signers:
            if signer.public == public:
                objection = signer.objection(namespace, now)
                if not objection:
                    return signer.principals
                objections.append(f"line {signer.line} ({signer.principals}) {objection}")
        what = f"the key {public.fingerprint} is not allowed to sign by {self.where}"
        raise IntegrityError(
            f"{what}: {'; '.join(objections)}" if objections else f"{what}: it is not in there",
            remedy="ask the sender, on another way than the device came, which key is theirs",
        )


def _signer(line: str, number: int, where: str) -> AllowedSigner:
    found = _PRINCIPALS.match(line)
    if found is None:
        raise UsageError(f"{where}: it is not PRINCIPALS [OPTIONS] KEY", remedy=_REMEDY)
    principals, rest = found[1] or found[2], line[found.end() :].lstrip(" \t")
    if not principals:
        raise UsageError(f"{where}: it names nobody", remedy=_REMEDY)
    try:
        return AllowedSigner(number, principals, PublicKey.parse(rest))
    except UsageError as error:
        options = _OPTIONS.match(rest)
        after = rest[options.end() :] if options else ""
        if options is None or not after.lstrip(" \t") or after[0] not in " \t":
            raise UsageError(f"{where}: {error.what}", remedy=_REMEDY) from None
    try:
        public = PublicKey.parse(after)
    except UsageError as error:
        raise UsageError(f"{where}: {error.what}", remedy=_REMEDY) from None
    return _restricted(AllowedSigner(number, principals, public), options[0], where)


def _restricted(signer: AllowedSigner, text: str, where: str) -> AllowedSigner:
    options = _options(text, where)
    after, before = (
        _moment(options[name], name, where) if name in options else None
        for name in ("valid-after", "valid-before")
    )
    if after is not None and before is not None and after > before:
        raise UsageError(f"{where}: valid-after is later than valid-before", remedy=_REMEDY)
    namespaces = options.get("namespaces")
    return AllowedSigner(
        line=signer.line,
        principals=signer.principals,
        public=signer.public,
        namespaces=None if namespaces is None else tuple(namespaces.split(",")),
        valid_after=after,
        valid_before=before,
        is_authority="cert-authority" in options,
    )


def _options(text: str, where: str) -> dict[str, str]:
    """Each option to its value, which is empty for one that takes none."""
    options: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _OPTION.match(text, at)
        name = found[1].lower() if found else ""
        if found is None or (found[2] is None) != (name == "cert-authority"):
            raise UsageError(f"{where}: the options cannot be read at {text[at:][:40]!r}", remedy=_REMEDY)
        if name not in ("cert-authority", "namespaces", "valid-after", "valid-before"):
            raise UsageError(f"{where}: there is no option {name!r}", remedy=_REMEDY)
        if name in options:
            raise UsageError(f"{where}: it says {name} twice", remedy=_REMEDY)
        options[name] = (found[2] or "")[1:-1].replace('\\"', '"')
        at = found.end()
    return options


def _moment(text: str, name: str, where: str) -> datetime:
    """A time as OpenSSH writes it: YYYYMMDD[HHMM[SS]], then Z or UTC, or nothing for local time."""
    digits = re.sub(r"(?i:Z|UTC)$", "", text)
    form = _TIMES.get(len(digits)) if re.fullmatch(r"[0-9]+", digits) else None
    try:
        if form is not None:
            moment = datetime.strptime(digits, form)  # noqa: DTZ007  (it is given one next)
            return moment.replace(tzinfo=UTC) if digits != text else moment.astimezone()
    except (ValueError, OverflowError):
        pass
    what = f"{where}: {name} {text[:40]!r} is not YYYYMMDD[HHMM[SS]][Z]"
    raise UsageError(what, remedy=_REMEDY)


def _matches(namespace: str, patterns: tuple[str, ...]) -> bool:
    """As OpenSSH matches a list: one that is negated and fits refuses, whatever else there is."""
    matched = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(namespace, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched
