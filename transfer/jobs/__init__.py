"""One verb a module: the only place that owns task groups and workers."""
