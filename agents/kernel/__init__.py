"""The pure kernel: events and the time in, instructions out.

Nothing here knows a clock, a loop, a network, randomness or a log; a test reads the imports.
"""
