"""One module a version, each with `revision`, `down_revision` and `upgrade`; there is no way back down."""
