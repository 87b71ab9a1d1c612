"""The picture of the README: `python -m tests.service.screenshot OUT.png`.

The page in real Chromium, told believable states by the stub: OUT.png by day and OUT-dark.png by night.
Debian's fonts-roboto-unhinted gives it the typeface that it has on a phone; without it it has another one. A
second argument names a folder for pictures in the sizes of a desktop and a phone, to look at.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from tests.service.browser import Page, chromium
from tests.service.page_stub import (
    GIB,
    OPERATE,
    StubService,
    make_device,
    make_entries,
    make_job,
    make_progress,
    make_tracking,
    stub_service,
)
from transfer.ledger.phases import Phase
from transfer.service.views import Action, CountersView

_NOW: Final = datetime.now(UTC).replace(microsecond=0)
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_SIZES: Final = {"desktop": (1280, 900), "phone": (390, 844)}
_DAMAGED: Final = "zstd frame is damaged: decompression error: Restored data doesn't match checksum"


def tell_a_morning(stub: StubService) -> None:
    """A dock on a busy morning."""
    _tell_devices(stub)
    _tell_moving(stub)
    _tell_ended(stub)


def _ago(**how_long: float) -> str:
    return (_NOW - timedelta(**how_long)).isoformat().replace("+00:00", "Z")


def _tell_devices(stub: StubService) -> None:
    arrived = [
        _ago(days=4, hours=3),
        _ago(days=3, hours=22),
        _ago(days=2, hours=20),
        _ago(hours=3),
        _ago(hours=2),
    ]
    coming = [_ago(days=1, hours=5), _ago(days=1, hours=2), _ago(hours=4)]
    stub.tell(
        make_device("survey-2026-2", job="survey-2026", ordinal=2, size_bytes=1863 * GIB, job_id="a1",
                    tracking=make_tracking(arrived, _ago(hours=3))),
        make_device("survey-2026-3", job="survey-2026", ordinal=3, state="expected", size_bytes=None,
                    tracking=make_tracking(coming, _ago(days=-1))),
        make_device("scanner-07", size_bytes=None, state="refused", reason="it is not sealed"),
        make_device("genome-west", size_bytes=412 * GIB, job_id="a3"),
    )  # fmt: skip


def _tell_moving(stub: StubService) -> None:
    progress = make_progress(0.64, 1863, files_total=48_210, files_done=31_077)
    stub.tell(
        make_job("a1", device_job="survey-2026", ordinal=2, folder="survey-2026-2", phase=Phase.IMPORTING,
                 created=_ago(hours=2), actions=[Action.PAUSE, Action.CANCEL], progress=progress,
                 counters=CountersView(31_077, progress.bytes_imported, 0, 4, 1)),
    )  # fmt: skip


def _tell_ended(stub: StubService) -> None:
    stub.failures["a3"] = make_entries(2, _DAMAGED)
    stub.tell(
        make_job("a3", device_job="genome-west", folder="genome-west", phase=Phase.QUARANTINED,
                 error="the device is damaged: pack-altered: packs/00000003.tar.zst: size or BLAKE3 differs; "
                 "2 entries are not in the bucket",
                 destination="s3://archive/genome/", changed=_ago(minutes=25),
                 counters=CountersView(18_204, 411 * GIB, 2, 0, 0), actions=[Action.RETRY, Action.CANCEL]),
        make_job("a4", device_job="survey-2026", folder=None, phase=Phase.COMPLETE, changed=_ago(hours=19),
                 counters=CountersView(46_902, 1790 * GIB, 0, 3, 0)),
        make_job("a5", device_job="studio-reel-7", folder=None, phase=Phase.COMPLETE,
                 destination="s3://archive/studio/", changed=_ago(days=1, hours=3),
                 counters=CountersView(214, 905 * GIB, 0, 0, 0)),
    )  # fmt: skip


def _draw(page: Page, path: Path, *, scale: float, size: tuple[int, int]) -> None:
    page.resize(*size, scale=scale)
    page.wait_for("Live", "#connection")
    page.screenshot(path, full=True)


def main(out: Path, more: Path | None) -> None:
    """Write the two pictures, and those of more sizes where a folder is given."""
    with stub_service() as stub, chromium() as driver:
        tell_a_morning(stub)
        page = Page(driver, stub.url, height=3000)
        page.sign_in(OPERATE)
        page.wait_for("run-00001", ".failures")
        page.run("document.activeElement.blur()")
        driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        for scheme in _SCHEMES:
            page.emulate(scheme=scheme, reduced_motion=True)
            name = out.name if scheme == "light" else f"{out.stem}-dark{out.suffix}"
            _draw(page, out.with_name(name), scale=1.5, size=(1200, 900))
            for kind, size in _SIZES.items() if more else ():
                _draw(page, Path(more or "", f"{kind}-{scheme}.png"), scale=1, size=size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
