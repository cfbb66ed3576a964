"""Numbers with units, and when two agree. For `quantity`."""
