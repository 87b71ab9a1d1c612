"""check: is what devices hold the same as what a bucket or a folder holds? Nothing is written anywhere.

`devices` opens one device or several of a job and gives their merged view -> `bucket` lays the listing of a
bucket beside it, `folder` the sorted walk of a folder (`pairing`), whose files `looking` reads in threads ->
`results` counts, `lists` writes every entry where that was asked for -> `job` puts them together.

Packs are not read: what a device holds is what its manifest says, which its seal vouches for.
"""
