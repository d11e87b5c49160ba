"""A client: submits tasks to a manager that runs in another process, and takes their results."""
