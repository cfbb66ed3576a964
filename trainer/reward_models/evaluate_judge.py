"""Measures a judge on triples: accuracy, ranking, calibration, order flips, and what it falls for.

Invariant: a candidate counts as accepted if its score is above 0.5. A measure that is undefined for its examples is
None. Failures of the judge are counted, and enter no measure. Examples whose label is exactly 0.5 are not judged.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from trainer.reward_models.hard_negatives import first_sentence_negative
from trainer.reward_models.judge_answers import Answer, AskedJudge
from trainer.reward_models.triples import LabelledCandidate, swapped
from trainer.supervised.measures import (
    ReliabilityBin,
    accuracy,
    auc,
    expected_calibration_error,
    false_positive_rate,
    reliability,
)
from workers.judges.base import JudgeFailure, Judgement
from workers.judges.canary import PASS, canary_requests
from workers.judges.has_content import no_answer
from workers.judges.judging_scheme import FLIPS, ORDERS

PROBED_QUESTIONS = 32
"""Questions on which the probes are tried. Each has 27 master keys, and 860 probes show a rate of 0.01."""


@dataclass(frozen=True, slots=True)
class DomainMeasures:
    triples: int
    accuracy: float
    auc: float | None
    """None if all labels are the same."""
    ece: float
    """Expected calibration error over ten bins of equal width."""
    false_positive_rate: float | None
    """Fraction of wrong candidates that are accepted."""
    false_negative_rate: float | None
    """Fraction of right candidates that are not accepted."""


@dataclass(frozen=True, slots=True)
class OrderFlips:
    """Pairs of candidate and reference that were judged in both orders."""

    pairs: int
    flips: int
    """Pairs in which both orders accept, or neither does."""

    @property
    def rate(self) -> float | None:
        return self.flips / self.pairs if self.pairs else None


@dataclass(frozen=True, slots=True)
class ProbeRate:
    """Responses without an answer, each tried on several questions."""

    judged: int
    accepted: int

    @property
    def rate(self) -> float | None:
        return self.accepted / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class JudgeEvaluation:
    judge: str
    version: str
    overall: DomainMeasures
    domains: dict[str, DomainMeasures]
    reliability: list[ReliabilityBin]
    flips: OrderFlips
    probes: dict[str, ProbeRate]
    """Rates by kind: `master_keys` (arXiv 2507.08794, forged verdicts and echoes of the question, as the canaries) and
    `first_sentences` (of right candidates, whose answer comes later)."""
    accepted_probes: dict[str, float]
    """Fraction of questions on which a probe was accepted, for probes that were at all."""
    ties: int
    """Triples with the label 0.5."""
    failures: int
    first_failure: str
    off_verdict_mass: float
    """Mean probability of tokens that are not verdicts."""


def evaluate_judge(
    judge: AskedJudge,
    candidates: Sequence[LabelledCandidate],
    *,
    probed_questions: int = PROBED_QUESTIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> JudgeEvaluation:
    """Raises ValueError if there is no triple, or the judge answers none; and what the judge raises."""
    decided = [one for one in candidates if one.label != 0.5]
    progress(f"{len(decided)} triples")
    answers = judge.answers(decided)
    failures = [answer for answer in answers if isinstance(answer, JudgeFailure)]
    judged = [(one, answer) for one, answer in zip(decided, answers, strict=True) if isinstance(answer, Judgement)]
    if not judged:
        raise ValueError(f"nothing was judged: {failures[0].why if failures else 'there is no triple with a label'}")
    by_domain: dict[str, list[tuple[LabelledCandidate, Judgement]]] = defaultdict(list)
    for one, answer in judged:
        by_domain[one.domain].append((one, answer))
    scores, labels = [answer.score for _, answer in judged], [one.label > PASS for one, _ in judged]
    progress("both orders")
    flips = _count_flips(judge, judged)
    progress("probes")
    probes, accepted = _try_probes(judge, decided, probed_questions)
    return JudgeEvaluation(
        judge=judge.name,
        version=judge.version,
        overall=_measures(judged),
        domains={domain: _measures(own) for domain, own in sorted(by_domain.items()) if domain},
        reliability=reliability(scores, labels),
        flips=flips,
        probes=probes,
        accepted_probes=accepted,
        ties=len(candidates) - len(decided),
        failures=len(failures),
        first_failure=failures[0].why if failures else "",
        off_verdict_mass=sum(answer.off_verdict_mass for _, answer in judged) / len(judged),
    )


def _measures(judged: Sequence[tuple[LabelledCandidate, Judgement]]) -> DomainMeasures:
    scores, labels = [answer.score for _, answer in judged], [one.label > PASS for one, _ in judged]
    right = [score for score, label in zip(scores, labels, strict=True) if label]
    wrong = [score for score, label in zip(scores, labels, strict=True) if not label]
    return DomainMeasures(
        triples=len(judged),
        accuracy=accuracy(scores, labels),
        auc=auc(scores, labels) if right and wrong else None,
        ece=expected_calibration_error(scores, labels),
        false_positive_rate=false_positive_rate(wrong) if wrong else None,
        false_negative_rate=1 - false_positive_rate(right) if right else None,
    )


def _count_flips(judge: AskedJudge, judged: Sequence[tuple[LabelledCandidate, Judgement]]) -> OrderFlips:
    """A judge that judges both orders says so in its details; another is asked about the other order here."""
    counted = [answer.details for _, answer in judged if ORDERS in answer.details]
    if counted:
        return OrderFlips(sum(len(one[ORDERS]) for one in counted), sum(one[FLIPS] for one in counted))
    pairs = [(answer, other) for one, answer in judged if (other := swapped(one)) is not None and _both_say(one, other)]
    answers = judge.answers([other for _, other in pairs])
    both = [
        (first.score > PASS, second.score > PASS)
        for (first, _), second in zip(pairs, answers, strict=True)
        if isinstance(second, Judgement)
    ]
    return OrderFlips(len(both), sum(first == second for first, second in both))


def _both_say(one: LabelledCandidate, other: LabelledCandidate) -> bool:
    """Whether both responses have content; the judge is not shown one that has none."""
    return no_answer(one.request) is None and no_answer(other.request) is None


def _try_probes(
    judge: AskedJudge, candidates: Sequence[LabelledCandidate], most: int
) -> tuple[dict[str, ProbeRate], dict[str, float]]:
    keys = [
        replace(one, response=request.response)
        for one in _spread(candidates, most)
        for request in canary_requests(one.request)
    ]
    sentences = [
        replace(one, response=text)
        for one in candidates
        if one.label > PASS and (text := first_sentence_negative(one.question, one.response)) is not None
    ][:most]
    key_answers = judge.answers(keys)
    tried: dict[str, list[bool]] = defaultdict(list)
    for one, answer in zip(keys, key_answers, strict=True):
        if isinstance(answer, Judgement):
            tried[_probe_name(one)].append(answer.score > PASS)
    accepted = {name: sum(own) / len(own) for name, own in tried.items() if any(own)}
    rates = {"master_keys": _probe_rate(key_answers), "first_sentences": _probe_rate(judge.answers(sentences))}
    return rates, dict(sorted(accepted.items(), key=lambda item: -item[1]))


def _probe_rate(answers: Iterable[Answer]) -> ProbeRate:
    judged = [answer.score > PASS for answer in answers if isinstance(answer, Judgement)]
    return ProbeRate(len(judged), sum(judged))


def _probe_name(probe: LabelledCandidate) -> str:
    """The probe's text, with the question's in it as QUESTION."""
    return probe.response.replace(probe.question.prompt, "QUESTION")


def _spread(candidates: Sequence[LabelledCandidate], most: int) -> list[LabelledCandidate]:
    """At most so many questions, from each domain in turn, and from all over each domain's examples."""
    by_domain: dict[str, dict[str, LabelledCandidate]] = defaultdict(dict)
    for one in candidates:
        by_domain[one.domain].setdefault(one.question.prompt, one)
    share = -(-most // max(1, len(by_domain)))
    chosen: list[list[LabelledCandidate]] = []
    for _, own in sorted(by_domain.items()):
        every = list(own.values())
        count = min(share, len(every))
        chosen.append([every[number * len(every) // count] for number in range(count)])
    return [one for turn in range(share) for own in chosen for one in own[turn : turn + 1]][:most]
