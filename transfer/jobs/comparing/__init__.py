"""What a device should have made of a place, laid beside what is there; certify and check are built of it.

`expected` knows which objects an import makes of a device (`originals` the content of hard links, `older`
what is passed over), and `told` brings them in the order of their keys -> `listing` is the bucket's side ->
`examiner` finds the evidence for one object, and `ordered` has many of them under way at once with their
order kept.
"""
