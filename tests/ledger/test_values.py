"""Job ids."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from transfer.ledger.values import JobIdentity

TEXTS = st.tuples(*[st.text(max_size=5)] * 5)


@given(TEXTS, TEXTS)
def test_different_imports_have_different_ids(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assume(one != other)
    assert JobIdentity(*one).job_id != JobIdentity(*other).job_id


def test_the_id_never_changes() -> None:
    """Ledgers in use have it."""
    identity = JobIdentity("7f0c8a54-6e0f-4d0e-9d2b-0d7a3f6f2b11", "5e" * 32, "bucket", "ü/", "")
    assert identity.job_id == "242ff28d-412b-537b-96a0-b57c694c1302"
