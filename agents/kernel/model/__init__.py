"""The plain values of the kernel: events, instructions, records, rules and decisions."""
