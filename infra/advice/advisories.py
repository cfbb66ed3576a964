"""What a run lacks, and what to do about it: pure functions of its measures, the same for the screen, the report,
`status` and `why`.

Invariant: an advisory names what was measured and the setting or command that mends it. Too few measurements give none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from infra.advice.measures import Measures

_FEW_RESPONSES = 32
"""Four groups of eight: fewer say nothing, and a run that learns nothing should be told at its first groups."""
_ALL = 0.99
"""Share that counts as all; one lucky response in a hundred teaches nothing either."""
_ALIKE = 0.9
"""Share of groups without spread above which nine tenths of the rollouts are wasted (infra.scalars: zero_variance)."""
_CUT_OFF = 0.1
"""Healthy share of responses at their limit, as for rollouts_total in infra.scalars."""
_MOST_CUT_OFF = 0.5
"""From here on the cut is the likely cause of what else is wrong: most answers are not finished."""
_SILENT_SECONDS = 300.0
"""Time in training without a trained group that is worth a word: the default deadline of a group."""
_IDLE = 0.5
"""Share of the time in which engines decode nothing; a synchronous run idles while its learner steps, so half."""
_BUSY = 0.9
"""Share of the time that the learner spends in steps from which on it cannot take more."""
_INFRA_ERRORS = 0.05
"""The alert ScorerCannotAnswer's share (infra/prometheus/alerts.yml)."""
_NEAR_TIMEOUT = 0.5
"""Share of its time limit that a mean verdict may take: the slowest in a batch take twice the mean."""
_AWAY_SECONDS = 5.0
"""A part that is away for less is a slow answer or an election (infra.outages)."""
_LOGPROB_DIFF = 0.02
_LOGPROB_DIFF_FLOAT32 = 1e-3
"""Nats. The healthy means of learner_logprob_diff are below 0.02 in bfloat16 and below 1e-4 in float32; ten times the
latter, because reductions in another order reach a few 1e-4 on long responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    kind: str
    what: str
    """What was measured."""
    mend: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.what}: {self.mend}"


def advise(measures: Measures) -> list[Advisory]:
    """Returns the advisories, the most urgent first."""
    return [found for rule in _RULES if (found := rule(measures)) is not None]


def healthy_logprob_diff(*, float32: bool) -> float:
    """The largest mean difference between engine and learner that is healthy, in nats per token. `float32`: whether
    both compute in it.
    """
    return _LOGPROB_DIFF_FLOAT32 if float32 else _LOGPROB_DIFF


def why_untrained(measures: Measures) -> str:
    """Why groups were not trained on: the window's endings, and what their responses have in common."""
    endings = ", ".join(f"{count} {ending}" for ending, count in sorted(measures.outcomes.items())) or "no group closed"
    shares = [
        f"{share:.0%} {name}"
        for name, share in (
            ("scored 0", measures.zero),
            ("scored 1", measures.full),
            ("cut off", measures.cut_off),
        )
        if share >= _CUT_OFF
    ]
    return f"{endings}{'; responses: ' + ', '.join(shares) if shares else ''}"


def _part_away(measures: Measures) -> Advisory | None:
    away = {part: seconds for part, seconds in measures.away.items() if seconds >= _AWAY_SECONDS}
    if not away:
        return None
    what = ", ".join(f"the {part} has not answered for {seconds:.0f} s" for part, seconds in sorted(away.items()))
    return Advisory(kind="part_away", what=what, mend="start it again; what is held waits for it")


def _judge_down(measures: Measures) -> Advisory | None:
    errors = {
        name: scorer.infra_errors for name, scorer in measures.scorers.items() if scorer.infra_errors >= _INFRA_ERRORS
    }
    if measures.waiting:
        what = f"the scorer of {', '.join(measures.waiting)} does not answer"
    elif errors:
        what = ", ".join(f"{share:.0%} of {name}'s verdicts are infra_error" for name, share in sorted(errors.items()))
    else:
        return None
    return Advisory(
        kind="scorer_down",
        what=what,
        mend="check the judge's server (genrm.endpoint) or the verifier; the service's log has the reason",
    )


def _nothing_trained(measures: Measures) -> Advisory | None:
    ended = measures.phase in ("drain", "eval_after", "finished")
    never = measures.trained == 0 and measures.purpose == "train"
    silent = measures.silent_seconds
    if not (never and ended) and (silent is None or silent < _SILENT_SECONDS):
        return None
    when = "nothing was trained" if silent is None else f"nothing was trained for {silent / 60:.0f} min"
    return Advisory(kind="nothing_trained", what=f"{when} ({why_untrained(measures)})", mend=_cause(measures))


def _cause(measures: Measures) -> str:
    """What to do where no group is trained on."""
    endings = {ending.split(" ")[0]: 0 for ending in measures.outcomes}
    for ending, count in measures.outcomes.items():
        endings[ending.split(" ")[0]] += count
    most = max(endings, key=lambda name: endings[name], default="")
    if measures.cut_off >= _MOST_CUT_OFF:
        return _longer(measures)
    if most == "filtered" and measures.zero >= _ALL:
        return _MEND_ZERO
    if most == "filtered":
        return _MEND_ALIKE
    return {
        "expired": "engines or scorers are slower than selector.admission.deadline_seconds: raise it, or add engines",
        "failed": "the scorers gave no verdict: read their logs",
        "stale": "groups are older than learner.max_staleness: lower selector.admission.staleness",
        "": f"{measures.open} groups are in flight: the logs of rollout, scorers and learner say where they wait",
    }.get(most, "the learner's log says what it does")


