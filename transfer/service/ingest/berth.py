"""A folder of the dock, and what is known of it. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass

from transfer.core.paths import display
from transfer.formats.documents import DeviceDocument
from transfer.service.ingest.papers import Paper
from transfer.service.views import DeviceState, DeviceView


@dataclass(slots=True, eq=False)
class Berth:
    """A folder of the dock.

    Attributes:
        name: as the disk has it.
        changed_s: of the monotonic clock; when something in it was last seen to change.
        is_due: it is to be looked at, once it has settled.
        print_: of its content, when it was last asked for; empty: not since it changed.
        is_being_looked_at: in a thread, right now.
        may_pass: it was refused for a reason that may be over without any file being changed.
        state, reason, document, size_bytes, job_id, signed_by: as `views.DeviceView` has them.
        twin: the name of the folder that holds the same device and was there first.
    """

    name: str
    changed_s: float
    is_due: bool = True
    print_: str = ""
    is_being_looked_at: bool = False
    may_pass: bool = False
    state: DeviceState = "arriving"
    reason: str | None = None
    document: DeviceDocument | None = None
    size_bytes: int | None = None
    job_id: str | None = None
    signed_by: str | None = None
    twin: str | None = None

    @property
    def device_id(self) -> str | None:
        """As DEVICE.json has it; None where that was not read."""
        return self.document.device_id if self.document is not None else None

    @property
    def facts(self) -> dict[str, str]:
        """For the log."""
        facts = {"folder": shown(self.name)}
        if self.document is not None:
            facts["device_id"] = self.document.device_id
        if self.job_id is not None:
            facts["job_id"] = self.job_id
        return facts

    def changed(self, now_s: float) -> None:
        """Something in it changed."""
        self.changed_s, self.is_due, self.print_ = now_s, True, ""

    def refuse(self, reason: str, document: DeviceDocument | None, *, may_pass: bool = False) -> None:
        """It is not taken."""
        self.state, self.reason, self.document, self.may_pass = "refused", reason, document, may_pass
        self.size_bytes = self.job_id = self.signed_by = self.twin = None

    def accept(
        self, document: DeviceDocument, size_bytes: int, job_id: str, signed_by: str | None = None
    ) -> None:
        """It has a job."""
        self.signed_by = signed_by
        self.state, self.document, self.size_bytes, self.job_id = "accepted", document, size_bytes, job_id
        self.reason, self.may_pass, self.twin = None, False, None

    def view(self, paper: Paper | None) -> DeviceView:
        """As it is shown; `paper` is the record of its way."""
        document = self.document
        return DeviceView(
            folder=shown(self.name),
            device_id=document.device_id if document else None,
            job=document.job if document else None,
            ordinal=document.ordinal if document else None,
            state=self.state,
            reason=self.reason,
            size_bytes=self.size_bytes,
            tracking=paper.view if paper else None,
            job_id=self.job_id,
            signed_by=self.signed_by,
        )


def expected_view(paper: Paper) -> DeviceView:
    """A device that its carrier has."""
    return DeviceView(
        folder=paper.folder,
        device_id=paper.device_id,
        job=paper.job,
        ordinal=paper.ordinal,
        state="expected",
        reason=None,
        size_bytes=paper.size_bytes,
        tracking=paper.view,
        job_id=None,
    )


def shown(name: str) -> str:
    """A folder's name for people: what is no UTF-8 becomes escapes."""
    return display(os.fsencode(name))
