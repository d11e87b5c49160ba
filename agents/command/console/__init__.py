"""The terminal of a command: output, progress, logging, signals and exit codes."""
