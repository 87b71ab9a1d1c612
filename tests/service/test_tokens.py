"""Tokens: the commands, the file that keeps them, and who is let in by them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.jobs.shipment import Ended, transfer
from transfer.cli.durations import parse_duration
from transfer.errors import AccessError, TransferError, UsageError
from transfer.service.http.token_file import change_tokens, read_tokens
from transfer.service.http.tokens import (
    MAX_TOKENS,
    Role,
    TokenRecord,
    decode_tokens,
    digest_of,
    encode_tokens,
    find_token,
    new_token,
)

NOW = "2026-11-22T17:00:00Z"


def record(name: str, token: str, role: Role = Role.READ, expires: str | None = None) -> TokenRecord:
    return TokenRecord(name, role, digest_of(token), NOW, expires)


def tokens(state: Path, *arguments: str) -> Ended:
    return transfer("tokens", *arguments, "--state", state)


def test_add_shows_the_token_once_and_keeps_its_digest_alone(tmp_path: Path) -> None:
    ended = tokens(tmp_path / "state", "add", "ops", "--role", "operate")
    assert ended.code == 0, ended.stderr
    token = ended.stdout.strip()
    assert token.startswith("trt_")
    assert len(base64.urlsafe_b64decode(token[4:] + "=")) == 32
    file = tmp_path / "state" / "tokens.json"
    text = file.read_text()
    assert token not in text
    assert token not in ended.stderr
    (kept,) = json.loads(text)["tokens"]
    assert kept["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(os.listdir(tmp_path / "state")) == ["tokens.json", "tokens.json.lock"]


def test_list_and_revoke(tmp_path: Path) -> None:
    for name, role in (("ops", "operate"), ("wall", "read")):
        assert tokens(tmp_path, "add", name, "--role", role, "--expires", "90d", "--json").code == 0
    listed = tokens(tmp_path, "list", "--json").document["tokens"]
    assert [(one["name"], one["role"], one["expired"]) for one in listed] == [
        ("ops", "operate", False),
        ("wall", "read", False),
    ]
    assert listed[0]["expires"] > listed[0]["created"]
    assert "sha256" not in listed[0]
    assert tokens(tmp_path, "list").stdout.splitlines()[1].split()[:2] == ["ops", "operate"]
    assert tokens(tmp_path, "revoke", "ops").stdout == "revoked ops\n"
    assert [one["name"] for one in tokens(tmp_path, "list", "--json").document["tokens"]] == ["wall"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "ops", "--role", "root"], "--role 'root' is not possible"),
        (["add", "ops"], "Missing option '--role'"),
        (["add", "bad name", "--role", "read"], "cannot be the name of a token"),
        (["add", "x" * 64, "--role", "read"], "cannot be the name of a token"),
        (["add", "known", "--role", "read"], "there is a token 'known' already"),
        (["add", "ops", "--role", "read", "--expires", "soon"], "--expires: 'soon' is not a duration"),
        (["add", "ops", "--role", "read", "--expires", "9999999w"], "is not a duration"),
        (["revoke", "nobody"], "there is no token 'nobody'"),
    ],
)
def test_wrong_commands(tmp_path: Path, arguments: list[str], text: str) -> None:
    assert tokens(tmp_path, "add", "known", "--role", "read").code == 0
    before = (tmp_path / "tokens.json").read_bytes()
    ended = tokens(tmp_path, *arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert text in ended.stderr
    assert (tmp_path / "tokens.json").read_bytes() == before


def test_the_file_may_be_named(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.json"
    assert transfer("tokens", "add", "ops", "--role", "read", "--tokens", file).code == 0
    assert len(read_tokens(str(file))) == 1
    environment = {"STATE_DIRECTORY": str(tmp_path / "of-systemd")}
    assert transfer("tokens", "add", "ops", "--role", "read", environment=environment).code == 0
    assert len(read_tokens(str(tmp_path / "of-systemd" / "tokens.json"))) == 1


def test_no_file_is_no_tokens(tmp_path: Path) -> None:
    assert read_tokens(str(tmp_path / "none")) == []
    assert tokens(tmp_path / "state", "list", "--json").document == {"tokens": []}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602, 0o601, 0o777])
def test_a_file_of_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "tokens.json"
    file.write_bytes(encode_tokens([]))
    file.chmod(mode)
    with pytest.raises(AccessError, match="by others"):
        read_tokens(str(file))
    ended = tokens(tmp_path, "add", "ops", "--role", "read")
    assert ended.code == 12
    assert "chmod 600" in ended.stderr
    file.chmod(0o600)
    assert read_tokens(str(file)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_bytes(encode_tokens([]))
    file.chmod(0o600)
    os.chown(file, 12345, 12345)
    with pytest.raises(AccessError, match="another user"):
        read_tokens(str(file))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for strange in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(AccessError):
            read_tokens(str(strange))


def document(**changes: Any) -> bytes:
    kept = {"name": "ops", "role": "read", "sha256": "ab" * 32, "created": NOW, "expires": None}
    kept |= changes.pop("token", {})
    return json.dumps({"format": "transfer-tokens", "format_version": 1, "tokens": [kept]} | changes).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff", ""),
        (document(format="other"), "Invalid enum value"),
        (document(format_version=2), "use a newer release"),
        (document(extra=1), "unknown field"),
        (document(token={"role": "root"}), "Invalid enum value 'root'"),
        (document(token={"sha256": "AB" * 32}), "matching regex"),
        (document(token={"sha256": ""}), "matching regex"),
        (document(token={"name": "a\n"}), "matching regex"),
        (document(token={"expires": "tomorrow"}), "matching regex"),
        (document(token={"token": "trt_"}), "unknown field"),
        (document(tokens=[json.loads(document())["tokens"][0]] * 2), "names a token twice"),
        (document(tokens=[json.loads(document())["tokens"][0]] * (MAX_TOKENS + 1)), "length"),
        (b" " * ((1 << 20) + 1), "larger than"),
    ],
    ids=range(15),
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "tokens.json").write_bytes(content)
    (tmp_path / "tokens.json").chmod(0o600)
    ended = tokens(tmp_path, "list")
    assert ended.code == 2
    assert f"tokens file {tmp_path}/tokens.json" in ended.stderr
    assert text in ended.stderr


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(st.lists(names, unique=True, max_size=5), st.sampled_from(Role), st.sampled_from([None, NOW]))
def test_what_is_written_is_read(found: list[str], role: Role, expires: str | None) -> None:
    records = [record(name, name, role, expires) for name in found]
    assert decode_tokens(encode_tokens(records), "x") == records


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused(content: bytes) -> None:
    with pytest.raises(UsageError):
        decode_tokens(content, "x")


def test_a_token_is_found_by_itself_alone() -> None:
    mine = new_token()
    known = [record("other", new_token()), record("mine", mine), record("third", new_token())]
    assert find_token(known, mine, NOW) == known[1]
    for wrong in (mine[:-1], mine + "A", mine.upper(), "", "trt_", known[1].sha256, "\udcff"):
        assert find_token(known, wrong, NOW) is None


def test_a_token_ends_at_its_time() -> None:
    known = [record("mine", "t", expires="2026-11-22T17:00:01Z")]
    assert find_token(known, "t", "2026-11-22T17:00:00Z") == known[0]
    assert find_token(known, "t", "2026-11-22T17:00:01Z") is None


def test_every_digest_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(
        "transfer.service.http.tokens.hmac.compare_digest", lambda a, b: compared.append(a) or a == b
    )
    known = [record("a", "a"), record("b", "b"), record("c", "c")]
    for token in ("a", "c", "none"):
        compared.clear()
        find_token(known, token, NOW)
        assert compared == [one.sha256 for one in known]


def test_changes_at_the_same_time_all_count(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")

    def add(number: int) -> None:
        change_tokens(file, lambda known: [*known, record(f"t{number}", str(number))])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.name for one in read_tokens(file)} == {f"t{number}" for number in range(16)}


def test_there_is_an_end_to_their_number(tmp_path: Path) -> None:
    file = str(tmp_path / "tokens.json")
    change_tokens(file, lambda known: [record(f"t{number}", "x") for number in range(MAX_TOKENS)])
    with pytest.raises(UsageError, match="1000 tokens already"):
        change_tokens(file, lambda known: [*known, record("more", "y")])
    assert len(read_tokens(file)) == MAX_TOKENS


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    change_tokens(str(file), lambda known: [record("a", "a")])
    before = file.read_bytes()

    def fail(known: list[TokenRecord]) -> list[TokenRecord]:
        raise TransferError("no")

    with pytest.raises(TransferError, match="no"):
        change_tokens(str(file), fail)
    assert file.read_bytes() == before
    with pytest.raises(TransferError, match="cannot be written"):
        change_tokens(str(tmp_path / "nowhere" / "tokens.json"), lambda known: known)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("0.5s", 0.5), ("10m", 600), ("12h", 43200), ("90d", 7_776_000), ("2w", 1_209_600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, what="--x") == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1e3s", "5 s", "5S", "\u0665s", "1" * 500 + "s", "nan"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError, match="--x"):
        parse_duration(text, what="--x")
