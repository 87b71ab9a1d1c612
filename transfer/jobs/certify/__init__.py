"""certify: is all that a device holds in the bucket? What is found is signed, and can be checked later.

`expected` tells which objects an import makes of the device, in the order of their keys (`originals` knows
the content of hard links) -> `listing` lays the bucket's listing beside them -> `examiner` finds the evidence
for each -> `tally` counts -> `output` writes the three files -> `job` signs. `check` goes the same way from a
certificate alone: neither device nor content is needed. `papers` reads certificates back.
"""
