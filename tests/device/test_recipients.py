"""The destination's keys: taken from options and files as age takes them, each mistake with its place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.key_tools import make_identity, recipient_of
from tests.ssh_tools import make_key, public_line
from transfer.device.recipients import MAX_RECIPIENTS, DestinationKey, read_recipients
from transfer.errors import UsageError
from transfer.formats.age.keys import Identity


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Private keys that real programs made, by kind."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = ("ed25519", "rsa-2048", "rsa-1024", "ecdsa-256")
    return {kind: make_key(folder, kind) for kind in kinds} | {"age": make_identity(folder)}


def test_all_kinds_from_options_and_files_each_once(keys: dict[str, Path], tmp_path: Path) -> None:
    age = recipient_of(keys["age"])
    ed25519, rsa = public_line(keys["ed25519"]), public_line(keys["rsa-2048"])
    file = tmp_path / "recipients"
    file.write_text(f"\ufeff# the archive\r\n\r\n{age}\r\n  {rsa} ops@archive, night shift  \n\n\t# end\n")
    found = read_recipients([f"{ed25519} me", str(file), age, str(file), ed25519])
    assert [key.text for key in found] == [ed25519, age, rsa]
    assert [key.comment for key in found] == ["me", "", "ops@archive, night shift"]


def test_the_pub_file_of_ssh_keygen_is_a_file_of_recipients(keys: dict[str, Path]) -> None:
    (found,) = read_recipients([f"{keys['ed25519']}.pub"])
    assert (found.text, found.comment) == (public_line(keys["ed25519"]), "a test")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("age1qqqq", "is not a valid public key: age1qqqq..."),
        ("age1yubikey1qwertyuiop", "is not a valid public key"),
        ("ssh-ed25519 AAAA", "is not a valid public key: ssh-ed25519 AAAA"),
        ("ssh-ed25519", "is not a recipient"),
        ("ecdsa-sha2-nistp256 AAAA", "type ecdsa-sha2-nistp256, to which age cannot encrypt"),
        ("sk-ssh-ed25519@openssh.com AAAA", "type sk-ssh-ed25519@openssh.com, to which age"),
        ("ssh-dss AAAA", "type ssh-dss, to which age cannot encrypt"),
        ("hello", "is not a recipient"),
        ("age1\x1b[2J", "is not a recipient"),
        ("ssh-rsa " + "A" * 8192, "is not a recipient"),
    ],
)
def test_a_line_that_is_none_is_named_with_file_and_number(tmp_path: Path, line: str, what: str) -> None:
    file = tmp_path / "recipients"
    file.write_text(f"# first\n\n{line}\n")
    with pytest.raises(UsageError) as caught:
        read_recipients([str(file)])
    assert caught.value.what.startswith(f"{file}, line 3, is ")
    assert what in caught.value.what
    assert caught.value.remedy


def test_keys_that_real_programs_made_and_age_cannot_encrypt_to(keys: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"ecdsa-sha2-nistp256.*Ed25519 or RSA key, or make one"):
        read_recipients([public_line(keys["ecdsa-256"])])
    with pytest.raises(UsageError, match="RSA key needs 2048 bits"):
        read_recipients([public_line(keys["rsa-1024"])])


@pytest.mark.parametrize("by", ["option", "file"])
def test_a_secret_named_by_mistake_is_refused_and_not_repeated(
    by: str, keys: dict[str, Path], tmp_path: Path
) -> None:
    identity = Identity.generate().text
    for secret, path in ((identity, tmp_path / "x"), (keys["ed25519"].read_text(), keys["ed25519"])):
        if path.name == "x":
            path.write_text(f"# created\n{secret}\n")
        told = secret if by == "option" else str(path)
        with pytest.raises(UsageError, match="is a secret key, where a public one belongs") as caught:
            read_recipients([told])
        assert secret[10:20] not in str(caught.value).replace("-----BEGIN", "")


def test_files_that_hold_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n\n")
    with pytest.raises(UsageError, match=r"empty has no recipient in it"):
        read_recipients([str(tmp_path / "empty")])
    with pytest.raises(UsageError, match=r"recipients file .*none cannot be read: No such file"):
        read_recipients([str(tmp_path / "none")])
    (tmp_path / "large").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="larger than 1,048,576 bytes"):
        read_recipients([str(tmp_path / "large")])


def test_there_is_an_end_to_their_number() -> None:
    many = [Identity.generate().recipient.text for _ in range(MAX_RECIPIENTS + 1)]
    assert len(read_recipients([*many[1:], *many[1:]])) == MAX_RECIPIENTS
    with pytest.raises(UsageError, match="21 recipients are more than the 20"):
        read_recipients(many)


texts = st.one_of(
    st.text(max_size=100),
    st.text(max_size=80).map("age1{}".format),
    st.binary(max_size=200).map(lambda blob: f"ssh-ed25519 {base64.b64encode(blob).decode()}"),
    st.binary(max_size=300).map(lambda blob: f"ssh-rsa {base64.b64encode(blob).decode()} x"),
)


@given(texts)
def test_any_line_is_a_key_or_refused(line: str) -> None:
    with pytest.raises(UsageError, match=r"^there "):
        DestinationKey.parse(line, "there")
