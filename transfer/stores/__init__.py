"""One small asynchronous contract for object stores, its adapters and its decorators."""
