"""Queries, database instances and rows. For `sql`."""
