"""plan: what a source would take of devices and time, and what its destination would refuse.

Nothing is copied and nothing is written but the list that is asked for. A folder is walked as copy walks it,
a bucket is listed. Memory does not grow with the number of entries.
"""
