"""`transfer manifest --format bom`, read by an XML parser that is not ours."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree

from awscrt.checksums import crc64nvme
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.make import GOLDEN
from tests.jobs.shipment import make_device, transfer, write_profile
from transfer.formats.bill_of_materials import bom_closing, bom_line, bom_opening


def paths_in(document: bytes) -> list[bytes]:
    root = ElementTree.fromstring(document)
    paths = []
    for file in root.iter("file"):
        text = file.text or ""
        is_base64 = file.get("name_encoding") == "Base64"
        paths.append(base64.b64decode(text) if is_base64 else text.encode())
    return paths


@settings(max_examples=100)
@given(
    st.lists(
        st.binary(min_size=1, max_size=30)
        | st.text(min_size=1, max_size=12).map(lambda t: t.encode("utf-8", "replace")),
        max_size=8,
    )
)
def test_every_path_comes_back_and_every_file_is_one_line(paths: list[bytes]) -> None:
    lines = [bom_line(path, size_bytes=1, crc64nvme="0" * 16, blake3="0" * 64) for path in paths]
    document = bom_opening(device_id="d", job="j", ordinal=1, seal_blake3="") + b"".join(lines)
    document += bom_closing(files=len(paths), size_bytes=len(paths))
    assert paths_in(document) == paths
    assert len(document.decode().splitlines()) == len(paths) + 4


def test_the_sums_are_those_of_the_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a & <b>").mkdir(parents=True)
    contents = {'a & <b>/c "d"': b"1", "e\nf": b"22", "large": bytes(3_000_000)}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    device = make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml"))
    ended = transfer("manifest", device, "--format", "bom", "--output", tmp_path / "bom.xml", "-q")
    assert ended.code == 0, ended.stderr
    document = (tmp_path / "bom.xml").read_bytes()
    root = ElementTree.fromstring(document)
    seal = blake3((device / "SEAL.json").read_bytes()).hexdigest()
    assert (root.tag, root.get("seal_blake3"), root.get("job")) == ("bom", seal, "test")
    found = {
        path.decode(): (int(file.get("size", "")), file.get("crc64"), file.get("blake3"))
        for path, file in zip(paths_in(document), root.iter("file"), strict=True)
    }
    assert found == {
        name: (len(content), f"0x{crc64nvme(content):016x}", blake3(content).hexdigest())
        for name, content in contents.items()
    }
    (total,) = root.iter("total")
    assert (total.get("files"), total.get("bytes")) == ("3", str(sum(map(len, contents.values()))))


def test_names_that_are_not_text(tmp_path: Path) -> None:
    assert transfer("manifest", GOLDEN / "good", "--format", "bom", "-o", tmp_path / "bom").code == 0
    document = (tmp_path / "bom").read_bytes()
    assert paths_in(document)[-1] == b"\xff\xfe.txt"
    assert b'name_encoding="Base64">//4udHh0</file>' in document
