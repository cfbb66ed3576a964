"""Settings of what a process writes to its log."""

from typing import Literal

from infra.settings.section import SettingsSection


class LogSettings(SettingsSection):
    """The log lines of every process."""

    format: Literal["text", "json"] = "text"
    """`text`: a line for people. `json`: one JSON object per line, with time (RFC 3339, UTC), level, logger, service,
    run, message, and exception, trace_id and span_id where there are such; for collectors such as Loki or
    Elasticsearch."""
