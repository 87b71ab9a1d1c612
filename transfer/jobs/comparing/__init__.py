"""What a device should have made of a place, laid beside what is there; certify and check are built of it.

`expected` tells which objects an import makes of a device, in the order of their keys (`originals` knows the
content of hard links) -> `listing` is the bucket's side -> `examiner` finds the evidence for one object, and
`ordered` has many of them under way at once with their order kept.
"""
