"""Stand-in for SuperAGI's package; see README.md."""
