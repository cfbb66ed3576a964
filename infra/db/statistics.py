"""Running statistics of a prompt, updated one score at a time, as a value without a database.

Mean and variance are Welford's (1962). Difficulty is a Beta posterior that forgets. The prior is Beta(p, p), with p = 1
unless `selector.preppo.prior` says otherwise; a score s in [0, 1] adds s to the successes and 1 - s to the failures,
and both decay by a factor l per policy version. This is the update of MoPPS (arXiv 2507.04632),
a' = l a + (1 - l) a0 + s and b' = l b + (1 - l) b0 + 1 - s, with versions for steps, and with the prior (a0, b0) kept
apart from the evidence.

Invariant: successes and failures are the sums of l^(V - v) s and l^(V - v) (1 - s) over all scores, where v is a
score's version and V the newest of them. Therefore scores of one version weigh the same, and the order of arrival does
not matter: a late score of an older version weighs as much as if it had been in time.

Two statistics follow the order of arrival instead, because they are about what came last. Scores in a row that are
equal stand for groups without spread: a group with a spread ends the row, in whatever order its scores arrive. And the
answer that most wrong responses give is found by Boyer and Moore's majority vote (1981), whose votes are at least 2 m -
n if m of n wrong responses gave one answer, in whatever order.
"""

from dataclasses import dataclass

PASS_ABOVE = 0.5
"""A score above this counts as a pass; for GenRM it means better than the reference."""
EQUAL_WITHIN = 0.01
"""Scores that differ by less are equal: `learner.zero_variance_std`, below which a group teaches nothing."""
LONGEST_ANSWER = 80
"""Characters of an answer by which responses are compared. A longer text is rarely given twice."""
SHORT_TEXT = 4 * LONGEST_ANSWER
"""Characters of a response that may be an answer as a whole, with its white space."""
PRIOR = 1.0
"""Both counts of the usual prior, Beta(1, 1): before the first score, every pass rate is equally likely."""


@dataclass(frozen=True, slots=True)
class BetaPosterior:
    """What is known about the expected score of a prompt."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    def __str__(self) -> str:
        return f"Beta({self.a:.2f}, {self.b:.2f})"


@dataclass(frozen=True, slots=True)
class Running:
    """Statistics of `count` scores; all zero before the first."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared deviations from the mean; the sample variance is m2 / (count - 1)."""
    passes: int = 0
    successes: float = 0.0
    """Decayed sum of the scores, as of `evidence_version`."""
    failures: float = 0.0
    """Decayed sum of 1 - score, as of `evidence_version`."""
    evidence_version: int = 0
    """Newest policy version of a score."""
    last: float = 0.0
    """The score to which the last `repeats` scores are equal."""
    repeats: int = 0
    wrong_answer: str | None = None
    """The answer of most wrong responses, if more than half of them agree."""
    wrong_votes: int = 0

    def add(self, score: float, version: int, decay: float, answer: str | None = None) -> "Running":
        """The statistics with one more score. `decay` in [0, 1] is the weight of the evidence after one version;
        `answer` is what the response answered, if that is known (`comparable`).
        """
        count = self.count + 1
        delta = score - self.mean
        mean = self.mean + delta / count
        newest = max(version, self.evidence_version)
        kept, weight = decay ** (newest - self.evidence_version), decay ** (newest - version)
        repeated = self.repeats > 0 and abs(score - self.last) < EQUAL_WITHIN
        wrong_answer, wrong_votes = self._vote(answer) if score < PASS_ABOVE else (self.wrong_answer, self.wrong_votes)
        return Running(
            count=count,
            mean=mean,
            m2=self.m2 + delta * (score - mean),
            passes=self.passes + (score > PASS_ABOVE),
            successes=kept * self.successes + weight * score,
            failures=kept * self.failures + weight * (1 - score),
            evidence_version=newest,
            last=self.last if repeated else score,
            repeats=self.repeats + 1 if repeated else 1,
            wrong_answer=wrong_answer,
            wrong_votes=wrong_votes,
        )

    def _vote(self, answer: str | None) -> tuple[str | None, int]:
        """One step of the majority vote. A response without an answer votes against all."""
        if answer is not None and answer == self.wrong_answer:
            return answer, self.wrong_votes + 1
        if self.wrong_votes:
            return self.wrong_answer, self.wrong_votes - 1
        return answer, int(answer is not None)


def comparable(answer: str | None, text: str) -> str | None:
    """What a response answers, in a form that equal answers share: what the verifier read in it, else its whole text if
    that is short; None if neither says anything.
    """
    said = text if answer is None else answer
    if len(said) > SHORT_TEXT:
        return None
    simplified = " ".join(said.casefold().split()).strip(" .!")
    return simplified if 0 < len(simplified) <= LONGEST_ANSWER else None


def posterior(
    successes: float, failures: float, prior: float = PRIOR, *, age: int = 0, decay: float = 1.0
) -> BetaPosterior:
    """The posterior from evidence that is `age` versions old. Old evidence returns to Beta(`prior`, `prior`)."""
    kept = decay ** max(0, age)
    return BetaPosterior(prior + kept * successes, prior + kept * failures)
