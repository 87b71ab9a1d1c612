"""Headers: every kind of stanza is parsed, every other spelling refused; the age program is the judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.age import crafted
from tests.formats.age.programs import Age
from transfer.errors import AccessError, FormatError, IntegrityError
from transfer.formats.age.header import MAX_HEADER_BYTES, Stanza, encode_header, parse_header
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import open_head

VERSION = b"age-encryption.org/v1\n"
PLAIN = b"content"
END = crafted.payload(PLAIN)

OTHER_STANZAS = {
    "empty body": b"-> grease\n\n",
    "no meaning": b"-> ;V6-grease !~ 4#\nAA\n",
    "ssh": b"-> ssh-ed25519 fCt7bg " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n",
    "47 bytes": b"-> short\n" + b"A" * 63 + b"\n",
    "48 bytes": b"-> full x\n" + b"A" * 64 + b"\n\n",
    "100 bytes": b"-> long x\n" + (b"A" * 64 + b"\n") * 2 + b"AAAAAA\n",
    "post-quantum": b"-> mlkem768x25519 " + b"A" * 1494 + b"\n" + b"A" * 43 + b"\n",
    "lower case": b"-> x25519 not-our-business\n\n",
}


@pytest.mark.parametrize("stanza", OTHER_STANZAS.values(), ids=OTHER_STANZAS)
@pytest.mark.parametrize("before", [True, False])
def test_stanzas_of_other_types_are_passed_over(
    stanza: bytes, before: bool, age: Age, identity: Identity
) -> None:
    ours = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    header = crafted.header(VERSION + (stanza + ours if before else ours + stanza))
    head = open_head(header + END, [identity])
    assert head.size_bytes == len(header) + 16
    assert head.payload.open(0, END[16:], last=True) == PLAIN == age.opens(header + END)


def spoiled(share: bytes, body: bytes) -> dict[str, bytes]:
    """Version line and stanzas with something wrong; the MAC is made over them as they are."""
    ours = b"-> X25519 " + share + b"\n" + body + b"\n"
    as_it_is = VERSION + ours
    bits = body[:-1] + bytes([body[-1] + 1])  # the last character's lowest bits say nothing
    share_bits = share[:-1] + bytes([share[-1] + 1])
    return {
        "version 2": as_it_is.replace(b"/v1", b"/v2"),
        "version 10": as_it_is.replace(b"/v1", b"/v10"),
        "space behind the version": as_it_is.replace(b"/v1", b"/v1 "),
        "something in front": b"\n" + as_it_is,
        "byte order mark": b"\xef\xbb\xbf" + as_it_is,
        "line ends of Windows": as_it_is.replace(b"\n", b"\r\n"),
        "line end of Windows behind the version": as_it_is.replace(b"\n", b"\r\n", 1),
        "line end of Windows behind a body": as_it_is[:-1] + b"\r\n",
        "no version": ours,
        "no stanzas": VERSION,
        "two versions": VERSION + as_it_is,
        "empty line": VERSION + b"\n" + ours,
        "empty line behind": as_it_is + b"\n",
        "two spaces": as_it_is.replace(b"X25519 ", b"X25519  "),
        "space behind the arguments": as_it_is.replace(share, share + b" "),
        "space in front of the arguments": as_it_is.replace(b"-> ", b"->  "),
        "tab": as_it_is.replace(b"X25519 ", b"X25519\t"),
        "no space behind the mark": as_it_is.replace(b"-> ", b"->"),
        "stanza without a type": as_it_is + b"-> \n\n",
        "stanza without anything": as_it_is + b"->\n\n",
        "argument that is not ASCII": as_it_is + "-> gré\n\n".encode(),
        "argument with a control": as_it_is + b"-> gr\x7f\n\n",
        "no body": as_it_is + b"-> grease\n",
        "body of three full lines and no short one": as_it_is + b"-> grease\n" + (b"A" * 64 + b"\n") * 3,
        "body with a long line": as_it_is + b"-> grease\n" + b"A" * 68 + b"\n",
        "body in short lines": as_it_is.replace(body, body[:20] + b"\n" + body[20:]),
        "body with a strange character": as_it_is.replace(body, body[:-1] + b"_"),
        "body of one character": as_it_is + b"-> grease\nA\n",
        "padded body": as_it_is.replace(body, body + b"="),
        "body that is not canonical": as_it_is.replace(body, bits),
        "other body that is not canonical": as_it_is + b"-> grease\nAB\n",
        "share that is not canonical": as_it_is.replace(share, share_bits),
        "padded share": as_it_is.replace(share, share + b"="),
        "short share": as_it_is.replace(share, crafted.base64_of(bytes(31))),
        "long share": as_it_is.replace(share, crafted.base64_of(bytes(33))),
        "no share": as_it_is.replace(b" " + share, b""),
        "two shares": as_it_is.replace(share, share + b" " + share),
        "short body": as_it_is.replace(body, crafted.base64_of(bytes(31))),
        "long body": as_it_is.replace(body, crafted.base64_of(bytes(33))),
        "empty body": as_it_is.replace(body, b""),
    }


@pytest.mark.parametrize("name", spoiled(b"A", b"A"))
def test_no_other_spelling_is_accepted(name: str, age: Age, identity: Identity) -> None:
    lines = spoiled(*crafted.x25519(identity.recipient.public))[name]
    stored = crafted.header(lines) + END
    assert age.opens(stored) is None
    with pytest.raises(FormatError):
        open_head(stored, [identity])


def test_shares_of_low_order_are_refused(age: Age, identity: Identity) -> None:
    for share in (bytes(32), (1).to_bytes(32, "little")):
        stanza = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public, share=share)
        stored = crafted.header(VERSION + stanza) + END
        assert age.opens(stored) is None
        with pytest.raises(FormatError, match="low order"):
            open_head(stored, [identity])


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_file_key_of_another_length_is_refused(size: int, age: Age, identity: Identity) -> None:
    """Such a body could be made to open under several keys, each to another file key."""
    share, body = crafted.x25519(identity.recipient.public, file_key=bytes(size))
    short_line = b"\n\n" if len(body) == 64 else b"\n"
    stored = crafted.header(VERSION + b"-> X25519 " + share + b"\n" + body + short_line) + END
    assert age.opens(stored) is None
    with pytest.raises(FormatError, match="malformed X25519"):
        open_head(stored, [identity])


@pytest.mark.parametrize("before", [True, False])
def test_a_passphrase_does_not_go_with_recipients(before: bool, identity: Identity) -> None:
    """The specification says so; the program looks only when it is asked for the passphrase."""
    ours = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    scrypt = b"-> scrypt %b 10\n%b\n" % (crafted.base64_of(bytes(16)), crafted.base64_of(bytes(32)))
    with pytest.raises(FormatError, match="passphrase"):
        open_head(crafted.header(VERSION + (scrypt + ours if before else ours + scrypt)) + END, [identity])


def test_a_file_for_a_passphrase_is_for_no_identity(identity: Identity) -> None:
    scrypt = b"-> scrypt %b 10\n%b\n" % (crafted.base64_of(bytes(16)), crafted.base64_of(bytes(32)))
    with pytest.raises(AccessError, match="not encrypted to this identity"):
        open_head(crafted.header(VERSION + scrypt) + END, [identity])


MACS = {
    "wrong": lambda mac: b"--- " + (b"B" if mac[:1] == b"A" else b"A") + mac[1:] + b"\n",
    "short": lambda mac: b"--- " + mac[:-3] + b"\n",
    "cut by a character": lambda mac: b"--- " + mac[:-1] + b"\n",
    "long": lambda mac: b"--- " + mac + b"AAAA\n",
    "not canonical": lambda mac: b"--- " + mac[:-1] + bytes([mac[-1] + 1]) + b"\n",
    "padded": lambda mac: b"--- " + mac + b"=\n",
    "space behind": lambda mac: b"--- " + mac + b" \n",
    "two spaces": lambda mac: b"---  " + mac + b"\n",
    "no space": lambda mac: b"---" + mac + b"\n",
    "line end of Windows": lambda mac: b"--- " + mac + b"\r\n",
    "none": lambda mac: b"---\n",
    "none behind a space": lambda mac: b"--- \n",
    "no line end": lambda mac: b"--- " + mac,
    "other mark": lambda mac: b"-+- " + mac + b"\n",
    "nothing": lambda mac: b"",
}


@pytest.mark.parametrize("name", MACS)
def test_the_mac_is_there_once_and_right(name: str, age: Age, identity: Identity) -> None:
    lines = VERSION + b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    stored = lines + MACS[name](crafted.mac(lines + b"---")) + END
    assert age.opens(stored) is None
    with pytest.raises(IntegrityError) as caught:
        open_head(stored, [identity])
    assert (type(caught.value) is IntegrityError) == (name == "wrong")


@given(st.data())
def test_no_bit_of_a_header_can_be_changed(data: st.DataObject) -> None:
    """Nor does one of another recipient's stanza pass: the MAC is over all of them."""
    identity = Identity.generate()
    stanzas = [
        crafted.x25519(Identity.generate().recipient.public),
        crafted.x25519(identity.recipient.public),
    ]
    header = crafted.header(VERSION + b"".join(b"-> X25519 %b\n%b\n" % stanza for stanza in stanzas))
    damaged = bytearray(header + END)
    damaged[data.draw(st.integers(0, len(header) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((IntegrityError, AccessError)):
        open_head(bytes(damaged), [identity])
    assert open_head(header + END, [identity]).size_bytes == len(header) + 16


def test_a_header_cut_anywhere_is_refused(identity: Identity) -> None:
    header = crafted.header(VERSION + b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public))
    for size in range(len(header) + 16):
        with pytest.raises(FormatError):
            open_head((header + END)[:size], [identity])


def sized(size: int, identity: Identity) -> bytes:
    """A good header of exactly so many bytes."""
    ours = VERSION + b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    missing = size - len(crafted.header(ours)) - len(b"-> \n\n")
    return crafted.header(ours + b"-> " + b"a" * missing + b"\n\n")


def test_a_header_has_16_kib_at_most(identity: Identity) -> None:
    fitting, larger = sized(MAX_HEADER_BYTES, identity), sized(MAX_HEADER_BYTES + 1, identity)
    assert (len(fitting), len(larger)) == (16384, 16385)
    assert open_head(fitting + END, [identity]).size_bytes == 16400
    for start in (larger + END, VERSION + b"-> " + b"a" * 20000, VERSION + b"-> a\n\n" * 5000):
        with pytest.raises(FormatError, match="over 16 KiB"):
            open_head(start, [identity])


def test_the_mac_is_made_with_the_file_key_of_the_stanza(age: Age, identity: Identity) -> None:
    other = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public, file_key=bytes(16))
    ours = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    stored = crafted.header(VERSION + other + ours) + END
    assert age.opens(stored) is None
    with pytest.raises(IntegrityError, match="MAC"):  # the first that opens counts, and its key is another
        open_head(stored, [identity])


arguments = st.lists(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20),
    min_size=1,
    max_size=4,
)
stanzas = st.builds(lambda texts, body: Stanza(tuple(texts), body), arguments, st.binary(max_size=200))


@given(st.lists(stanzas, min_size=1, max_size=5), st.binary(min_size=16, max_size=16), st.binary(max_size=50))
def test_what_is_written_is_parsed(parts: list[Stanza], file_key: bytes, behind: bytes) -> None:
    written = encode_header(parts, file_key)
    header = parse_header(written + behind)
    assert (list(header.stanzas), header.size_bytes) == (parts, len(written))
    header.verify(file_key)
    with pytest.raises(IntegrityError, match="MAC"):
        header.verify(bytes([file_key[0] ^ 1]) + file_key[1:])
    assert encode_header(header.stanzas, file_key) == written
