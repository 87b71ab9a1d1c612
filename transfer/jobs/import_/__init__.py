"""import: bring what a device holds into a bucket, reading each pack once, in order.

The way of a byte: `packs` reads frames and their records, in order, and has them decompressed and checked by threads -> `files` makes objects of them: small ones in one
request (`single`), large ones in parts (`upload`), an object being completed only when every chunk of it was verified -> `others` settles what has no content of its
own, hard links, folders, symbolic links -> `outcome` counts and writes the report as it goes.
"""
