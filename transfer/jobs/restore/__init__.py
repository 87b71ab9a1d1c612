"""Restore: what devices hold comes back as files, in a directory and never outside of it.

Content is checked against its records before it gets its name. Files come in the order of the packs, written
by worker processes; hard links, symbolic links and folders follow; times and rights of folders come last,
when nothing changes them any more.

Who does what: `arrivals` and `units` put the devices in order, `ahead` and `places` look ahead where names or
links ask for it, `planning` decides about each frame before it is read, `files` reads and hands on, `small`
(in `worker` processes, by way of `pool`) and `large` write, `others` makes what has no content.
"""
