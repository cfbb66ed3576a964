"""Names of the files in a run's folder that one part writes and others read."""

STEPS_FILE = "steps.jsonl"
"""One JSON line per step of the learner."""
SERIES_FILE = "metrics.jsonl"
"""One JSON line per sample of the run's metrics."""
