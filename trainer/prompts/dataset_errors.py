"""The two ways in which a dataset can be wrong.

Invariant: a DatasetError ends the reading of a file, a RowError sets one row aside; the text of both says what to do.
"""


class DatasetError(ValueError):
    """The whole file cannot be read; the text names it and says what to do."""


class RowError(ValueError):
    """One row is not a prompt; the text says why."""
