"""What is done on the stage of test_secrets_stay_secret: every command, and every kind of failure."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from tests.cli.echoing_server import WAYS, process_titles
from tests.cli.secrets_stage import (
    URL_PASSWORD,
    WORDS,
    WRONG_WORDS,
    Stage,
    identity_in,
    keep,
    plant_identity,
)
from tests.jobs.shipment import write_profile
from tests.service.processes import Place, running
from transfer.core.unlock_code import UnlockCode
from transfer.device.identities import CodeHolder, load_identities
from transfer.device.job_key import unlock_job_key
from transfer.device.resume_key import find
from transfer.stores.retrying import RetryingStore, RetryPolicy


def fill_devices(stage: Stage) -> None:
    """plain; encrypted to keys; encrypted to a code; each copied, sealed, signed and handed over."""
    source = stage.at("source")
    source.mkdir()
    (source / "small").write_bytes(b"nothing secret")
    (source / "large").write_bytes(os.urandom(300_000))
    sizes = {"pack_size": "256KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
    profile = write_profile(stage.at("small.toml"), **sizes)
    recipients = [
        "-r",
        stage.at("identity.pub"),
        "-r",
        stage.at("locked-identity.pub"),
        "-r",
        stage.at("signer.pub"),
        "-r",
        stage.at("rsa.pub"),
    ]
    for name, options in (("plain", []), ("secret", recipients), ("coded", ["--passphrase"])):
        _fill(stage, stage.at(name), profile, options)
    job = ["--profile", profile, "--job", "j"]
    for name in ("identity", "signer", "rsa"):  # the secret half, where the public one belongs
        stage.at("x").mkdir(exist_ok=True)
        assert stage.give("prepare", stage.at("x"), *job, "-r", stage.at(name)).code == 2
    text = identity_in(stage.at("identity")).text
    assert stage.give("prepare", stage.at("x"), *job, "-r", text).code == 2
    assert stage.give("prepare", stage.at("x"), *job, "-r", text.lower()).code == 2


def _fill(stage: Stage, device: Path, profile: Path, options: list[str | Path]) -> None:
    device.mkdir()
    made = stage.once("prepare", device, "--profile", profile, "--job", device.name, "--json", *options)
    assert made.code == 0, made.stderr
    state = stage.at("state/transfer")
    if "--passphrase" in options:
        code = made.document["unlock_code"]
        stage.forget(code)
        stage.secrets |= {
            "the code": code.encode(),
            "the code, without dashes": code.replace("-", "").encode(),
        }
        keep(stage, "code", code + "\n")
        holder = CodeHolder(UnlockCode.parse(code))
        plant_identity(
            stage, "the job's key of a code", unlock_job_key((device / "keys/job.age").read_bytes(), [holder])
        )
    elif options:
        holders = load_identities([os.fspath(stage.at("identity"))], lambda prompt: WORDS)
        plant_identity(
            stage, "the job's key", unlock_job_key((device / "keys/job.age").read_bytes(), holders)
        )
    if options:
        identity = find(os.fspath(state), made.document["device"]["device_id"])
        assert identity is not None
        plant_identity(stage, f"the resume key of {device.name}", identity)
    assert stage.once("copy", stage.at("source"), device, "--who", "w").code == 0
    assert stage.once("copy", stage.at("source"), device, "--dry-run", "--json").code == 0
    stage.give("ls", device)
    sign: tuple[str | Path, ...] = ("--sign-key", stage.at("signer"))
    if not options:
        locked = ("--sign-key", stage.at("locked-signer"), "--passphrase-file")
        wrong = (*locked, stage.at("wrong-words"), "--json")
        assert stage.once("seal", device, *wrong, TRANSFER_DEBUG="1").code == 12
        sign = (*locked, stage.at("ssh-words"))
    sealed = stage.once("seal", device, *sign, "--json")
    assert sealed.code == 0, sealed.stderr
    assert stage.once("custody", device, "--event", "handed-over", "--who", "w", *sign).code == 0


def open_with_what_is_wrong(stage: Stage) -> None:
    """Each way to open a device: right, wrong, malformed, unreadable, open to others."""
    text = stage.at("identity").read_text()
    keep(stage, "malformed", text.replace("AGE-SECRET-KEY-1Q", "AGE-SECRET-KEY-1P")[:-3] + "qq\n")
    keep(stage, "cut", text.rstrip()[:-4])
    keep(stage, "lower", text.lower())
    keep(stage, "unpaired", stage.at("signer").read_text().replace("b3BlbnNza", "b3BlbnNzb"))
    keep(stage, "halved", "\n".join(stage.at("locked-signer").read_text().splitlines()[:4]))
    keep(stage, "open", text).chmod(0o644)
    (stage.at("a-folder")).mkdir()
    wrong = [
        "malformed",
        "cut",
        "lower",
        "unpaired",
        "halved",
        "open",
        "a-folder",
        "gone",
        "rsa.pub",
        "words",
        "code",
    ]
    opening: list[list[str | Path]] = [
        ["-i", stage.at(name)] for name in ("identity", "signer", "rsa", *wrong)
    ]
    opening += [["--passphrase", "--passphrase-file", stage.at(name)] for name in ("words", "identity")]
    for options in opening:
        stage.give("info", stage.at("secret"), *options)
    for name in ("identity", "malformed", "rsa"):
        stage.give("ls", stage.at("coded"), "-i", stage.at(name))
        stage.give("verify", stage.at("secret"), "--deep", "--no-progress", "-i", stage.at(name))
    for words in ("words", "wrong-words"):
        locked = ("-i", stage.at("locked-identity"), "--passphrase-file", stage.at(words))
        stage.once("ls", stage.at("secret"), *locked, "--json", TRANSFER_DEBUG="1")
    stage.once("ls", stage.at("coded"), "--passphrase-file", stage.at("code"), "--json", TRANSFER_DEBUG="1")
    for name in ("allowed_signers", "identity", "signer", "words", "aws-credentials"):
        stage.give("verify", stage.at("plain"), "--no-progress", "--signers", stage.at(name))
        stage.give("custody", stage.at("plain"), "--signers", stage.at(name))
        stage.give(
            "import", stage.at("plain"), "s3://secrets/x", "--filter-from", stage.at(name), "--include", "["
        )
        stage.give("prepare", stage.at("x"), "--profile", stage.at(name), "--job", "j")
    for name in ("identity", "rsa.pub", "unpaired", "halved", "open"):
        sign = ("--sign-key", stage.at(name), "--passphrase-file", stage.at("wrong-words"))
        stage.give("custody", stage.at("plain"), "--event", "received", *sign)
    _type(stage, stage.secrets["the code"].decode()[:-2] + "22", "info", stage.at("coded"), "--passphrase")
    _type(stage, WRONG_WORDS, "info", stage.at("coded"), "--passphrase")
    _type(stage, WRONG_WORDS, "keys", "show", stage.at("locked-signer"))
    damaged = stage.at("damaged")
    shutil.copytree(stage.at("secret"), damaged)
    for path in (*damaged.glob("packs/*"), *damaged.glob("segments/*"), damaged / "keys/job.age"):
        data = path.read_bytes()
        path.write_bytes(data[:-40] + bytes(20) + data[-20:])
    for verb in (["verify", "--deep", "--no-progress"], ["ls"], ["info"]):
        stage.give(*verb, damaged, "-i", stage.at("identity"))
        stage.give(*verb, damaged, "-i", stage.at("signer"))


def _type(stage: Stage, typed: str, *command: str | Path) -> None:
    """A secret on standard input, in a process of its own."""
    program = [sys.executable, "-c", "from transfer.cli.app import main; main()", *map(os.fspath, command)]
    environment = {**os.environ, **stage.environment, "TRANSFER_DEBUG": "1"}
    done = subprocess.run(
        program, input=f"{typed}\n".encode(), capture_output=True, env=environment, check=False
    )
    stage.said[f"what `{command[0]}` said when it was typed ({len(stage.said)})"] = done.stdout + done.stderr


def ask_the_bucket(stage: Stage) -> None:
    """Imports and certificates: as they should be, with other credentials, and with passwords in URLs."""
    place = ("s3://secrets/in", "--endpoint-url", stage.bucket.server.endpoint_url, "--no-progress")
    opened = ("-i", stage.at("identity"))
    reported = ("--report", stage.at("report"))
    assert stage.give("import", stage.at("secret"), *place, *opened, *reported, "--dry-run").code == 0
    ended = stage.give("import", stage.at("secret"), *place, *opened, *reported, "--who", "w")
    assert ended.code == 0, ended.stderr
    told = ("--output", stage.at("certificate"), "--sign-key", stage.at("signer"), "--download")
    assert stage.once("certify", stage.at("secret"), *place, *told, *opened).code == 0
    assert stage.give("certify", stage.at("secret"), *place, *told, *opened).code == 2
    assert stage.once("certify", stage.at("plain"), "s3://secrets/else", *place[1:], *told).code != 0
    signers = ("--signers", stage.at("allowed_signers"))
    assert stage.give("certify", "--check", stage.at("certificate"), *place, *signers, "--download").code == 0
    with_password = f"http://carol:{URL_PASSWORD}@127.0.0.1:1"
    for url in (
        with_password,
        f"ftp://carol:{URL_PASSWORD}@127.0.0.1",
        f"http://{URL_PASSWORD}@127.0.0.1:x/",
    ):
        told = ("--endpoint-url", url, "--no-progress", *opened)
        stage.give("import", stage.at("secret"), "s3://secrets/in", *told)
    for address in ("postgresql", "postgres", "mysql"):
        told = (*place, *opened, "--ledger", f"{address}://carol:{URL_PASSWORD}@127.0.0.1:1/ledger")
        stage.give("import", stage.at("secret"), *told)
    assert stage.give("import", stage.at("secret"), *place, *opened, "--aws-profile", "canary").code == 12
    assert stage.give("import", stage.at("secret"), *place, *opened, **stage.denied).code == 12


@contextlib.contextmanager
def _impatience() -> Iterator[None]:
    """Failed requests are tried again once, at once."""

    async def at_once(seconds: float) -> None:
        pass

    policy = RetryPolicy(retries=1, probe_retries=1, sleep=at_once)
    with patch("transfer.stores.open.RetryingStore", lambda store, _: RetryingStore(store, policy)):
        yield


def ask_who_means_ill(stage: Stage) -> None:
    """An endpoint that repeats what it was sent, in every place that an answer has."""
    with _impatience():
        _ask_in_every_way(stage)


def _ask_in_every_way(stage: Stage) -> None:
    for way in WAYS:
        place = (f"s3://{way}/in", "--endpoint-url", stage.echo.url, "--no-progress")
        told = (*place, "-i", stage.at("identity"), "--report", stage.at(f"report-{way}"))
        before = stage.echo.requests
        ended = stage.once("import", stage.at("secret"), *told, "--json", TRANSFER_DEBUG="1", **stage.denied)
        assert ended.code in (1, 3, 4, 12), f"{way}: {ended.stderr}"
        assert stage.echo.requests > before
        told = (*place, "--sign-key", stage.at("signer"), "--output", stage.at(f"certificate-{way}"))
        stage.once("certify", stage.at("plain"), *told, TRANSFER_DEBUG="1", **stage.denied)
    profile = ("--aws-profile", "canary", "--endpoint-url", stage.echo.url, "--no-progress")
    for way in ("denied", "quoting"):
        unset = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        stage.once("import", stage.at("plain"), f"s3://{way}/p", *profile, TRANSFER_DEBUG="1", **unset)


def serve(stage: Stage) -> None:
    """The service: right and wrong tokens, and a bucket as it should be and one that repeats."""
    for way, opened in (("", "identity"), ("denied", "locked-identity")):
        home = stage.at(f"serve{way}")
        home.mkdir()
        bucket = stage.bucket if not way else _Ill(stage)
        place = Place(home / "dock", home / "state", bucket)  # type: ignore[arg-type]
        place.dock.mkdir()
        options = [
            "--identity",
            os.fspath(stage.at(opened)),
            "--passphrase-file",
            os.fspath(stage.at("words")),
        ]
        with running(place, *options, "--signers", os.fspath(stage.at("allowed_signers"))) as service:
            stage.secrets[f"a token{way}"] = service.token.encode()
            for token in (service.token, service.token + "x", "trt_" + URL_PASSWORD * 2):
                _call(
                    service.host,
                    token,
                    stage,
                    "/v1/jobs",
                    "/v1/openapi.json",
                    f"/v1/jobs?token={token}",
                    "/x",
                )
            stage.echo.titles |= process_titles()
            stage.give("ship", stage.at("secret"), place.dock, "--days", "0")
            service.job_in("complete", "partial", "failed", "quarantined", "waiting")
            _call(service.host, service.token, stage, "/v1/jobs", "/v1/jobs/1", "/metrics", "/v1/devices")
            service.stop()
            rest, _ = service.process.communicate()
            stage.said[f"what serve {way} said"] = (rest or "").encode()
    added = stage.once("tokens", "add", "more", "--role", "read", "--state", stage.at("serve") / "state")
    stage.forget(added.stdout.strip())
    stage.secrets["a token more"] = added.stdout.strip().encode()
    for verb in (["list"], ["revoke", "more"], ["revoke", added.stdout.strip()[:4]]):
        stage.give("tokens", *verb, "--state", stage.at("serve") / "state")


class _Ill:
    """A bucket on the server that means ill."""

    def __init__(self, stage: Stage) -> None:
        self.server, self.name = self, "denied"
        self.endpoint_url = stage.echo.url
        self._environment = stage.environment | stage.denied

    def environment(self) -> dict[str, str]:
        return self._environment


def _call(host: str, token: str, stage: Stage, *paths: str) -> None:
    """Ask for pages; what is answered is searched as well."""
    import http.client

    for path in paths:
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "X-Echo": token})
        with connection.getresponse() as answer:
            stage.said[f"the answer to {path.partition('?')[0]} ({len(stage.said)})"] = answer.read()
        connection.close()


def give_every_command_nonsense(stage: Stage) -> None:
    """Help, and options that do not belong; a secret in the wrong place is said to nobody else."""
    from transfer.cli.app import HOMES

    for name in HOMES:
        stage.give(name, "--help")
        stage.once(name, "--no-such-option", "--json", TRANSFER_DEBUG="1")
        stage.once(name, stage.at("identity"), stage.at("words"), TRANSFER_DEBUG="1")
    stage.once("profiles")


def end_devices(stage: Stage) -> None:
    """Erase what was certified, what was not, and what is none."""
    for words in ("identity", "certificate"):
        stage.give("erase", stage.at("plain"), "--certificate", stage.at(words), "--dry-run")
    stage.once("erase", stage.at("coded"), "--without-certificate", "--json")
    stage.once("erase", stage.at("source"), "--without-certificate")
