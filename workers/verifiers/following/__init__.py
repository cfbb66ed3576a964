"""Checkers of instructions, those of the benchmarks and our own, and vetoes. For `instructions` and `sentence`."""
