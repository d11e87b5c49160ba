"""Skills files: what workers have shown, kept from one run to the next, edited and shown."""
