"""Settings of OpenTelemetry traces."""

from typing import Annotated

from pydantic import Field, field_validator

from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection


class TracingSettings(SettingsSection):
    """OpenTelemetry traces of groups, from dispatch to the step that trained on them (infra/docs/tracing.md)."""

    endpoint: str = ""
    """Base URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Empty turns tracing off, which
    then costs nothing. It needs the extra `tracing`. OTEL_EXPORTER_OTLP_HEADERS holds a collector's credentials."""
    ratio: Fraction = 1.0
    """Share of the groups that are traced; a group is traced as a whole or not at all. The hash of its id decides, so
    that every process, and every restart, decides alike. A span costs 0.1 ms, far below what a response takes, so the
    collector's storage is what asks for less than 1."""
    queue: Annotated[int, Field(ge=1), NumberUnit("spans and events")] = 8192
    """Spans and events of a process that wait for the collector, of about 1 KiB each. Those that find it full are
    dropped and counted (`trace_records_dropped_total`): no process waits for a collector. It holds what 64 groups of 16
    responses leave in one stage, eight times over."""
    timeout_seconds: Seconds = 5.0
    """Time limit of one request to the collector, with its retries. What it did not take by then is dropped and
    counted; a process that ends waits for the collector at most one second."""

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError("expected the URL of a collector, such as http://127.0.0.1:4318")
        return endpoint.rstrip("/")
