"""What the log says about one group, as plain frozen data.

Invariant: token ids and log-probabilities are those of the engine, unchanged; arrays are read-only views of the
messages where that is possible.
"""

from dataclasses import dataclass

from streams.messages import GroupClosed, Outcome, Purpose, Question, Rollout, Route, ScoredTrajectory, Status
from streams.route_headers import route_of
from streams.scored_rows import answer_of
from trainer.groups.groups import OpenGroup
from trainer.step.trajectory import SampledTokens, sampled_tokens


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoredSample:
    """One response with its verdict. Shapes: P prompt tokens, T tokens after the prompt, N of them by the policy."""

    rollout_id: str
    index: int
    """Position in the group, from 0."""
    text: str
    """The policy's text, special tokens skipped."""
    finish_reason: str
    """`stop` (end token) or `length`."""
    score: float | None
    """In [0, 1]; None exactly if the scorer failed (status `infra_error`)."""
    status: Status
    why: str
    """The scorer's reason."""
    answer: str | None
    """The answer that the verifier read in the response; None if it says of none."""
    scorer: str
    scorer_version: str
    tokens: SampledTokens | None
    """The prompt's token ids [P], those after it [T], which of these the policy sampled [T], and for each of those the
    log-prob under the sampling distribution, version and lineage [N]. None if the learner could not use the record
    either, in which case the group ended as failed."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoredGroup:
    """A closed group: one prompt, its responses, their verdicts, and how the run's own learner ended it."""

    run_id: str
    group_id: str
    seq: int
    """Position in the run's dispatch order, from 0."""
    prompt_id: str
    domain: str
    purpose: Purpose
    messages: tuple[dict[str, str], ...] | None
    """The prompt's chat turns, each with `role` and `content`; None if retention has removed the ticket."""
    question: Question | None
    """What the scorer was asked; None if neither the ticket nor a verdict is in the log."""
    temperature: float | None
    """The temperature of the sampling; 0 means greedy. None as for `question`."""
    route: Route | None
    """Whether a verifier (`rtv`) or the judge (`genrm`) scored it. None as for `question`."""
    size: int
    """Number of samples that were asked for."""
    samples: tuple[ScoredSample, ...]
    """Sorted by index. All are there if it was trained, filtered or stale; an expired or failed one may lack some."""
    outcome: Outcome
    reason: str
    """Why it ended so, such as zero_variance; empty for most trained groups."""
    version: int
    """The policy version of the run's learner when it closed the group (for `trained`: the one that the step made)."""
    staleness: int | None
    """Versions between the oldest token and the step; None if the group was not trained."""
    closed_at: float
    """Unix seconds."""

    @property
    def complete(self) -> bool:
        """Whether every sample is there and has a score."""
        return len(self.samples) == self.size and all(sample.score is not None for sample in self.samples)


@dataclass(frozen=True, slots=True)
class PromptTurns:
    """What the ticket says and no verdict repeats."""

    messages: tuple[dict[str, str], ...]
    question: Question
    temperature: float


def scored_group(group: OpenGroup, turns: PromptTurns | None, closing: GroupClosed) -> ScoredGroup:
    verdicts = list(group.trajectories())
    question, temperature = None, None
    if turns is not None:
        question, temperature = turns.question, turns.temperature
    elif verdicts:
        question, temperature = verdicts[0].rollout.question, verdicts[0].rollout.sampling.temperature
    return ScoredGroup(
        run_id=closing.run_id,
        group_id=closing.group_id,
        seq=closing.seq,
        prompt_id=group.prompt_id,
        domain=group.domain,
        purpose=closing.purpose,
        messages=None if turns is None else turns.messages,
        question=question,
        temperature=temperature,
        route=None if question is None else route_of(question),
        size=group.size,
        samples=tuple(_sample(verdict) for verdict in verdicts),
        outcome=closing.outcome,
        reason=closing.reason,
        version=closing.version,
        staleness=closing.staleness,
        closed_at=closing.closed_at,
    )


def _sample(verdict: ScoredTrajectory) -> ScoredSample:
    rollout = verdict.rollout
    return ScoredSample(
        rollout_id=rollout.rollout_id,
        index=rollout.index,
        text=rollout.text,
        finish_reason=rollout.finish_reason,
        score=verdict.score,
        status=verdict.status,
        why=verdict.why,
        answer=answer_of(verdict),
        scorer=verdict.scorer,
        scorer_version=verdict.scorer_version,
        tokens=_tokens(rollout),
    )


def _tokens(rollout: Rollout) -> SampledTokens | None:
    try:
        return sampled_tokens(rollout)
    except ValueError:  # the learner refused it for the same reason, and closed the group as failed
        return None
