"""keys/job.age: opened by every kind of recipient, by ours and by the age program; by nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.key_tools import age_opens, make_identity, protect, recipient_of
from tests.ssh_tools import make_key, public_line
from transfer.core.unlock_code import UnlockCode
from transfer.device.identities import CodeHolder, Holder, load_identities
from transfer.device.job_key import MAX_JOB_KEY_BYTES, lock_job_key, new_unlock_code, unlock_job_key
from transfer.device.recipients import DestinationKey, read_recipients
from transfer.errors import AccessError, FormatError, IntegrityError, TransferError, UsageError
from transfer.formats.age.header import MAX_HEADER_BYTES, parse_header
from transfer.formats.age.keys import Identity
from transfer.formats.age.writer import encrypt

PASSPHRASE = "correct horse"
JOB = Identity.generate()


class People:
    """Everybody at the destination: a private key file of each kind, and the public line of each."""

    def __init__(self, folder: Path) -> None:
        age = make_identity(folder)
        self.keys = {
            "age": age,
            "age -p": protect(age, "locked", PASSPHRASE),
            "ed25519": make_key(folder, "ed25519"),
            "ed25519 -N": make_key(folder, "ed25519", name="ed25519-locked", passphrase=PASSPHRASE),
            "rsa-2048": make_key(folder, "rsa-2048"),
            "rsa-4096": make_key(folder, "rsa-4096"),
            "rsa-2048 -N": make_key(folder, "rsa-2048", name="rsa-locked", passphrase=PASSPHRASE),
        }
        self.lines = {
            kind: recipient_of(age) if kind.startswith("age") else public_line(path)
            for kind, path in self.keys.items()
        }

    def holder(self, kind: str) -> Holder:
        return load_identities([str(self.keys[kind])], lambda question: PASSPHRASE)[0]


KINDS = ("age", "age -p", "ed25519", "ed25519 -N", "rsa-2048", "rsa-4096", "rsa-2048 -N")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def for_all(people: People) -> bytes:
    return lock_job_key(JOB, read_recipients(list(people.lines.values())))


@pytest.fixture(scope="module")
def holders(people: People) -> list[Holder]:
    return [people.holder("age"), people.holder("ed25519"), people.holder("rsa-2048")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_recipient_opens_it_and_so_does_the_age_program(
    people: People, for_all: bytes, kind: str, tmp_path: Path
) -> None:
    assert unlock_job_key(for_all, [people.holder(kind)]).text == JOB.text
    alone = lock_job_key(JOB, read_recipients([people.lines[kind]]))
    for stored in (alone, for_all):
        file = tmp_path / "job.age"
        file.write_bytes(stored)
        answers = [PASSPHRASE] if kind.endswith(("-p", "-N")) else []
        assert age_opens(file, people.keys[kind], *answers) == f"{JOB.text}\n".encode()


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_else_opens_it(people: People, kind: str) -> None:
    others = [line for line in people.lines.values() if line != people.lines[kind]]
    stored = lock_job_key(JOB, read_recipients(others))
    with pytest.raises(AccessError, match=f"keys/job.age cannot be opened with {people.keys[kind]}"):
        unlock_job_key(stored, [people.holder(kind)])


def test_of_several_holders_the_one_that_fits_is_found(people: People) -> None:
    stored = lock_job_key(JOB, read_recipients([people.lines["ed25519"]]))
    holders = [
        CodeHolder(new_unlock_code()),
        *(people.holder(kind) for kind in ("age", "rsa-2048", "ed25519")),
    ]
    assert unlock_job_key(stored, holders).text == JOB.text
    with pytest.raises(AccessError, match="cannot be opened with the unlock code, /"):
        unlock_job_key(stored, holders[:-1])
    with pytest.raises(AccessError, match="cannot be opened with nothing"):
        unlock_job_key(stored, [])


def test_a_code_opens_it_and_so_does_the_age_program(people: People, tmp_path: Path) -> None:
    code = new_unlock_code()
    stored = lock_job_key(JOB, code)
    typed = UnlockCode.parse(code.text.lower().replace("-", " "))
    assert unlock_job_key(stored, [people.holder("age"), CodeHolder(typed)]).text == JOB.text
    file = tmp_path / "job.age"
    file.write_bytes(stored)
    assert age_opens(file, None, code.text) == f"{JOB.text}\n".encode()
    with pytest.raises(AccessError, match="cannot be opened with the unlock code") as caught:
        unlock_job_key(stored, [CodeHolder(new_unlock_code())])
    assert not any(group in str(caught.value) for group in code.text.split("-"))


def test_codes_are_all_different() -> None:
    assert len({new_unlock_code().text for _ in range(100)}) == 100


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa-2048"])
def test_damage_is_told_apart_from_a_wrong_key(people: People, for_all: bytes, kind: str) -> None:
    holder = people.holder(kind)
    mac = for_all.index(b"\n--- ") + 10
    for place in (mac, len(for_all) - 1, len(for_all) - 80):
        damaged = bytearray(for_all)
        damaged[place] = ord("A") if damaged[place] != ord("A") else ord("B")
        with pytest.raises(IntegrityError, match=r"keys/job.age: "):
            unlock_job_key(bytes(damaged), [holder])
    for size in (0, 1, 50, mac, len(for_all) - 1):
        with pytest.raises(IntegrityError, match=r"keys/job.age: "):
            unlock_job_key(for_all[:size], [holder])


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"hello\n",
        f"{JOB.text[:-1]}\n".encode(),
        f"{JOB.text}\n\n".encode(),
        f"{JOB.text}\n{JOB.text}\n".encode(),
        b"\xff" * 75,
        b"A" * 20_000,
    ],
    ids=["nothing", "a word", "cut short", "an empty line more", "two", "no text", "far too long"],
)
def test_something_else_inside_is_refused_and_not_repeated(people: People, plain: bytes) -> None:
    holder = people.holder("age")
    recipient = Identity.parse(people.keys["age"].read_text().splitlines()[-1]).recipient
    with pytest.raises(FormatError, match="holds something that is not one identity") as caught:
        unlock_job_key(encrypt(plain, [recipient]), [holder])
    assert JOB.text[20:30] not in str(caught.value)


def test_there_is_a_limit_to_its_size(people: People) -> None:
    with pytest.raises(FormatError, match=r"keys/job.age is larger than 32,768 bytes"):
        unlock_job_key(bytes(MAX_JOB_KEY_BYTES + 1), [people.holder("age")])


def test_as_many_recipients_as_are_allowed_fit_into_the_header(people: People) -> None:
    stored = lock_job_key(JOB, [DestinationKey(people.lines["rsa-4096"])] * 20)
    assert parse_header(stored).size_bytes < MAX_HEADER_BYTES
    with pytest.raises(UsageError, match="the 25 recipients make a header that is larger"):
        lock_job_key(JOB, [DestinationKey(people.lines["rsa-4096"])] * 25)
    with pytest.raises(UsageError, match="encrypted to nobody"):
        lock_job_key(JOB, [])


@given(st.data())
def test_a_hostile_file_is_opened_or_refused(
    holders: list[Holder], for_all: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(for_all)))
    stored = (
        for_all[:start] + data.draw(st.binary(max_size=40)) + for_all[start + data.draw(st.integers(0, 40)) :]
    )
    try:
        identity = unlock_job_key(stored, holders)
    except TransferError as error:
        assert isinstance(error, AccessError | IntegrityError)
    else:
        assert identity.text == JOB.text
