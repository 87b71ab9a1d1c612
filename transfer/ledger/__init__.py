"""The ledger: the destination's durable record of work. What it says has happened, has happened.

    address      where a ledger is: a file (SQLite), or a URL (PostgreSQL)
    sqlite,      make the one connection, alone: nobody else writes while we do
    postgresql
    versions     the schema, made or brought up to date by the scripts in migrations/
    database     one transaction after the other; driver errors become TransferErrors (failures)
    buffer       what is still to be written, in order (pure)
    recorder     gathers it; one task writes it, batch by batch (writing, bulk)
    devices, jobs, objects, uploads   questions, and the few changes that are not worth a batch
    phases, values, text              words of the room (pure)

Rules of the room:

- What `Recorder.flush` (or any call that is "durable") has returned from survives kill -9 and loss of
  power.
- Batches are written in the order of their recording, each in one transaction: what is there is a prefix.
- Every question is answered from a primary key or a range of an index; what may be long comes in pages.
- It knows what was seen and done, not what ought to be: no rules of import live here.
"""
