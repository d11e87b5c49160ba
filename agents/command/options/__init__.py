"""The options of each command, declared for Typer."""
