"""Bytes to core values and back: strict, versioned, size-limited (manifests/FORMAT.md)."""
