"""Imports into S3 servers of two makes, read back by clients that are not ours."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.shipment import CHUNK, Ended, files_of, import_to, make_device, transfer, write_profile
from tests.simulators.compare import differences
from tests.simulators.servers import program
from tests.simulators.trees import large_file, make_sizes, nasty_tree

pytestmark = pytest.mark.usefixtures("no_loose_ends")

# What can be no key: not UTF-8, control characters that XML cannot carry, too long.
UNFIT = {
    b"latin-1 \xe4\xf6\xfc",
    b"\xff\xfe\x80 not UTF-8",
    b"overlong \xc0\xaf",
    b"surrogate \xed\xa0\x80",
    b"tab\tbell\x07escape\x1b[31m\x7f",
}
# moto's router takes no newline; it answers 404, and the report says so.
# moto lists a carriage return bare, which XML turns into a newline: no client can ask for that key.
RCLONE_CANNOT = {"rclone": [], "moto": ["--exclude=carriage*", "--exclude=carriage*/**"]}
# rclone's server lists these as it shows them ("␊" for a newline) when it reads a folder while others write
# into it, which is a matter of chance.
LISTED_OTHERWISE = {"rclone": {b"new\nline", b"ends in new line\n", b"carriage\rreturn"}, "moto": set()}
LEFT_OUT = {
    "rclone": [
        f"--exclude=names/{place}"
        for name in ("new*line", "ends in new line*", "carriage*")
        for place in (name, f"folders/{name}/**")
    ],
    "moto": [],
}
REFUSED_BY = {"rclone": set(), "moto": {b"new\nline", b"ends in new line\n"}}


@pytest.fixture(scope="module")
def nasty_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("nasty")
    nasty_tree(os.fsencode(source), chunk_size_bytes=CHUNK, special_files=True, xattrs=False)
    return source


@pytest.fixture(scope="module")
def nasty_device(nasty_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("nasty-device")
    return make_device(place / "device", nasty_source, write_profile(place / "small.toml"))


def _modified_ns(text: str) -> int:
    """Nanoseconds since the epoch of a time as rclone prints it."""
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z") if rest else ""
    seconds = int(datetime.fromisoformat(whole.rstrip("Z") + "+00:00").timestamp())
    return seconds * 10**9 + int((digits or "0").ljust(9, "0"))


def _fits(path: bytes, bucket: Bucket) -> bool:
    unfit = UNFIT | REFUSED_BY[bucket.make] | LISTED_OTHERWISE[bucket.make]
    return not path.startswith(b"long-path") and not any(name in unfit for name in path.split(b"/"))


@both_makes
def test_the_nasty_tree(bucket: Bucket, nasty_source: Path, nasty_device: Path, tmp_path: Path) -> None:
    options = ["--symlinks", "rclone", *LEFT_OUT[bucket.make]]
    ended = import_to(bucket, nasty_device, tmp_path / "report", *options, prefix="pre")
    assert ended.code == 3, ended.stderr
    assert ended.report is not None
    assert ended.report["state"] == "partial"
    assert bucket.uploads() == []

    _check_keys_and_bytes(bucket, nasty_source, ended)
    _check_what_is_missing(bucket, ended)
    _check_times(bucket, nasty_source)
    _check_a_copy_by_rclone(bucket, nasty_source, tmp_path / "back")


def _check_keys_and_bytes(bucket: Bucket, source: Path, ended: Ended) -> None:
    expected = _expected(bucket, source)
    assert {key.removeprefix("pre/") for key in bucket.listed()} == expected.keys()
    succeeded = {key.removeprefix("pre/").rstrip("/"): row for key, row in ended.succeeded.items()}
    assert succeeded.keys() == {key.rstrip("/") for key in expected}
    for key, body in expected.items():
        assert bucket.read(f"pre/{key}") == body, key
        row = succeeded[key.rstrip("/")]
        assert row["checksum"] == blake3(body).hexdigest()
        assert (row["bucket"], row["size"], row["error"]) == (bucket.name, str(len(body)), "")


def _expected(bucket: Bucket, source: Path) -> dict[str, bytes]:
    """Key to content, for all that can have a key."""
    expected: dict[str, bytes] = {}
    root = os.fsencode(source)
    for folder, folders, files in os.walk(root):
        path = folder[len(root) + 1 :]
        if path and not folders and not files:
            expected[bucket.marker(path.decode())] = b""
        for name in files + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
            entry = os.path.join(folder, name)
            key = os.path.join(path, name)
            if not _fits(key, bucket) or key.startswith(b"special_files"):
                continue
            if os.path.islink(entry):
                expected[key.decode() + ".rclonelink"] = os.readlink(entry)
            else:
                expected[key.decode()] = Path(os.fsdecode(entry)).read_bytes()
    # Three special files, none of which has a key: the folder stays as a marker.
    return expected | {bucket.marker("special_files"): b""}


def _check_what_is_missing(bucket: Bucket, ended: Ended) -> None:
    names = len(UNFIT) + len(REFUSED_BY[bucket.make])
    assert len(ended.failed) == 2 * names + 1 + 3  # each as a file and as a folder with one; the long path
    reasons = {key.split("/")[-1]: row["error"] for key, row in ended.failed.items()}
    assert reasons["fifo"] == "not on the device: fifo at the source"
    assert "not UTF-8" in reasons[r"latin-1 \xe4\xf6\xfc"]
    assert "U+0007" in reasons["tab\tbell\x07escape\x1b[31m\x7f"]
    long = [row["error"] for key, row in ended.failed.items() if key.startswith("pre/long-path")]
    assert "1,024" in long[0]


def _check_times(bucket: Bucket, source: Path) -> None:
    """To the nanosecond, as rclone reads them."""
    listed = bucket.rclone("lsjson", "-R", "--files-only", f"there:{bucket.name}/pre")
    assert listed.returncode == 0, listed.stderr
    checked = 0
    for item in json.loads(listed.stdout):
        path = source / item["Path"]
        if path.is_file() and not path.is_symlink():
            assert _modified_ns(item["ModTime"]) == path.stat().st_mtime_ns, item
            checked += 1
    assert checked > 100


def _check_a_copy_by_rclone(bucket: Bucket, source: Path, back: Path) -> None:
    """Files, symbolic links and empty folders come back; rclone gives files their times."""
    copied = bucket.rclone(
        "copy", "--links", "--create-empty-src-dirs", "--s3-directory-markers", "--no-unicode-normalization",
        "--local-encoding", "None", *RCLONE_CANNOT[bucket.make], f"there:{bucket.name}/pre",
        os.fspath(back),
    )  # fmt: skip
    assert copied.returncode == 0, copied.stderr
    ignored = UNFIT | REFUSED_BY[bucket.make] | LISTED_OTHERWISE[bucket.make]
    if bucket.make == "moto":
        ignored |= {b"carriage\rreturn"}

    def ignore(path: bytes) -> bool:
        name = path.rstrip(b"/").split(b"/")[-1]
        special = path.startswith(b"special_files/") and path != b"special_files/"
        # rclone reads a link's target as text; and it cannot tell a file from a link of the same content.
        # rclone's server makes files of folder markers.
        marker = bucket.make == "rclone" and path.startswith((b"folders/", b"special_files"))
        long = path.startswith(b"long-path")
        return marker or special or long or name in ignored or path == b"links/not UTF-8"

    found = differences(
        os.fsencode(source), os.fsencode(back),
        owners=False, hard_links=False, modes=False, directory_times=False, ignore=ignore,
    )  # fmt: skip
    assert found == []


@both_makes
def test_metadata_and_content_type(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.html").write_bytes(b"<p>")
    (source / "data.bin.gz").write_bytes(b"gz")
    (source / "plain").write_bytes(b"")
    large_file(os.fsencode(source / "film.mp4"), 2 * CHUNK, seed=1)
    (source / "empty").mkdir()
    for path in source.iterdir():
        os.utime(path, ns=(1, 1_234_567_890_000_000_001))
    (source / "page.html").chmod(0o4751)
    device = make_device(tmp_path / "device", source, small_profile)
    ended = import_to(bucket, device, tmp_path / "report")
    assert ended.code == 0, ended.stderr
    assert ended.report is not None
    assert (ended.report["state"], ended.report["objects"]) == ("complete", 5)
    types = {key: bucket.head(key)["ContentType"] for key in bucket.listed()}
    assert types == {
        "page.html": "text/html",
        "data.bin.gz": "application/gzip",
        "plain": "application/octet-stream",
        "film.mp4": "video/mp4",
        bucket.marker("empty"): "application/x-directory",
    }
    metadata = bucket.head("page.html")["Metadata"]
    owner = {"file-owner": str(os.getuid()), "file-group": str(os.getgid())}
    assert metadata == {"mtime": "1234567890.000000001", "file-permissions": "04751"} | owner
    assert bucket.head("film.mp4")["Metadata"]["mtime"] == "1234567890.000000001"


@both_makes
def test_sizes_on_all_boundaries(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    """Chunks, parts and single PUTs: also what is one part, one part and a byte, two parts."""
    source = tmp_path / "source"
    source.mkdir()
    make_sizes(os.fsencode(source / "around a chunk"), CHUNK)
    part = 32 << 20
    for size in (part - 1, part, part + 1, 2 * part):
        large_file(os.fsencode(source / f"{size}"), size, seed=9)
    device = make_device(tmp_path / "device", source, small_profile)
    assert len(list((device / "packs").iterdir())) > 10
    assert import_to(bucket, device, None).code == 0
    assert bucket.listed() == files_of(source).keys()
    checked = bucket.rclone("check", "--download", os.fspath(source), f"there:{bucket.name}")
    assert checked.returncode == 0, checked.stderr
    assert "0 differences found" in checked.stderr
    assert bucket.uploads() == []


def test_s5cmd_reads_what_came(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    make_sizes(os.fsencode(source), CHUNK)
    device = make_device(tmp_path / "device", source, small_profile)
    assert import_to(bucket, device, None, prefix="x/y/").code == 0
    endpoint = ["--endpoint-url", bucket.server.endpoint_url]
    subprocess.run(
        [program("s5cmd"), *endpoint, "cp", f"s3://{bucket.name}/x/*", back],
        env={**os.environ, **bucket.environment()},
        check=True,
        capture_output=True,
    )
    assert files_of(back / "y") == files_of(source)


@both_makes
@pytest.mark.parametrize("folder", [False, True], ids=["nothing", "an empty folder"])
def test_an_empty_source(bucket: Bucket, small_profile: Path, tmp_path: Path, folder: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    if folder:
        (source / "empty").mkdir()
    device = make_device(tmp_path / "device", source, small_profile)
    ended = import_to(bucket, device, tmp_path / "report")
    assert ended.code == 0, ended.stderr
    assert ended.report is not None
    assert ended.report["state"] == "complete"
    assert bucket.listed() == ({bucket.marker("empty")} if folder else set())
    assert (tmp_path / "report/failure.csv").read_text() == "bucket,key,size,checksum,error\n"


def test_a_second_import_changes_nothing(bucket: Bucket, nasty_device: Path, tmp_path: Path) -> None:
    told = ["--symlinks", "skip", "--exclude", "sparse/**"]
    first = import_to(bucket, nasty_device, tmp_path / "first", *told)
    before = {key: bucket.head(key)["ETag"] for key in bucket.listed()}
    again = import_to(bucket, nasty_device, tmp_path / "again", *told)
    assert {key: bucket.head(key)["ETag"] for key in bucket.listed()} == before
    assert (first.succeeded, first.failed) == (again.succeeded, again.failed)
    assert first.report is not None
    assert first.report["symlinks_skipped"] == 18


def test_symbolic_links_are_reported_unless_asked(bucket: Bucket, nasty_device: Path, tmp_path: Path) -> None:
    ended = import_to(bucket, nasty_device, tmp_path / "report")
    links = {key for key, row in ended.failed.items() if row["error"].startswith("symbolic link to ")}
    assert len(links) == 18
    assert not any(key.endswith(".rclonelink") for key in bucket.listed())


def test_a_dry_run_tells_what_an_import_does(bucket: Bucket, nasty_device: Path, tmp_path: Path) -> None:
    for symlinks in ("report", "skip", "rclone"):
        told = ["--symlinks", symlinks, "--exclude", "sizes/**", "--exclude", "sparse/**"]
        dry = import_to(bucket, nasty_device, None, "--dry-run", "--json", *told)
        assert not any(key.startswith(symlinks) for key in bucket.listed())
        real = import_to(bucket, nasty_device, tmp_path / symlinks, *told, prefix=symlinks)
        assert dry.code == real.code == 3
        assert real.report is not None
        assert dry.document["objects"] == real.report["objects"]
        assert dry.document["bytes"] == real.report["bytes"]
        assert dry.document["refusals"] == real.report["failures"]
        refused = {f"{symlinks}/{item['key']}": item["error"] for item in dry.document["refused"]}
        assert refused.keys() == real.failed.keys()


def test_filters_decide_about_every_kind(bucket: Bucket, nasty_device: Path, tmp_path: Path) -> None:
    kinds = ["links", "folders", "special_files", "sizes"]
    for kind in kinds:
        others = [f"--include=/{kind}/**", "--symlinks=rclone"]
        ended = import_to(bucket, nasty_device, tmp_path / kind, *others, prefix="only")
        assert {key.split("/")[1] for key in {*ended.succeeded, *ended.failed}} == {kind}
    every = import_to(bucket, nasty_device, tmp_path / "none", *[f"--exclude=/{kind}/**" for kind in kinds])
    assert not {key.split("/")[0] for key in {*every.succeeded, *every.failed}} & {*kinds}
    text = import_to(bucket, nasty_device, tmp_path / "text", "--include=*.txt", prefix="text")
    assert text.succeeded.keys() == {"text/names/aux.txt", "text/sort_traps/a.txt"}, "no folder markers"
    assert text.failed == {}
    assert text.code == 0


def test_json_output_is_one_document(bucket: Bucket, nasty_device: Path) -> None:
    ended = import_to(bucket, nasty_device, None, "--json", "--include=links/**", "-q")
    assert ended.document["objects"] == 8
    assert ended.document["failed"] == 18
    assert len(ended.document["failures"]) == 18


def test_help_names_the_choices() -> None:
    assert "report|skip|rclone" in transfer("import", "--help").stdout
