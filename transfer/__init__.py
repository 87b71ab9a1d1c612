"""Bulk data transfer by device: fill a disk, ship it, verify it, import it into buckets."""
