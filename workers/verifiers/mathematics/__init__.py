"""Expressions: where they stand in a text, how they are written, when two are equal. For `math`."""
