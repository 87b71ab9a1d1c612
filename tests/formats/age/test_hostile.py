"""Any bytes are read or refused with a documented error, and no error tells a secret."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st

from tests.formats.age import crafted
from tests.formats.age.programs import flipped, read_all
from transfer.errors import AccessError, FormatError, IntegrityError, TransferError
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import AgeReader, open_head
from transfer.formats.age.writer import encrypt

VALID = encrypt(b"valid", [Identity(bytes([7]) * 32).recipient])
start_lines = st.sampled_from(
    [b"age-encryption.org/v1\n", b"-> X25519 ", b"-> ", b"--- ", b"\n", b"A" * 43, b"A" * 64]
)
hostile = st.one_of(
    st.binary(max_size=500),
    st.lists(st.one_of(start_lines, st.binary(max_size=60)), max_size=12).map(b"".join),
    st.builds(
        lambda at, length, new: VALID[:at] + new + VALID[at + length :],
        st.integers(0, len(VALID)),
        st.integers(0, 50),
        st.binary(max_size=50),
    ),
)


@given(hostile)
@example(VALID)
def test_any_bytes_are_read_or_refused(stored: bytes) -> None:
    identity = Identity(bytes([7]) * 32)
    try:
        head = open_head(stored, [identity])
    except (FormatError, IntegrityError, AccessError):
        head = None
    try:
        plain = read_all(stored, identity)
    except (FormatError, IntegrityError, AccessError):
        assert stored != VALID
    else:
        assert head is not None
        assert plain == b"valid"
        assert stored == VALID


lines = st.lists(
    st.one_of(
        st.sampled_from(
            [b"-> X25519 " + b"A" * 43, b"A" * 43, b"A" * 64, b"", b"-> scrypt A 1", b"---", b"->"]
        ),
        st.binary(max_size=80),
    ),
    max_size=10,
)


@given(lines, st.binary(max_size=100))
def test_any_lines_under_a_right_mac_are_read_or_refused(between: list[bytes], behind: bytes) -> None:
    """Whoever knows the recipient can make a file with a genuine header of any shape."""
    identity = Identity(bytes([7]) * 32)
    ours = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    text = b"age-encryption.org/v1\n" + b"\n".join([*between, b""]) + ours
    for stored in (crafted.header(text) + behind, crafted.header(text) + crafted.payload(behind)):
        try:
            plain = read_all(stored, identity)
        except (FormatError, IntegrityError, AccessError):
            continue
        assert plain == behind


def test_errors_and_representations_tell_no_secret(identity: Identity) -> None:
    secret = b"PLAINTEXT-CANARY"
    stored = encrypt(secret, [identity.recipient])
    reader = AgeReader(io.BytesIO(stored), [identity])
    head = open_head(stored, [identity])
    shown = [f"{reader!r} {head!r} {identity!r}"]
    for at in range(0, len(stored), 3):
        try:
            read_all(flipped(stored, at), identity)
        except TransferError as error:
            shown.append(f"{error!r} {error} {error.remedy} {error.__context__!r}")
    text = " ".join(shown)
    assert len(shown) > 50
    for canary in (secret.decode(), identity.text, identity.text[20:40], repr(stored[30:50])):
        assert canary not in text
