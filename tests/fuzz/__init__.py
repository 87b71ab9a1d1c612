"""Fuzzing of everything that reads bytes from a device.

The law for each target: what is read is accepted, or refused with a documented error (`TransferError`); never
another exception, never a hang, never more than 256 MiB beyond the process at rest, never a path outside of a
destination, never more output than was promised. `targets` says what each one holds besides.

    python -m tests.fuzz                          every target for 20 s
    python -m tests.fuzz --seconds 3600 age       one target for an hour
    python -m tests.fuzz --replay FILE            one case once more

`mutation` and `json_mutation` change cases; `crafting` and `devices` put what was changed inside into files
whose digests, counts and seals agree again; `engine` runs a target in a process of its own, under a limit of
memory; `report` watches that process. Chance comes from --seed alone: one seed, one sequence of cases.
"""
