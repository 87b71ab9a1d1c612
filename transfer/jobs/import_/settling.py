"""How files end: counted, recorded, and told to the hard links that name them."""

from __future__ import annotations

from transfer.jobs.import_.arbiter import Judgement, Verdict
from transfer.jobs.import_.links import LinkState, LinkStates
from transfer.jobs.import_.outcome import Outcome, Subject
from transfer.jobs.import_.steps import BEGIN_LOST, OLDER, SUPERSEDED, Place, Sending
from transfer.stores.contract import PutResult


class Settlement:
    """The ends of the files of one import.

    Args:
        outcome: told what became of each file.
        links: told what became of files that hard links may name.
    """

    def __init__(self, outcome: Outcome, links: LinkStates) -> None:
        self._outcome = outcome
        self._links = links

    def leave_out(self, place: Place) -> None:
        """A file goes nowhere."""
        self._outcome.superseded += place.why is SUPERSEDED
        self._outcome.versions_left_out += place.why is OLDER

    async def conclude(self, sending: Sending, judgement: Judgement) -> None:
        """A file ends without being sent."""
        match judgement.verdict:
            case Verdict.DONE:
                if judgement.recorded is not None:  # an earlier attempt read it
                    self._outcome.bytes_verified += sending.record.size_bytes
                await self._outcome.was_there(
                    _subject(sending), judgement.etag, judgement.recorded, version_id=judgement.version_id
                )
                self._settle(sending, etag=judgement.etag)
            case Verdict.SKIP:
                await self._outcome.skip(_subject(sending), judgement.reason)
                self._settle(sending, problem=judgement.reason)
            case _:
                reason = judgement.reason or "other writers keep changing it; give the command again"
                await self.fell(sending, reason, integrity=reason is BEGIN_LOST)

    async def done(self, sending: Sending, result: PutResult) -> None:
        """A file was sent."""
        facts = sending.record.object
        self._outcome.tags_omitted += facts is not None and facts.tags_omitted
        made = (result.version_id or "") if sending.version is not None else ""
        await self._outcome.succeeded(_subject(sending), result.etag, version_id=made)
        self._settle(sending, etag=result.etag)

    async def fell(self, sending: Sending, reason: str, *, integrity: bool = False) -> None:
        """A file is not in the bucket."""
        await self._outcome.fell(_subject(sending), reason, integrity=integrity)
        self._settle(sending, problem=reason)

    def _settle(self, sending: Sending, problem: str = "", etag: str = "") -> None:
        record, stand_in = sending.record, sending.stand_in
        state = LinkState(problem=problem, etag=etag, blake3=record.blake3, stand_in=stand_in)
        self._links.settle(sending.run, sending.path, record, state)


def _subject(sending: Sending) -> Subject:
    record = sending.record
    return Subject(sending.spot, sending.path, sending.key, record.size_bytes, record.blake3)
