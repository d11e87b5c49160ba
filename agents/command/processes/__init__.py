"""The processes that commands start: the fork server and worker processes."""
