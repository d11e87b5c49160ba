"""The options of each command, as typer reads them."""
