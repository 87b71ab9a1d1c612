"""Bulk data transfer by device: fill a disk, ship it, verify it, import it into buckets."""

__version__ = "0.1.0"
