"""Pre-PPO prompt selection as a pure function (arXiv 2503.22230, section 3.2).

The paper scores every new prompt with the reward model, normalises within its domain, keeps the lowest-scoring fraction
of the new prompts, and adds the original ones unfiltered. This project adds k responses of the initial policy per
prompt, a choice of two normalisations, and the guard below.

Invariant: every prompt gets exactly one decision, with a readable reason.

Guard: a low score may also mean that the reference is wrong. If a prompt has a ground truth, and nearly all responses
agree with each other but are scored as wrong, the prompt is quarantined until someone checks it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Literal

AGREEMENT = 0.8
"""Fraction of equal responses from which a prompt is suspicious: 4 of 5, so that one different response hides
nothing."""
_MIN_RESPONSES = 3
"""With fewer responses, equal answers are too often a coincidence."""
_WRONG_BELOW = 0.5

Normalise = Literal["rank", "zscore"]


@dataclass(frozen=True, slots=True)
class SelectionCandidate:
    """A prompt with what the selection needs to know about it."""

    prompt_id: str
    domain: str
    origin: str
    """`original` or `new`."""
    scores: tuple[float, ...] = ()
    """Scores of its responses, in [0, 1]; empty if it was not measured."""
    answers: tuple[str, ...] = ()
    """The responses' texts, in the order of the scores; empty if the texts are not used."""
    has_truth: bool = False
    basis: str = ""
    """Describes the scores in the reason; empty means one score per response."""
    quarantined: str | None = None
    """Why it was quarantined earlier."""
    former: bool | None = None
    """Whether the round before selected it, if it was measured, but not on its present route."""


@dataclass(frozen=True, slots=True)
class Decision:
    prompt_id: str
    selected: bool
    why: str
    normalised: float | None = None
    """Rank in (0, 1) or z-score within the domain; None for prompts that were not ranked."""
    quarantine: bool = False
    """Whether the prompt has become suspicious."""


def select(
    candidates: Sequence[SelectionCandidate], keep_share: float, normalise: Normalise = "rank"
) -> list[Decision]:
    """Keeps the fraction `keep_share` in (0, 1] of the measured new prompts, rounded up.

    Ties are broken by id, which is a hash. The decisions are in the order of the candidates.
    """
    suspicious = {item.prompt_id: why for item in candidates if (why := suspicion(item)) is not None}
    ranked = [item for item in candidates if _is_ranked(item) and item.prompt_id not in suspicious]
    means = {item.prompt_id: fmean(item.scores) for item in ranked}
    normalised = normalise_within_domains({item.prompt_id: item.domain for item in ranked}, means, normalise)
    order = sorted(normalised, key=lambda prompt_id: (normalised[prompt_id], prompt_id))
    place = {prompt_id: index for index, prompt_id in enumerate(order)}
    kept = math.ceil(keep_share * len(order) - 1e-9)  # 0.1 * 30 is 3.0000000000000004

    def decide(item: SelectionCandidate) -> Decision:
        if item.quarantined is not None:
            return Decision(item.prompt_id, False, f"out: quarantined: {item.quarantined}")
        if item.prompt_id in suspicious:
            return Decision(item.prompt_id, False, f"out: {suspicious[item.prompt_id]}", quarantine=True)
        if item.origin != "new":
            return Decision(item.prompt_id, True, "in: an original prompt; the original set is not filtered")
        if item.prompt_id not in place:
            return _decide_unranked(item)
        selected = place[item.prompt_id] < kept
        basis = item.basis or f"{len(item.scores)} responses"
        why = (
            f"{'in' if selected else 'out'}: new, mean score {means[item.prompt_id]:.3f} of {basis}, {normalise} "
            f"{normalised[item.prompt_id]:.3f} in {item.domain}, place {place[item.prompt_id] + 1} of {len(order)} "
            f"from the lowest; the lowest {kept} ({keep_share:.0%}) are in"
        )
        return Decision(item.prompt_id, selected, why, normalised[item.prompt_id])

    return [decide(item) for item in candidates]


def select_all(candidates: Sequence[SelectionCandidate]) -> list[Decision]:
    """The selection if Pre-PPO is off: every prompt that is not quarantined."""
    return [
        Decision(item.prompt_id, True, "in: Pre-PPO selection is off (selector.preppo.enabled)")
        if item.quarantined is None
        else Decision(item.prompt_id, False, f"out: quarantined: {item.quarantined}")
        for item in candidates
    ]


def normalise_within_domains(
    domains: Mapping[str, str], means: Mapping[str, float], normalise: Normalise
) -> dict[str, float]:
    """Normalised means by prompt id.

    `rank` is (rank from 0, plus a half) / (number of prompts in the domain), so it is in (0, 1). Equal scores are
    ordered by their ids, which are hashes, so a domain with many equal scores gets its share and no more. `zscore` is
    (mean - domain mean) / domain standard deviation, and 0 if all means are equal.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for prompt_id in sorted(means):
        members[domains[prompt_id]].append(prompt_id)
    normaliser = _ranks if normalise == "rank" else _zscores
    return {
        prompt_id: value
        for prompt_ids in members.values()
        for prompt_id, value in zip(prompt_ids, normaliser([means[key] for key in prompt_ids]), strict=True)
    }


def suspicion(item: SelectionCandidate) -> str | None:
    """Why the prompt's reference may be wrong, or None."""
    if item.origin != "new" or item.quarantined is not None or not item.has_truth:
        return None
    if len(item.answers) < _MIN_RESPONSES or len(item.answers) != len(item.scores):
        return None
    simplified = [" ".join(answer.casefold().split()).strip(" .!") for answer in item.answers]
    answer, count = Counter(simplified).most_common(1)[0]
    scores = [score for text, score in zip(simplified, item.scores, strict=True) if text == answer]
    if not answer or count < AGREEMENT * len(simplified) or fmean(scores) >= _WRONG_BELOW:
        return None
    return (
        f"suspicious: {count} of {len(simplified)} responses agree on {answer[:80]!r} and score {fmean(scores):.2f} "
        "against the reference; check the reference"
    )


def _decide_unranked(item: SelectionCandidate) -> Decision:
    """A prompt that changed its route keeps its decision until it has scores there: if it went out, it would never have
    any.
    """
    if item.former is None:
        return Decision(item.prompt_id, False, "out: new and not measured: none of its responses has a score")
    place = "in" if item.former else "out"
    why = f"{place}: new, not measured on its present route; it stays {place} as in the round before"
    return Decision(item.prompt_id, item.former, why)


def _is_ranked(item: SelectionCandidate) -> bool:
    return item.origin == "new" and item.quarantined is None and bool(item.scores)


def _ranks(values: Sequence[float]) -> list[float]:
    """Normalised ranks; equal values keep their order."""
    ranks = [0.0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        ranks[index] = (rank + 0.5) / len(values)
    return ranks


def _zscores(values: Sequence[float]) -> list[float]:
    mean, deviation = fmean(values), pstdev(values)
    return [(value - mean) / deviation if deviation > 0 else 0.0 for value in values]
