"""What a manager and its worker processes give on this machine, measured for `muster bench`."""
