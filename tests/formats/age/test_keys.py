"""Keys: age's own spelling and no other, the halves that age-keygen and pyrage make, no secret shown."""

from __future__ import annotations

import subprocess
import traceback
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import require_tool
from transfer.errors import FormatError
from transfer.formats.age import bech32
from transfer.formats.age.keys import Identity, Recipient

# The example of the specification.
SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

# RFC 7748 §6.1: points of low order, the shared secret of which is zero whatever the other half is.
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    ((1 << 255) - 20).to_bytes(32, "little"),
    ((1 << 255) - 19).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


def test_the_specifications_example() -> None:
    identity = Identity.parse(SECRET)
    assert identity.text == SECRET
    assert identity.recipient.text == str(identity.recipient) == PUBLIC
    assert Recipient.parse(PUBLIC) == identity.recipient


@given(st.binary(min_size=32, max_size=32))
def test_both_halves_are_what_pyrage_makes_of_them(secret: bytes) -> None:
    identity = Identity(secret)
    theirs = pyrage.x25519.Identity.from_str(identity.text)
    assert (str(theirs), str(theirs.to_public())) == (identity.text, identity.recipient.text)
    assert Identity.parse(identity.text).recipient == identity.recipient
    assert Recipient.parse(identity.recipient.text).public == identity.recipient.public


def test_identity_files_of_age_keygen(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    subprocess.run([require_tool("age-keygen"), "-o", str(file)], check=True, capture_output=True)
    _created, public, secret = file.read_text().splitlines()
    identity = Identity.parse(secret)
    assert public == f"# public key: {identity.recipient.text}"


def test_age_keygen_reads_ours(identity: Identity) -> None:
    command = [require_tool("age-keygen"), "-y"]
    done = subprocess.run(command, input=identity.text + "\n", check=True, capture_output=True, text=True)
    assert done.stdout == identity.recipient.text + "\n"


def test_new_identities_differ() -> None:
    assert len({Identity.generate().text for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "text", [PUBLIC.upper(), PUBLIC + "\n", " " + PUBLIC, PUBLIC[:-1], SECRET, "age1", ""]
)
def test_only_recipients_are_recipients(text: str) -> None:
    with pytest.raises(FormatError):
        Recipient.parse(text)


@pytest.mark.parametrize("text", [SECRET.lower(), SECRET + "\n", " " + SECRET, SECRET[:-1], PUBLIC, ""])
def test_only_identities_are_identities(text: str) -> None:
    with pytest.raises(FormatError):
        Identity.parse(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (bech32.encode("age1yubikey", bytes(32)), "recipients read age1"),
        (bech32.encode("age1pq", bytes(32)), "recipients read age1"),
        (SECRET, "this is the secret half"),
    ],
)
def test_other_kinds_of_key_are_told_apart(text: str, remedy: str) -> None:
    with pytest.raises(FormatError, match=remedy):
        Recipient.parse(text)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_have_32_bytes(size: int) -> None:
    with pytest.raises(FormatError, match=f"{size} bytes instead of 32"):
        Recipient.parse(bech32.encode("age", bytes(size)))
    with pytest.raises(FormatError, match=f"{size} bytes instead of 32"):
        Identity.parse(bech32.encode("age-secret-key-", bytes(size)).upper())


@pytest.mark.parametrize("public", [*LOW_ORDER, bytes(31)], ids=bytes.hex)
def test_recipients_of_low_order_are_refused(public: bytes) -> None:
    with pytest.raises(FormatError, match="not a usable"):
        Recipient(public)


def pieces_of(secret: str) -> set[str]:
    """All that would give a part of the secret away."""
    data = secret.lower().rpartition("1")[2]
    return {data[start : start + 6] for start in range(len(data) - 5)}


def test_an_identity_does_not_show_its_secret() -> None:
    identity = Identity.parse(SECRET)
    shown = f"{identity!r} {identity} {[identity]}".lower()
    assert PUBLIC in repr(identity)
    assert not [piece for piece in pieces_of(SECRET) if piece in shown]
    assert identity.text.encode() not in shown.encode()
    assert bytes(identity._private.private_bytes_raw()).hex() not in shown


@given(st.integers(0, len(SECRET) - 1), st.sampled_from([*" 1bqQp\n\0é", ""]), st.booleans(), st.booleans())
def test_no_error_repeats_a_mistyped_secret(at: int, other: str, lower: bool, recipient: bool) -> None:
    text = SECRET[:at] + other + SECRET[at + 1 :]
    text = text.lower() if lower else text
    try:
        (Recipient if recipient else Identity).parse(text)
    except FormatError as error:
        chain = "".join(traceback.format_exception(error, chain=True))
        shown = f"{chain} {error!r} {error} {error.remedy} {error.__context__!r}".lower()
        assert not [piece for piece in pieces_of(SECRET) if piece in shown]
    else:
        assert text == SECRET
