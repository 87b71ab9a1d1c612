"""The stage of test_secrets_stay_secret: what is planted, and all that commands said."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from tests.cli.echoing_server import EchoingServer
from tests.formats.age import crafted
from tests.jobs.buckets import Bucket
from tests.jobs.shipment import Ended, transfer
from tests.ssh_tools import make_key, signers_file
from transfer.device.identities import load_identities
from transfer.formats.age.keys import Identity

WORDS = "seventeen-Zebras/dance+on=ice"
SSH_WORDS = "another \u00e9l\u00e9phant forgets nothing"
WRONG_WORDS = "these-are-Not-The-words/at+all"
DENIED_KEY = "AKIAQ7ZXCANARY2NEVER"
DENIED_SECRET = "wJa1rXUtnFEMI/K7MDENG+bPxRfiCYcanary"
TOKEN = "FwoGZXIvYXdzEBYaDK" + "t0k3n/Canary+Zx9=" * 6 + "end=="
PROFILE_KEY, PROFILE_SECRET = "AKIAPROFILECANARY777", "pr0f1le/S3cret+Canary/9qLmV2xYz31BhJw"
PROFILE_TOKEN = "IQoJb3JpZ2luX2VjE" + "pr0filet0k3n/+" * 5 + "=="
URL_PASSWORD = "pAsSw0rd-1n-A-Url-canary"


@dataclass
class Stage:
    """Where all of it happens.

    Attributes:
        said: what commands wrote to standard output and error, by what was asked.
        secrets: what must not be found, by name.
        keys: files that hold a secret, as they should.
        endings: the exit codes that there were, by command.
    """

    root: Path
    bucket: Bucket
    echo: EchoingServer
    said: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    keys: set[Path] = field(default_factory=set)
    endings: dict[str, set[int]] = field(default_factory=dict)

    def at(self, name: str) -> Path:
        return self.root / name

    def give(self, *command: str | Path, **environment: str) -> Ended:
        """Give a command as people do, and with --json and TRANSFER_DEBUG=1."""
        ended = None
        for more, debug in (((), "0"), (("--json",), "1")):
            told = {**self.environment, "TRANSFER_DEBUG": debug, **environment}
            now = transfer(*command, *more, environment=told)
            self._note(" ".join(map(os.fspath, command[:2])), now)
            ended = ended or now
        assert ended is not None
        return ended

    def once(self, *command: str | Path, **environment: str) -> Ended:
        """Give a command once, as it changes what it works on."""
        ended = transfer(*command, environment={**self.environment, **environment})
        self._note(" ".join(map(os.fspath, command[:2])), ended)
        return ended

    def _note(self, what: str, ended: Ended) -> None:
        name = f"what `transfer {what}` said ({len(self.said)})"
        self.said[name] = (ended.stdout + ended.stderr).encode("utf-8", "surrogatepass")
        self.endings.setdefault(what.partition(" ")[0], set()).add(ended.code)

    def forget(self, shown: str) -> None:
        """The last command has shown a secret, once and as its purpose; what else it said is searched."""
        name = list(self.said)[-1]
        text = self.said[name]
        assert text.count(shown.encode()) == 1
        self.said[name] = text.replace(shown.encode(), b"")

    @property
    def environment(self) -> dict[str, str]:
        """Credentials of the bucket, a profile with others, and a state directory."""
        return {
            **self.bucket.environment(),
            "AWS_CONFIG_FILE": os.fspath(self.at("aws-config")),
            "AWS_SHARED_CREDENTIALS_FILE": os.fspath(self.at("aws-credentials")),
            "XDG_STATE_HOME": os.fspath(self.at("state")),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def denied(self) -> dict[str, str]:
        """Temporary credentials, for the endpoint that means ill."""
        return {
            "AWS_ACCESS_KEY_ID": DENIED_KEY,
            "AWS_SECRET_ACCESS_KEY": DENIED_SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
        }


def plant(stage: Stage) -> None:
    """Keys, passphrases and credentials, in the files where people keep them."""
    server = stage.bucket.server
    stage.secrets |= {
        "the access key": server.access_key.encode(),
        "the secret key": server.secret_key.encode(),
        "the other access key": DENIED_KEY.encode(),
        "the other secret key": DENIED_SECRET.encode(),
        "the session token": TOKEN.encode(),
        "the access key of the profile": PROFILE_KEY.encode(),
        "the secret key of the profile": PROFILE_SECRET.encode(),
        "the session token of the profile": PROFILE_TOKEN.encode(),
        "the passphrase": WORDS.encode(),
        "the passphrase of the SSH key": SSH_WORDS.encode(),
        "the wrong passphrase": WRONG_WORDS.encode(),
        "the password in a URL": URL_PASSWORD.encode(),
    }
    lines = f"aws_access_key_id = {PROFILE_KEY}\naws_secret_access_key = {PROFILE_SECRET}\n"
    keep(stage, "aws-credentials", f"[canary]\n{lines}aws_session_token = {PROFILE_TOKEN}\n")
    keep(stage, "aws-config", "[profile canary]\nregion = us-east-1\n")
    for name, words in (("words", WORDS), ("ssh-words", SSH_WORDS), ("wrong-words", WRONG_WORDS)):
        keep(stage, name, words + "\n")
    _make_keys(stage)


def keep(stage: Stage, name: str, content: str) -> Path:
    path = stage.at(name)
    path.write_text(content)
    path.chmod(0o600)
    stage.keys.add(path)
    return path


def _make_keys(stage: Stage) -> None:
    assert stage.once("keys", "generate", "--identity", stage.at("identity")).code == 0
    locked = ("--passphrase-file", stage.at("words"), "--json")
    assert stage.once("keys", "generate", "--identity", stage.at("spare-identity"), *locked).code == 0
    assert stage.once("keys", "generate", "--identity", stage.at("unlocked")).code == 0
    stage.at("unlocked.pub").rename(stage.at("locked-identity.pub"))
    _lock(stage.at("unlocked"), stage.at("locked-identity"))
    assert stage.once("keys", "generate", "--signing", stage.at("signer"), "--comment", "carol").code == 0
    locked = ("--passphrase-file", stage.at("ssh-words"))
    assert stage.once("keys", "generate", "--signing", stage.at("spare"), *locked).code == 0
    make_key(stage.root, name="locked-signer", passphrase=SSH_WORDS)  # less work to open than ours
    make_key(stage.root, "rsa-2048", name="rsa")
    spare = ("spare-identity", "spare")
    for name in ("identity", "locked-identity", "signer", "locked-signer", "rsa", *spare):
        stage.keys.add(stage.at(name))
    plant_identity(stage, "the identity", identity_in(stage.at("identity")))
    holder = load_identities([os.fspath(stage.at("locked-identity"))], lambda prompt: WORDS)[0]
    plant_identity(stage, "the locked identity", holder.identities[0])  # type: ignore[attr-defined]
    for name, words in (("signer", None), ("locked-signer", SSH_WORDS.encode())):
        key = load_ssh_private_key(stage.at(name).read_bytes(), words)
        stage.secrets[f"the SSH key {name}"] = key.private_bytes_raw()  # type: ignore[union-attr]
    key = load_ssh_private_key(stage.at("rsa").read_bytes(), None)
    primes = key.private_numbers()  # type: ignore[union-attr]
    stage.secrets["the RSA key"] = primes.p.to_bytes(128)  # type: ignore[union-attr]
    signers_file(stage.root, stage.at("signer"), stage.at("locked-signer"))
    assert stage.give("keys", "show", stage.at("identity")).code == 0
    for name, words in (("locked-identity", "words"), ("locked-signer", "ssh-words")):
        for told in (words, "wrong-words"):
            show = ("keys", "show", stage.at(name), "--passphrase-file", stage.at(told), "--json")
            stage.once(*show, TRANSFER_DEBUG="1")


def _lock(plain: Path, locked: Path) -> None:
    """What `age -p` makes of an identity, with so little work that it opens at once; the plain one goes."""
    salt, info = bytes(range(16)), b"age-encryption.org/v1/scrypt"
    key = hashlib.scrypt(WORDS.encode(), salt=info + salt, n=1 << 8, r=8, p=1)[:32]
    body = ChaCha20Poly1305(key).encrypt(bytes(12), crafted.FILE_KEY, None)
    stanza = b"-> scrypt %b 8\n%b\n" % (crafted.base64_of(salt), crafted.base64_of(body))
    header = crafted.header(b"age-encryption.org/v1\n" + stanza)
    locked.write_bytes(header + crafted.payload(plain.read_bytes()))
    locked.chmod(0o600)
    plain.unlink()


def identity_in(path: Path) -> Identity:
    lines = path.read_text().splitlines()
    return Identity.parse(next(line for line in lines if not line.startswith("#")))


def plant_identity(stage: Stage, name: str, identity: Identity) -> None:
    """Its text, without what all identities begin with, as it is and in lower case, and its bytes."""
    text = identity.text.removeprefix("AGE-SECRET-KEY-1")
    stage.secrets |= {
        name: text.encode(),
        f"{name}, in lower case": text.lower().encode(),
        f"{name}, as bytes": identity._private.private_bytes_raw(),
    }
