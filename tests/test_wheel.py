"""The wheel alone, in an empty environment: profiles and schemas are inside, the main job runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing in it but the wheel and what it asks for; its bin directory."""
    place = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT))
    run(sys.executable, "-m", "venv", str(place / "empty"))
    (wheel,) = place.glob("*.whl")
    python = place / "empty" / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    return python.parent


def run(*command: str, cwd: Path | None = None) -> str:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.timeout(600)
def test_the_wheel_works_alone(installed: Path, tmp_path: Path) -> None:
    transfer = str(installed / "transfer")
    profiles = json.loads(run(transfer, "profiles", "--json", cwd=tmp_path))["profiles"]
    assert len(profiles) == len(list((ROOT / "device_profiles").glob("*.toml")))

    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content")
    (tmp_path / "device").mkdir()
    run(transfer, "prepare", "device", "--profile", "folder", "--job", "wheel", cwd=tmp_path)
    run(transfer, "copy", "source", "device", cwd=tmp_path)
    run(transfer, "seal", "device", cwd=tmp_path)
    verified = json.loads(run(transfer, "verify", "--deep", "--json", "device", cwd=tmp_path))
    assert verified["valid"]


def test_the_schemas_are_inside(installed: Path, tmp_path: Path) -> None:
    listing = (
        "from transfer.formats.packaged import packaged_names; print(*packaged_names('schemas', '.json'))"
    )
    names = run(str(installed / "python"), "-c", listing, cwd=tmp_path).split()
    assert names
    assert len(names) == len(list((ROOT / "manifests" / "schemas").glob("*.json")))


def test_the_scripts_that_bring_an_older_ledger_up_are_there(installed: Path) -> None:
    program = (
        "from alembic.script import ScriptDirectory\n"
        "from transfer.ledger.versions import VERSION, packaged_scripts\n"
        "assert ScriptDirectory.from_config(packaged_scripts()).get_heads() == [VERSION]\n"
    )
    run(str(installed / "python"), "-c", program, cwd=Path("/"))


def test_the_service_runs_with_its_page(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "dock").mkdir()
    command = [installed / "transfer", "serve", "--dock", "dock", "--bucket", "s3://bucket", "--port", "0"]
    options = ["--state", "state", "--endpoint-url", "http://127.0.0.1:9", "--json"]
    with subprocess.Popen(
        [*command, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as service:
        try:
            assert service.stdout is not None
            url = json.loads(service.stdout.readline())["listening"]
            with urlopen(f"{url}/", timeout=30) as page:
                assert b"<!doctype html>" in page.read().lower()
            with urlopen(f"{url}/v1/openapi.json", timeout=30) as description:
                assert json.load(description)["openapi"].startswith("3.1")
        finally:
            service.terminate()
    assert service.returncode == 0
    assert (tmp_path / "state" / "ledger.sqlite").exists()
