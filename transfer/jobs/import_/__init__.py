"""import: bring what a device holds into a bucket, reading each pack once, in order.

The way of a byte: `arrival` checks seal and manifest -> `packs` reads frames and their records, in order, and
has them decompressed and checked by threads, within a `budget` of bytes -> `files` makes objects of them:
small ones in one request (`small`), large ones in parts (`upload`) -> `others` settles what has no content of
its own: hard links (by what `links` remembers), folders, symbolic links -> `outcome` counts, `report_files`
writes the report as it goes. `entries` decides what an entry becomes (`objects`: an exported one), for the
import and for `dry_run` alike; `health` ends the job when it is the endpoint that fails and not an object.

Versions of keys: `histories` tells which the device has, `existing_versions` which the bucket has,
`alignment` how far that has come; `version_planning` decides by it, and `turns` has them go one by one.
"""
