"""The command line: options to jobs, errors to exit codes."""
