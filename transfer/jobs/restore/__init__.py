"""Restore: what a device holds comes back as files, in a directory and never outside of it.

Content is checked against its records before it gets its name. Files come in the order of the packs; hard
links, symbolic links and folders follow; times and rights of folders come last, when nothing changes them any
more.
"""
