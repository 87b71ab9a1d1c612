"""Files of allowed signers: what `ssh-keygen -Y verify` makes of them, so do we."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import ssh_tools
from transfer.device.signers import load_signers
from transfer.errors import IntegrityError, TransferError, UsageError
from transfer.formats.allowed_signers import MAX_SIGNERS_BYTES, AllowedSigners
from transfer.formats.ssh_keys import PublicKey

NAMESPACE = "transfer-seal"
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
KEY = PublicKey.parse(LINE)
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ssh_tools.make_key(tmp_path_factory.mktemp("keys"), name="key")


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def principal(text: str, now: datetime = NOW, namespace: str = NAMESPACE) -> str:
    return AllowedSigners.parse(text, "signers").principal(KEY, namespace, now)


TIMES = [
    "20260304",
    "20260304Z",
    "20260305z",
    "20260303UTC",
    "202603040506",
    "202603040506Z",
    "20260304050607Z",
    "20260304050608Z",
    "20260304190607",
    "20260304190608",
]


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("text", TIMES)
@pytest.mark.parametrize("name", ["valid-after", "valid-before"])
def test_times_as_ssh_keygen_has_them(key: Path, tmp_path: Path, name: str, text: str) -> None:
    """Around one moment, in UTC and in the local time of a zone far from it; bounds are within."""
    options = f'{name}="{text}"'
    signers = ssh_tools.signers_file(tmp_path, key, options=options)
    signature = ssh_tools.sign(key, b"content", NAMESPACE)
    expected = ssh_tools.accepts(
        signers, "key", b"content", signature, NAMESPACE, options=("-O", f"verify-time={NOW:%Y%m%d%H%M%S}Z")
    )
    public = PublicKey.parse(ssh_tools.public_line(key))
    try:
        found = load_signers(str(signers)).principal(public, NAMESPACE, NOW) == "key"
    except IntegrityError:
        found = False
    assert found is expected


@pytest.mark.parametrize(
    "options",
    [
        'namespaces="transfer-seal"',
        'namespaces="transfer-*"',
        'namespaces="transfer-s?al"',
        'namespaces="file,transfer-seal"',
        'namespaces="file, transfer-seal"',
        'namespaces="*,!transfer-seal"',
        'namespaces="!transfer-seal,*"',
        'namespaces="!file"',
        'namespaces="[t]ransfer-seal"',
        'namespaces="Transfer-Seal"',
        'namespaces=""',
        'NAMESPACES="transfer-seal"',
        'namespaces="transfer-seal",valid-after="20200101Z"',
        'namespaces="tr\\"x,transfer-seal"',
        "namespaces=transfer-seal",
        'namespaces="transfer-seal',
        'namespaces="transfer-seal",namespaces="transfer-seal"',
        'valid-after="20200101Z",valid-before="20100101Z"',
        'valid-after="2020-01-01"',
        'valid-before="20201301Z"',
        "no-such-option",
        'valid-before="20990101Z",',
        "cert-authority",
    ],
)
def test_options_as_ssh_keygen_has_them(key: Path, tmp_path: Path, options: str) -> None:
    signers = ssh_tools.signers_file(tmp_path, key, options=options)
    signature = ssh_tools.sign(key, b"content", NAMESPACE)
    expected = ssh_tools.accepts(signers, "key", b"content", signature, NAMESPACE)
    public = PublicKey.parse(ssh_tools.public_line(key))
    try:
        found = load_signers(str(signers)).principal(public, NAMESPACE, datetime.now(UTC)) == "key"
    except TransferError:
        found = False
    assert found is expected


@pytest.mark.parametrize(
    "line",
    [
        "key {}",
        "key,other {}",
        '"key,other one" {}',
        "  \t key \t {} and a comment",
        "# a comment\n\n \t\nkey {}",
        "key {}\r",
        'other namespaces="file" {0}\nkey {0}',
        'key valid-before="20200101Z" {0}\nkey {0}',
    ],
)
def test_lines_as_ssh_keygen_has_them(key: Path, tmp_path: Path, line: str) -> None:
    signers = tmp_path / "signers"
    signers.write_text(line.format(ssh_tools.public_line(key)) + "\n")
    signature = ssh_tools.sign(key, b"content", NAMESPACE)
    assert ssh_tools.accepts(signers, "key", b"content", signature, NAMESPACE)
    public = PublicKey.parse(ssh_tools.public_line(key))
    assert "key" in load_signers(str(signers)).principal(public, NAMESPACE, NOW)


def test_what_is_said_of_who_may_not_sign() -> None:
    for text, message in (
        ("", "it is not in there"),
        (f'me namespaces="file" {LINE}', "line 1 .me. does not allow the namespace transfer-seal"),
        (f'me valid-before="20200101Z" {LINE}', "line 1 .me. expired at 2020-01-01T00:00:00.00:00"),
        (f'\nme valid-after="20300101Z" {LINE}', "line 2 .me. is not valid before 2030"),
        (f"me cert-authority {LINE}", "line 1 .me. is a cert-authority, and certificates are not supported"),
    ):
        with pytest.raises(IntegrityError, match=message) as caught:
            principal(text)
        assert caught.value.exit_code == 4
        assert KEY.fingerprint in caught.value.what


def test_principals_are_shown_as_they_stand() -> None:
    assert principal(f'"Carol of the lab, *" {LINE}') == "Carol of the lab, *"
    assert principal(f'old valid-before="20200101Z" {LINE}\nnew {LINE}\nthird {LINE}') == "new"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("me", "line 1: it is not PRINCIPALS"),
        ("# fine\nme\n", "line 2: it is not PRINCIPALS"),
        (f'"" {LINE}', "line 1: it names nobody"),
        (f'"me {LINE}', "line 1: it is not PRINCIPALS"),
        ("me ssh-ed25519", "line 1: no public SSH key"),
        (f"me {LINE[:-4]}!!!!", "line 1: no public SSH key"),
        (f"me what=ever {LINE}", "the options cannot be read at 'what=ever'"),
        (f"me what {LINE}", "the options cannot be read at 'what'"),
        (f'me what="ever" {LINE}', "there is no option 'what'"),
        (f'me cert-authority="x" {LINE}', "the options cannot be read"),
        (f'me valid-after="" {LINE}', "valid-after '' is not YYYYMMDD"),
        (f'me valid-after="20260230" {LINE}', "valid-after '20260230' is not YYYYMMDD"),
        (f'me valid-after="00000101Z" {LINE}', "valid-after '00000101Z' is not YYYYMMDD"),
        (f'me valid-after="\N{FULLWIDTH DIGIT TWO}0260101" {LINE}', "is not YYYYMMDD"),
        (f'me valid-after="2026010100" {LINE}', "is not YYYYMMDD"),
        ("x" * (MAX_SIGNERS_BYTES + 1), "larger than 1048576 bytes"),
    ],
)
def test_lines_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        AllowedSigners.parse(text, "signers")
    assert message in caught.value.what
    assert caught.value.what.startswith("signers")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "signers"
    with pytest.raises(UsageError, match="cannot be read"):
        load_signers(str(path))
    path.write_bytes(b"# first\n\xff\n")
    with pytest.raises(UsageError, match="line 2: it is not UTF-8"):
        load_signers(str(path))
    path.write_bytes(b"#" * (MAX_SIGNERS_BYTES + 1))
    with pytest.raises(UsageError, match="larger than"):
        load_signers(str(path))


WORDS = st.sampled_from(
    [
        "me",
        '"a b"',
        LINE,
        "namespaces=",
        '"transfer-*"',
        "valid-before=",
        '"20300101Z"',
        "valid-after=",
        "cert-authority",
        ",",
        " ",
        '"',
        '\\"',
        "\n",
        "#",
        "!",
        "\0",
    ]
)


@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=12).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = AllowedSigners.parse(text, "signers").principal(KEY, NAMESPACE, NOW)
    except TransferError:
        return
    assert found in text
    assert LINE.split()[1] in text


@given(st.integers(1, 200_000))
def test_options_take_no_longer_than_they_are_long(count: int) -> None:
    """Nothing that a quadratic or worse reading of hostile options would take minutes for."""
    for piece in ('\\"', '"', 'a="', ",", "a"):
        with pytest.raises(UsageError):
            AllowedSigners.parse(f"me {piece * count} {LINE}", "signers")
