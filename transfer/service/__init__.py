"""The ingest service: takes devices as they arrive at a dock, imports them, and tells where things stand.

ingest/    the dock and its imports
http/      the API, the web page, metrics
views      what the one tells the other: the JSON of the API, as values
refusals   what may not be asked
serving    both as one process: signals, ledger, tokens, a graceful stop
logs       JSON lines
"""
