"""A mounted device: layout, lock, capacity, commit, reading back."""
