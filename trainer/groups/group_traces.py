"""The learner's spans: one per group, from its ticket to its closing, and one per step.

Batches are many-to-one, so a group and the step that trained on it are joined by links: the step's span links to the
dispatch of each of its groups, and the group's span to its verdicts and to the step. Nothing happens while tracing is
off.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.tracing.names import Attribute, SpanName
from infra.tracing.spans import TRACEPARENT, active
from streams.messages import GroupClosed
from trainer.groups.groups import OpenGroup

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class StepTrace:
    """The span of one step."""

    def __init__(self) -> None:
        self.span: Span | None = None
        self.traceparent: str | None = None


@contextmanager
def traced_step(groups: Sequence[OpenGroup], version: int, lineage: int) -> Iterator[StepTrace]:
    """The block is the step that makes `version`; what it logs has the ids of its span."""
    tracing, step = active(), StepTrace()
    if tracing is None:
        yield step
        return
    step.span = tracing.root_span(
        SpanName.STEP,
        links=[group.trace for group in groups if group.trace is not None],
        attributes={Attribute.VERSION: version, Attribute.LINEAGE: lineage, Attribute.GROUPS: len(groups)},
    )
    step.traceparent = tracing.traceparent(step.span)
    try:
        with tracing.within(step.span):
            yield step
    except Exception as error:
        tracing.fail(step.span, type(error).__name__, str(error))
        raise
    finally:
        tracing.end(step.span)


def trace_closing(group: OpenGroup, closing: GroupClosed, step: str | None) -> dict[str, str]:
    """Makes the span of a group that the learner closes; returns the headers of the closing. `step`: traceparent of the
    step that trained on it.
    """
    tracing = active()
    if tracing is None or group.trace is None:
        return {}
    span = tracing.group_span(
        SpanName.CLOSE,
        group.group_id,
        parent=group.trace,
        links=[*group.verdict_traces.values(), *([step] if step else [])],
        start=group.opened_at,
        attributes={
            Attribute.OUTCOME: str(closing.outcome),
            Attribute.REASON: closing.reason or None,
            Attribute.PURPOSE: str(closing.purpose),
            Attribute.STALENESS: closing.staleness,
            Attribute.SCORE: closing.mean_score,
            Attribute.LINEAGE: closing.lineage,
            Attribute.VERSION: closing.version,
        },
    )
    tracing.end(span, max(time.time(), closing.closed_at))
    return {TRACEPARENT: tracing.traceparent(span)}
