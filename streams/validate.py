"""Decodes a rollout, and checks that its arrays fit each other. No other module repeats this check."""

from streams.arrays import LOGPROB_DTYPE, TOKEN_DTYPE
from streams.codec import DecodeError, decode
from streams.messages import Rollout, Segment, Source
from streams.records import Record


def decode_rollout(record: Record) -> Rollout:
    """Raises DecodeError if the record does not decode, or if no learner could use the rollout (`check_rollout`)."""
    rollout = decode(record.value, Rollout)
    check_rollout(rollout)
    return rollout


def check_rollout(rollout: Rollout) -> None:
    """Raises DecodeError unless each policy token has one log-prob and belongs to one version span."""
    lengths = [_count_tokens(number, segment) for number, segment in enumerate(rollout.segments)]
    made = sum(
        count for count, segment in zip(lengths, rollout.segments, strict=True) if segment.source is Source.POLICY
    )
    covered = sum(span.tokens for span in rollout.spans)
    if covered != made:
        raise DecodeError(f"rollout {rollout.rollout_id}: spans cover {covered} of {made} policy tokens")


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
