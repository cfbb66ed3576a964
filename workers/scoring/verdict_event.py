"""A verdict in a trace: the event `gen_ai.evaluation.result` on the span of the response.

Invariant: the event's score, label and explanation are those of the message that goes to the log, and so those of the
row in Postgres.
"""

from typing import Any

from infra.tracing.names import Attribute, EventName
from infra.tracing.spans import active
from streams.messages import ScoredTrajectory, Status
from streams.records import Record
from streams.route_headers import SHADOW_HEADER
from streams.trace_context import generation_of

_WHY_CHARACTERS = 1000
"""A judge's reason may be as long as its answer; its beginning tells what it was about."""


def trace_verdict(record: Record, scored: ScoredTrajectory) -> None:
    """`record`: the one that was scored. Does nothing while tracing is off, or if the response has no span."""
    tracing = active()
    generation = None if tracing is None else generation_of(record)
    if tracing is None or generation is None:
        return
    rollout = scored.rollout
    attributes: dict[Attribute, Any] = {
        Attribute.EVALUATION: scored.scorer,
        Attribute.EVALUATION_SCORE: scored.score,
        Attribute.EVALUATION_LABEL: str(scored.status),
        Attribute.EVALUATION_WHY: scored.why[:_WHY_CHARACTERS].encode(errors="backslashreplace").decode() or None,
        Attribute.GEN_RESPONSE: rollout.rollout_id,
        Attribute.ERROR: str(scored.status) if scored.status is Status.INFRA_ERROR else None,
        Attribute.GROUP: rollout.group_id,
        Attribute.ROUTE: str(scored.route),
        Attribute.SCORER_VERSION: scored.scorer_version,
        Attribute.SCORER_SECONDS: scored.seconds,
        Attribute.SHADOW: True if scored.details.get(SHADOW_HEADER) else None,
    }
    tracing.event(EventName.EVALUATION, generation, attributes)
