"""Bringing objects of a bucket onto devices: listing and selection, comparison with what is there, many small
objects at once in worker processes, large ones by ranges, all in the order of their keys.
"""
