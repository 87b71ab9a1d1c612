"""copy: bring a source folder onto a device.

The way of a byte: `walk` finds entries in path order -> `plan` compares them with what the device has and
cuts the work into batches of small entries and single large files -> `packing` (in worker processes) turns a
batch into finished frames and their records, `large` (in threads) cuts a large file into chunk frames.
`folder` joins all this to `transfer.jobs.filling`, which keeps it in order, appends and commits.
"""
