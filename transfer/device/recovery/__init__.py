"""What a device carries so that it can be read without this software (FORMAT.md §15).

Two files go into the root of every device, and are listed in its seal:

* `recover.sh`: restores with sh, zstd and tar alone, whatever packs are missing or damaged;
* `RECOVERY.txt`: one page for a person who has the disk and nothing else.

The script is the same on every device. The page names the device; all else in it is fixed. Neither is ever
run or read by this software: it restores through the manifest, and so knows more than tar can tell.
"""

from __future__ import annotations

from importlib.resources import files

_TEXT_PLACES = ("job", "device_id", "created")


def recover_script() -> bytes:
    """The bytes of `recover.sh`, a POSIX shell script."""
    return _resource("recover.sh")


def recovery_text(job: str, device_id: str, created: str, *, encrypted: bool = False) -> bytes:
    """The bytes of `RECOVERY.txt` for one device, as UTF-8.

    Args:
        job: name of the job, as in DEVICE.json.
        device_id: UUID of the device, as in DEVICE.json.
        created: when the device was prepared, RFC 3339 in UTC.
        encrypted: packs and segments are age files; the page then begins with what that means.
    """
    text = _resource("RECOVERY.txt").decode()
    if encrypted:
        head, rest = text.split("\nRESTORE ALL\n", 1)
        text = f"{head}\n{_resource('ENCRYPTED.txt').decode()}\nRESTORE ALL\n{rest}"
    for place, value in zip(_TEXT_PLACES, (job, device_id, created), strict=True):
        text = text.replace("{" + place + "}", value)
    return text.encode()


def _resource(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