def _longer(measures: Measures) -> str:
    return (
        f"raise rollout.sampling.max_new_tokens ({measures.max_new_tokens}) and rollout.engine.max_model_tokens with it"
    )


_MEND_ZERO = (
    "`rewardstream why ROLLOUT` shows a verdict with the answer that was read and the expected one; if the verdicts "
    "are right, the prompts are too hard: begin with easier ones or with `rewardstream sft`"
)
_MEND_ALIKE = (
    "such groups teach nothing: take other prompts (selector.preppo.rule=informative), a larger selector.group_size, "
    "or a scorer with more than two values"
)


def _all_zero(measures: Measures) -> Advisory | None:
    if measures.responses < _FEW_RESPONSES or measures.zero < _ALL:
        return None
    cut = measures.cut_off >= _MOST_CUT_OFF
    cut_off = f", {measures.cut_off:.0%} cut off" if cut else ""
    return Advisory(
        kind="all_zero",
        what=f"{measures.zero:.0%} of the latest {measures.responses} responses scored 0{cut_off}",
        mend=_longer(measures) if cut else _MEND_ZERO,
    )


def _all_alike(measures: Measures) -> Advisory | None:
    if measures.responses < _FEW_RESPONSES or measures.alike is None or measures.alike < _ALIKE:
        return None
    if measures.zero >= _ALL:
        return None  # said by _all_zero
    easy = f" ({measures.full:.0%} of the responses scored 1)" if measures.full >= _ALIKE else ""
    return Advisory(
        kind="all_alike",
        what=f"{measures.alike:.0%} of the latest groups have scores without spread{easy}",
        mend="the prompts are too easy: take harder ones" if easy else _MEND_ALIKE,
    )


def _cut_off(measures: Measures) -> Advisory | None:
    if measures.responses < _FEW_RESPONSES or measures.cut_off < _CUT_OFF:
        return None
    if measures.cut_off >= _MOST_CUT_OFF and measures.zero >= _ALL:
        return None  # said by _all_zero
    what = f"{measures.cut_off:.0%} of the latest {measures.responses} responses were cut off"
    return Advisory(kind="cut_off", what=what, mend=_longer(measures))


def _scorer_slow(measures: Measures) -> Advisory | None:
    slow = {
        name: scorer
        for name, scorer in measures.scorers.items()
        if scorer.seconds >= _NEAR_TIMEOUT * scorer.timeout_seconds
    }
    if not slow:
        return None
    what = ", ".join(
        f"{name} takes {scorer.seconds:.1f} s per verdict of the {scorer.timeout_seconds:g} s that it has"
        for name, scorer in sorted(slow.items())
    )
    return Advisory(
        kind="scorer_slow",
        what=what,
        mend="a judge needs more capacity (genrm.connections, another server), a verifier more rtv.workers",
    )


def _learner_limits(measures: Measures) -> Advisory | None:
    if measures.phase != "train" or measures.busy is None or measures.idle is None:
        return None
    if measures.busy < _BUSY or measures.idle < _IDLE:
        return None
    return Advisory(
        kind="learner_limits",
        what=f"the learner steps for {measures.busy:.0%} of the time, and the engines wait for {measures.idle:.0%}",
        mend="the learner is the bottleneck: give it more devices or threads (learner.processes, learner.threads), or "
        "larger rows (learner.packed_row_tokens)",
    )


def _engines_idle(measures: Measures) -> Advisory | None:
    if (
        measures.phase != "train"
        or measures.idle is None
        or measures.idle < _IDLE
        or _learner_limits(measures) is not None
    ):
        return None
    return Advisory(
        kind="engines_idle",
        what=f"the engines decoded nothing for {measures.idle:.0%} of the last minute",
        mend="raise selector.admission.staleness or groups_per_step, unless a scorer holds the groups up",
    )


def _policies_differ(measures: Measures) -> Advisory | None:
    limit = healthy_logprob_diff(float32=measures.float32)
    if measures.logprob_diff is None or measures.logprob_diff <= limit:
        return None
    return Advisory(
        kind="policies_differ",
        what=f"engine and learner differ by {measures.logprob_diff:.2g} nats per token (healthy: below {limit:g})",
        mend="they compute the policy differently, which importance weights correct in part only: float32 in both "
        "(model.dtype, learner.autocast) tells precision from a wrong temperature or refused weights (weights_refused)",
    )


_RULES: tuple[Callable[[Measures], Advisory | None], ...] = (
    _part_away,
    _judge_down,
    _policies_differ,
    _nothing_trained,
    _all_zero,
    _all_alike,
    _cut_off,
    _scorer_slow,
    _learner_limits,
    _engines_idle,
)
