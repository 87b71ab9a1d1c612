"""verify: is what is on the device what was put there?

`stored` compares the files with seal and segments, `sealed` the seal with the segments, `records` follows the
records by their rules, `frames` opens every frame where that is asked for; `links` looks for what hard links
name.
"""
