"""What the command line shows in a terminal, and how it reacts to signals."""
