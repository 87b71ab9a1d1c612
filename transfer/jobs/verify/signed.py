"""The seal's signature: is it of this seal, and does somebody vouch for its key?

A signature that is there must be one of this seal, whoever asks. With allowed signers it must be there, and
they must allow it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from transfer.device.device import Device
from transfer.device.layout import SEAL_NAME, SIGNATURE_NAME
from transfer.device.signature import SignedBy, is_signed, signing_key, vouched_for
from transfer.errors import DeviceError, FormatError, IntegrityError
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.verify.findings import Finding, Report

CODES = frozenset({"signature-missing", "signature-invalid", "signature-wrong", "signer-unknown"})
"""What is found of signatures: a device that must be signed is not to be taken with any of these."""


def refuse_unsealed(report: Report) -> None:
    """Report a device that is not sealed where it must be signed."""
    detail = "the device is not sealed, so nobody signed for it"
    report(Finding(code="signature-missing", file=SEAL_NAME, detail=detail))


def check_signature(
    device: Device, seal: bytes, signers: AllowedSigners | None, report: Report
) -> SignedBy | None:
    """Who signed the seal; None where nobody did, or not so that it counts, which is reported.

    Args:
        device: a sealed one.
        seal: the bytes of SEAL.json that everything else is held against.
        signers: whose signatures count; None: nobody asks who signed.
        report: told what is wrong.
    """
    if not is_signed(device.layout):
        if signers is not None:
            report(Finding(code="signature-missing", file=SIGNATURE_NAME, detail="the seal is not signed"))
        return None
    try:
        public = signing_key(device.layout, seal)
    except (FormatError, DeviceError) as error:
        report(Finding(code="signature-invalid", file=SIGNATURE_NAME, detail=error.what))
        return None
    except IntegrityError as error:
        report(Finding(code="signature-wrong", file=SIGNATURE_NAME, detail=error.what))
        return None
    try:
        return vouched_for(public, signers, datetime.now(UTC))
    except IntegrityError as error:
        report(Finding(code="signer-unknown", file=SIGNATURE_NAME, detail=error.what))
        return None
