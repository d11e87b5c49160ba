"""What every room may use: clock, log, timeouts, threads, files and error text."""
