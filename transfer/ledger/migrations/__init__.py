"""The scripts that lead from one version of the schema to the next; Alembic runs them (see ../versions.py).

A script never changes once released, and imports nothing of this room: the code
moves on, the script must not.
"""
