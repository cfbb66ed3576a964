"""The one interface to selection rules: the statistics of a prompt in, as SQL columns, a value to rank it by out.

Invariant: a rule is a pure function of the columns below, the round and its own options, and it is an expression that
the database evaluates. Therefore a round over a million prompts is one statement, it comes out the same each time, and
the same rule runs on the statistics of a live run and on those that `prompts simulate` counts again from a log.

To add one: write a class of the shape of `SelectionRule` below, in any installed package; name it in that package's
pyproject.toml under `[project.entry-points."rewardstream.selection_rules"]` as `mine = "package.module:Class"`; install
it; choose it with `selector.preppo.rule = "mine"`. Its options are its fields, which `selector.preppo.options.mine`
sets; an option that it does not have is refused. Its test inherits `SelectionRuleContract` (contract.py).
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, ColumnElement, Float, cast, func, literal, true

_MANTISSA = 53
"""Bits of a float's mantissa: as many random bits as a number in [0, 1) can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext:
    """The round in which a rule decides."""

    seed: int
    """`run.seed`."""
    round: int
    version: int
    """Policy version as of which the statistics are seen."""
    group_size: int
    """Responses per training group."""

    def uniform(self, prompt_id: ColumnElement[str], salt: str, *, every_round: bool = True) -> ColumnElement[float]:
        """A number in [0, 1) per prompt, which the seed, the round, `salt` and the prompt's id determine.

        If `every_round` is False, a prompt has the same number in all rounds.
        """
        text = f"{self.seed}/{self.round if every_round else ''}/{salt}"
        seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
        bits = func.hashtextextended(prompt_id, literal(seed, BigInteger)).op(">>")(64 - _MANTISSA)
        return cast(bits.op("&")(literal(2**_MANTISSA - 1, BigInteger)), Float) * (2.0**-_MANTISSA)


@dataclass(frozen=True, slots=True)
class CandidateColumns:
    """The statistics of one candidate as SQL expressions, on its own route and as of the round's version."""

    context: RoundContext
    prompt_id: ColumnElement[str]
    domain: ColumnElement[str]
    a: ColumnElement[float]
    b: ColumnElement[float]
    """The posterior Beta(a, b) of the expected score, prior included (`infra.db.statistics`)."""
    scores: ColumnElement[int]
    """Number of scores in this run."""
    age: ColumnElement[int]
    """Versions since its newest score."""
    last: ColumnElement[float]
    """The score that came last."""
    groups_without_spread: ColumnElement[int]
    """Consecutive groups, up to the last, whose scores are all equal to `last`: all right if it is above 0.5 ("easy"),
    else all wrong ("hard")."""
    domain_mean: ColumnElement[float]
    """Mean of `mean` over the rule's candidates in the domain."""
    domain_deviation: ColumnElement[float]
    """Standard deviation of the same; 0 if they are all equal. A rule that reads either sets `uses_domain_moments`."""

    @property
    def mean(self) -> ColumnElement[float]:
        """Expected score under the posterior."""
        return self.a / (self.a + self.b)

    def uniform(self, salt: str, *, every_round: bool = True) -> ColumnElement[float]:
        """`RoundContext.uniform` for this prompt."""
        return self.context.uniform(self.prompt_id, salt, every_round=every_round)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """The same numbers of one prompt, as the round stored them, and the value that the rule gave it."""

    context: RoundContext
    a: float
    b: float
    scores: int
    age: int
    last: float
    groups_without_spread: int
    value: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)


class SelectionRule(BaseModel, ABC):
    """Ranks the candidates. The round keeps the share `selector.preppo.keep_share` of them that has the lowest values.

    A field of a subclass is an option; its type and bounds are checked when the selector starts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    name: ClassVar[str]
    source: ClassVar[str]
    """The publication that the rule comes from, for the user."""

    @property
    def by_domain(self) -> bool:
        """Whether the share is kept in each domain; if not, over all domains together that have this rule."""
        return True

    @property
    def uses_domain_moments(self) -> bool:
        return False

    @abstractmethod
    def value(self, candidate: CandidateColumns) -> ColumnElement[float]:
        """The expression to rank by: lower is kept first. It must not be NULL or NaN. Equal values are put into an
        order that the seed and the round determine.
        """

    def admits(self, candidate: CandidateColumns) -> ColumnElement[bool]:  # noqa: ARG002  all, unless a rule says otherwise
        """Whether the candidate may be kept at all, if there is room in the share."""
        return true()

    @abstractmethod
    def describe(self, candidate: RankedCandidate) -> str:
        """Explains the value to the user, with its numbers: `mean score 0.286 of Beta(2.00, 5.00)`."""
