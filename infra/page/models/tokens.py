"""The tokens of a rollout as a strip: text, log-probability and mask of each. Pure.

Invariant: the strip has every token of the message, in order, and a number that the log does not have is None.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.arrays import unpack_logprobs, unpack_tokens
from streams.messages import Rollout, Source

Decode = Callable[[Sequence[int]], list[str]]
"""Token ids -> the text of each; a character of several tokens stands at its last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRun:
    """Consecutive tokens of one maker."""

    source: str
    """`prompt`, `policy` or `environment`."""
    masked: bool
    """Whether the tokens carry no loss."""
    version: int | None
    """Policy version that made them; None if the policy did not."""
    ids: Sequence[int]
    texts: Sequence[str]
    """Empty if no tokenizer was found."""
    logprobs: Sequence[float]
    """Behaviour log-probabilities in nats, as the engine measured them; empty if the policy did not make them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStrip:
    runs: Sequence[TokenRun]
    masked_why: str
    """Why the policy's own tokens carry no loss; empty if they do."""


def strip_of(rollout: Rollout, decode: Decode | None, *, mask_cut_off: bool) -> TokenStrip:
    """`mask_cut_off`: whether the learner gives no loss to responses that the token limit cut off."""
    cut = mask_cut_off and rollout.finish_reason == "length"
    spans = iter([(span.version, span.tokens) for span in rollout.spans])
    version, left = next(spans, (None, 0))
    runs: list[TokenRun] = []
    for segment in rollout.segments:
        ids = unpack_tokens(segment.token_ids).tolist()
        texts = decode(ids) if decode is not None else []
        if segment.source is not Source.POLICY:
            runs.append(TokenRun(source=segment.source, masked=True, version=None, ids=ids, texts=texts, logprobs=[]))
            continue
        logprobs = [float(value) for value in unpack_logprobs(segment.logprobs)]
        start = 0
        while start < len(ids):
            while not left:
                version, left = next(spans, (None, len(ids)))
            end = min(len(ids), start + left)
            left -= end - start
            part = slice(start, end)
            runs.append(
                TokenRun(
                    source=Source.POLICY, masked=cut, version=version, ids=ids[part], texts=texts[part],
                    logprobs=logprobs[part],
                )
            )  # fmt: skip
            start = end
    why = "the token limit cut the response off, and learner.overlong.mask gives such responses no loss" if cut else ""
    return TokenStrip(runs=runs, masked_why=why)
