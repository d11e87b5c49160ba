"""Plain functions on this machine: a manager and its worker processes behind one object."""
