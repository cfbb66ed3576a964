"""`informative`: the prompts whose next group is likeliest to have a spread.

A group whose scores are all equal carries no gradient. If each of its G responses passes with probability p, it has a
spread with probability 1 - p^G - (1 - p)^G. Under the posterior Beta(a, b) of p that is, in closed form,

    1 - [B(a + G, b) + B(a, b + G)] / B(a, b)  =  1 - prod_{i<G} (a + i)/(n + i) - prod_{i<G} (b + i)/(n + i),

n = a + b. A prompt with little evidence has a high value, so the rule tries the unknown. For graded scores the counts
are fractional, and the formula is that of passes with the same expected score: it ranks a judge's scores by how far
they are from 0 and 1.

With `draw = true` the rule is that of MoPPS (arXiv 2507.04632): a Thompson draw from each posterior, and the draws
nearest `target` are kept, so that prompts of equal expectation take turns. A draw is made of two gamma variables by
Marsaglia and Tsang's method (2000) without its rejection, which for shapes from 1 on would reject less than one in
twenty; a shape s below 1 takes the draw of s + 1, times u^(1/s), as they say. It is a function of the seed, the round
and the prompt's id.

Use it with verifiers, or whenever a high score can be trusted. Online difficulty filtering (arXiv 2504.03380), LILO
(openreview 8HYeWMf0W3) and MoPPS all keep the middle and report fewer rollouts for the same score.
"""

import math
from functools import reduce
from operator import add, mul
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, Float, case, func, literal

from trainer.curriculum.rules.base import CandidateColumns, RankedCandidate, SelectionRule

_LONGEST_PRODUCT = 32
"""Factors whose product is no underflow, which is an error in Postgres: 32! / 10^(6 * 32) is 1e-157. Logarithms would
take four times as long."""
_LEAST_EXPONENT = -700.0


class Informative(SelectionRule):
    name: ClassVar[str] = "informative"
    source: ClassVar[str] = "closed form under the posterior; the draw is MoPPS's, arXiv 2507.04632"

    draw: bool = False
    """Whether to rank by a Thompson draw instead of the probability of a spread."""
    target: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Pass rate that a draw should be near. At 0.5 a group's spread is widest."""
    within: Literal["domain", "all"] = "domain"
    """`domain` keeps the same share of each domain; `all` keeps the most informative prompts of all domains together,
    so that a domain that has been learned gives way."""

    @property
    def by_domain(self) -> bool:
        return self.within == "domain"

    def value(self, candidate: CandidateColumns) -> ColumnElement[float]:
        if self.draw:
            return func.abs(_thompson(candidate) - literal(self.target, Float))
        return 1 - spread(candidate)

    def describe(self, candidate: RankedCandidate) -> str:
        if self.draw:
            return f"draw {candidate.value:.3f} from {self.target:g}"
        size = candidate.context.group_size
        likely = f"a group of {size} has a spread with probability {1 - candidate.value:.3f}"
        return f"{likely}, mean score {candidate.mean:.3f}"


def spread(candidate: CandidateColumns) -> ColumnElement[float]:
    """Probability that a group's scores are not all equal, under the posterior."""
    n, size = candidate.a + candidate.b, candidate.context.group_size

    def same(count: ColumnElement[float]) -> ColumnElement[float]:
        factors = [(count + float(i)) / (n + float(i)) for i in range(size)]
        if size <= _LONGEST_PRODUCT:
            return reduce(mul, factors)
        return func.exp(func.greatest(reduce(add, map(func.ln, factors)), literal(_LEAST_EXPONENT, Float)))

    return 1 - same(candidate.a) - same(candidate.b)


def _thompson(candidate: CandidateColumns) -> ColumnElement[float]:
    radius = func.sqrt(-2 * func.ln(1 - candidate.uniform("informative radius")))
    angle = 2 * math.pi * candidate.uniform("informative angle")
    passes = _gamma(candidate.a, radius * func.cos(angle), candidate.uniform("informative passes"))
    fails = _gamma(candidate.b, radius * func.sin(angle), candidate.uniform("informative fails"))
    return passes / (passes + fails)


def _gamma(
    shape: ColumnElement[float], normal: ColumnElement[float], uniform: ColumnElement[float]
) -> ColumnElement[float]:
    """D (1 + c z)^3 with d = shape - 1/3 and c = 1 / sqrt(9 d), for shapes from 1 on; a smaller one is raised by 1."""
    small = shape < 1
    d = case((small, shape + 1), else_=shape) - 1 / 3
    root = func.greatest(1 + normal / func.sqrt(9 * d), literal(1e-3, Float))
    exponent = func.greatest(func.ln(1 - uniform) / shape, literal(_LEAST_EXPONENT / 4, Float))
    return d * root * root * root * case((small, func.exp(exponent)), else_=literal(1.0, Float))
