"""Bytes of a group in the log, by topic: uncompressed, for one replica.

A token of the policy takes eight bytes (an id and a log-probability), one of the prompt four; the text of the response
and the question travel as text (streams.messages). The constants are what the other fields, keys and headers take with
ids and names of usual lengths.

Invariant: a figure is within 15 % of the encoded messages; a test encodes them.
"""

from dataclasses import dataclass, fields

from infra.capacity.hardware import Assumptions
from infra.capacity.rows import RowSizes

_TOKEN = 4
_POLICY_TOKEN = 8
_ROLLOUT = 800
"""Ids, spans, sampling, timings, key and headers."""
_VERDICT = 170
_TICKET = 500
_CLOSING = 260


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecords:
    """Bytes of one group's records, by topic."""

    prompts: int
    rollouts: int
    rtv_requests: int
    genrm_requests: int
    scored: int
    groups_closed: int

    @property
    def total(self) -> int:
        return sum(getattr(self, topic.name) for topic in fields(self))


def group_records(rows: RowSizes, samples: int, assumptions: Assumptions) -> GroupRecords:
    """Records of a group of `samples` responses; requests by the share of the prompts that the route scores."""
    question = rows.prompt * assumptions.token_characters + assumptions.reference_characters
    text = rows.response * assumptions.token_characters
    rollout = _ROLLOUT + _TOKEN * rows.prompt + _POLICY_TOKEN * rows.response + text + question
    judged = assumptions.judged_share
    return GroupRecords(
        prompts=round(_TICKET + rows.prompt * assumptions.token_characters + question),
        rollouts=round(samples * rollout),
        rtv_requests=round(samples * rollout * (1 - judged)),
        genrm_requests=round(samples * rollout * judged),
        scored=round(samples * (rollout + _VERDICT)),
        groups_closed=_CLOSING,
    )


def largest_record(rows: RowSizes, assumptions: Assumptions) -> int:
    """Bytes of the largest record: a scored response of the longest length."""
    question = rows.prompt * assumptions.token_characters + assumptions.reference_characters
    tokens = _TOKEN * rows.prompt + rows.longest_response * (_POLICY_TOKEN + assumptions.token_characters)
    return round(_ROLLOUT + _VERDICT + tokens + question)
