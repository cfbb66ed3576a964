"""Verdicts from processes that can be killed."""
