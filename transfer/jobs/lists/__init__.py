"""Lists for other programs, written from a device's manifest: b3sum, S3 Inventory, a bill of materials.

No content is read; what a list says is what the manifest says. Entries come in path order, each list is
written aside and gets its name when it is whole.
"""
