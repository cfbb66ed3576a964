"""Decodes the records of the loop and checks the rules over several fields. No other module repeats these checks.

Invariant: what passes can be used by every consumer: ids agree with each other, arrays fit each other, the sample is
one of its group's, and a score is missing if and only if the scorer failed.
"""

from typing import TypeVar

import msgspec

from streams.arrays import LOGPROB_DTYPE, TOKEN_DTYPE
from streams.codec import DecodeError, decode
from streams.messages import (
    PromptTicket,
    Rollout,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    group_id,
    rollout_id,
)
from streams.records import Record

_TEXTS = {"group_id": 128, "prompt_id": 64, "domain": 64, "run_id": 64}
"""Longest ids in characters, as Postgres keeps them."""
_TURN = {"role", "content"}
M = TypeVar("M", bound=msgspec.Struct)
N = TypeVar("N", bound="NamedGroup")


class NamedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The fields by which a message that cannot be used names its group. Other fields of it are not looked at."""

    run_id: str
    group_id: str
    seq: int


class NamedSample(NamedGroup, frozen=True, kw_only=True):
    """The same for one sample of a group."""

    index: int


class _NamedVerdict(msgspec.Struct, frozen=True):
    rollout: NamedSample


def decode_ticket(record: Record) -> PromptTicket:
    """Raises DecodeError if the record does not decode, or if no group can be made of it."""
    ticket = decode(record.value, PromptTicket)
    _require_ids(ticket)
    if not ticket.messages:
        raise DecodeError(f"ticket {ticket.group_id}: it has no turns; with them it was larger than a record")
    for turn in ticket.messages:
        if turn.keys() < _TURN:
            raise DecodeError(f"ticket {ticket.group_id}: a turn has {sorted(turn)} instead of role and content")
    return ticket


def decode_rollout(record: Record) -> Rollout:
    """Raises DecodeError if the record does not decode, or if no learner could use the rollout (`check_rollout`)."""
    rollout = decode(record.value, Rollout)
    check_rollout(rollout)
    return rollout


def decode_scored(record: Record) -> ScoredTrajectory:
    """Raises DecodeError if the record does not decode, or if the verdict means nothing (`check_scored`)."""
    scored = decode(record.value, ScoredTrajectory)
    check_scored(scored)
    return scored


def check_scored(scored: ScoredTrajectory) -> None:
    """Raises DecodeError unless there is a score exactly if the scorer gave one, for a rollout that can be used."""
    check_rollout(scored.rollout)
    if (scored.score is None) != (scored.status is Status.INFRA_ERROR):
        raise DecodeError(f"verdict on {scored.rollout.rollout_id}: {scored.status} with score {scored.score}")


def check_rollout(rollout: Rollout) -> None:
    """Raises DecodeError unless the rollout is a sample of its group, and each policy token has one log-prob and
    belongs to one version span. A rollout without segments is a light copy, which says which sample it is and no more.
    """
    _require_ids(rollout)
    if rollout.index >= rollout.group_size:
        raise DecodeError(f"rollout {rollout.rollout_id}: its group has only {rollout.group_size} samples")
    if rollout.rollout_id != rollout_id(rollout.group_id, rollout.index):
        raise DecodeError(f"rollout {rollout.rollout_id!r}: it is sample {rollout.index} of {rollout.group_id}")
    if not rollout.segments:
        return
    lengths = [_count_tokens(number, segment) for number, segment in enumerate(rollout.segments)]
    made = sum(
        count for count, segment in zip(lengths, rollout.segments, strict=True) if segment.source is Source.POLICY
    )
    covered = sum(span.tokens for span in rollout.spans)
    if covered != made:
        raise DecodeError(f"rollout {rollout.rollout_id}: spans cover {covered} of {made} policy tokens")


def group_named_in(record: Record) -> NamedGroup | None:
    """Returns the group that a ticket names which cannot be used; None if it names none."""
    return _named(_lenient(record, NamedGroup))


def sample_named_in(record: Record) -> NamedSample | None:
    """Returns the sample that a verdict names which cannot be used; None if it names none."""
    found = _lenient(record, _NamedVerdict)
    return None if found is None else _named(found.rollout)


def _lenient(record: Record, kind: type[M]) -> M | None:
    try:
        return decode(record.value, kind)
    except DecodeError:
        return None


def _named(found: N | None) -> N | None:
    """Returns what was found if its fields agree with each other."""
    agrees = found is not None and 0 <= found.seq < 2**63 - 1 and found.group_id == group_id(found.run_id, found.seq)
    return found if agrees else None


def _require_ids(message: PromptTicket | Rollout) -> None:
    """Raises DecodeError."""
    for name, limit in _TEXTS.items():
        value: str = getattr(message, name)
        if len(value) > limit or "\x00" in value:
            raise DecodeError(f"{name} is longer than {limit} characters or contains NUL: {value[:limit]!r}")
    if message.group_id != group_id(message.run_id, message.seq):
        raise DecodeError(f"group {message.group_id!r} is not number {message.seq} of run {message.run_id!r}")


def _count_tokens(number: int, segment: Segment) -> int:
    """Raises DecodeError if the segment's bytes do not fit each other."""
    tokens, rest = divmod(len(segment.token_ids), TOKEN_DTYPE.itemsize)
    if rest:
        raise DecodeError(f"segment {number}: {len(segment.token_ids)} bytes are not int32 token ids")
    expected = tokens * LOGPROB_DTYPE.itemsize if segment.source is Source.POLICY else 0
    if len(segment.logprobs) != expected:
        raise DecodeError(
            f"segment {number}: {len(segment.logprobs)} bytes of log-probabilities instead of {expected} "
            f"for {tokens} tokens of {segment.source}"
        )
    return tokens
