"""age v1 files (age-encryption.org/v1) with X25519 recipients: written and read, strictly and fast.

`keys` are what people hold, `header` and `x25519` wrap the key of one file, `stream` seals its chunks;
`writer` and `reader` put them together. Passphrases, SSH keys, plugins and ASCII armor are not handled here:
other stanzas are parsed and passed over. Python cannot wipe memory; keys live until they are collected.
"""
