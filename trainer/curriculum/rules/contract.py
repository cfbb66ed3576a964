"""Tests that every selection rule passes: the test module of your own rule inherits `SelectionRuleContract`.

Invariant: the tests need the rule and a connection to any Postgres (the fixture `connection`), and no tables: pool and
statistics are rows in the statement. A class that inherits the contract and is called `Test...` is run by pytest as it
is.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError
from sqlalchemy import BigInteger, Connection, Float, FromClause, Integer, String, Text, column, values

from infra.settings.tree import PrePPOSettings
from trainer.curriculum.decisions import Reason, StoredCut, StoredDecision, sentence
from trainer.curriculum.rules.base import RoundContext, SelectionRule
from trainer.curriculum.selection_plan import SelectionPlan
from trainer.curriculum.selection_query import round_query

_POOL = {"number": BigInteger, "id": String, "domain": String, "origin": String, "quarantined": Text, "route": String}
_STATISTICS = {
    "prompt_id": String,
    "route": String,
    "count": Integer,
    "successes": Float,
    "failures": Float,
    "evidence_version": Integer,
    "last": Float,
    "repeats": Integer,
}
VERSION = 100
"""Policy version of the contract's rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePrompt:
    """A prompt of a round with what is known of it; `count` None means nothing."""

    id: str
    domain: str = "qa"
    origin: str = "new"
    quarantined: str | None = None
    count: int | None = None
    successes: float = 0.0
    failures: float = 0.0
    evidence_version: int = VERSION
    last: float = 0.0
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class DecidedRound:
    decisions: dict[str, StoredDecision]
    """The decisions by prompt id."""
    cuts: tuple[StoredCut, ...]

    @property
    def kept(self) -> set[str]:
        return {prompt_id for prompt_id, decision in self.decisions.items() if decision.selected}


def plan_of(rules: Sequence[SelectionRule], *, seed: int = 0, round_: int = 0, **preppo: Any) -> SelectionPlan:
    """A plan whose domains all have the first of the rules, unless `preppo` says otherwise."""
    return SelectionPlan(
        preppo=PrePPOSettings.model_validate({"rule": rules[0].name} | preppo),
        decay=0.98,
        context=RoundContext(seed=seed, round=round_, version=VERSION, group_size=8),
        rules=tuple(rules),
    )


def decide(connection: Connection, prompts: Sequence[ExamplePrompt], plan: SelectionPlan) -> DecidedRound:
    """Runs a round over these prompts."""
    numbers = {number: prompt.id for number, prompt in enumerate(prompts)}
    pool = [(n, p.id, p.domain, p.origin, p.quarantined, "rtv") for n, p in enumerate(prompts)]
    known = [
        (p.id, "rtv", p.count, p.successes, p.failures, p.evidence_version, p.last, p.repeats)
        for p in prompts
        if p.count is not None
    ]
    # an empty table cannot be written as VALUES; a row of no prompt's is as good
    nobody = [("", "", 0, 0.0, 0.0, 0, 0.0, 0)]
    query = round_query(_table("pool", _POOL, pool), _table("statistics", _STATISTICS, known or nobody), plan)
    rows = connection.execute(query.decisions).all()
    assert Counter(row.number for row in rows) == dict.fromkeys(numbers, 1)
    return DecidedRound(
        {numbers[row.number]: StoredDecision.of(row) for row in rows},
        tuple(StoredCut.of(row) for row in connection.execute(query.cuts)),
    )


def _table(name: str, columns: dict[str, Any], rows: Sequence[tuple[Any, ...]]) -> FromClause:
    return values(*(column(key, kind) for key, kind in columns.items()), name=name).data(list(rows))


def example_prompts(count: int = 60, seed: int = 0) -> list[ExamplePrompt]:
    """Measured new prompts of two domains, from hopeless to solved, with the extremes among them."""
    rng = random.Random(seed)
    extremes = [(0.0, 0.0), (0.0, 1e6), (1e6, 0.0), (1e6, 1e6), (0.0, 8.0), (8.0, 0.0)]
    evidence = extremes + [(8 * (rate := rng.random()), 8 * (1 - rate)) for _ in range(count - len(extremes))]
    return [
        ExamplePrompt(
            id=f"{rng.getrandbits(256):064x}",
            domain=("mathematics", "writing")[index % 2],
            count=8,
            successes=successes,
            failures=failures,
            evidence_version=rng.randint(0, VERSION),
            last=float(successes > failures),
            repeats=rng.choice([1, 8, 64]),
        )
        for index, (successes, failures) in enumerate(evidence)
    ]


class SelectionRuleContract:
    """Set the rule, with any options."""

    rule: ClassVar[SelectionRule]

    def test_a_decision_depends_on_seed_and_statistics_alone(self, connection: Connection) -> None:
        prompts, plan = example_prompts(), plan_of([self.rule], seed=3)
        first = decide(connection, prompts, plan)
        again = decide(connection, random.Random(1).sample(prompts, len(prompts)), plan)
        assert again.kept == first.kept
        for prompt_id, decision in first.decisions.items():
            assert again.decisions[prompt_id].value == pytest.approx(decision.value, abs=1e-9)  # sums depend on order

    def test_every_value_is_a_number(self, connection: Connection) -> None:
        found = decide(connection, example_prompts(), plan_of([self.rule]))
        found_values = [decision.value for decision in found.decisions.values()]
        assert all(value is not None and math.isfinite(value) for value in found_values)

    @pytest.mark.parametrize("keep_share", [0.01, 0.1, 0.35, 1.0])
    def test_the_share_is_kept(self, connection: Connection, keep_share: float) -> None:
        prompts = example_prompts()
        plan = plan_of([self.rule], keep_share=keep_share, stale_share=0)
        found = decide(connection, prompts, plan)
        domains = {prompt.domain for prompt in prompts} if self.rule.by_domain else {""}
        assert {cut.domain for cut in found.cuts} <= domains
        assert sum(cut.kept for cut in found.cuts) == len(found.kept)
        for cut in found.cuts:
            assert cut.kept <= math.ceil(keep_share * cut.candidates - 1e-9)

    def test_lower_values_are_kept_first(self, connection: Connection) -> None:
        found = decide(connection, example_prompts(), plan_of([self.rule], keep_share=0.3, stale_share=0))
        assert found.cuts
        highest = max(cut.cut for cut in found.cuts)
        kept = [found.decisions[prompt_id].value for prompt_id in found.kept]
        assert all(value is not None and value <= highest for value in kept)

    def test_every_decision_has_a_reason_with_numbers(self, connection: Connection) -> None:
        others = [ExamplePrompt(id="unseen"), ExamplePrompt(id="kept", origin="original", count=1, successes=1.0)]
        plan = plan_of([self.rule], keep_share=0.3)
        found = decide(connection, [*example_prompts(), *others], plan)
        for decision in found.decisions.values():
            cut = next((one for one in found.cuts if one.rule in (decision.rule, decision.reason)), None)
            why = sentence(decision, plan, cut, "new", None)
            assert why.startswith("in: " if decision.selected else "out: ")
            if decision.reason is Reason.RULE:
                assert f"{self.rule.name}: " in why
                assert any(character.isdigit() for character in why)

    def test_an_option_that_it_does_not_have_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="no_such_option"):
            type(self.rule).model_validate({"no_such_option": 1})

    def test_it_names_its_source(self) -> None:
        assert self.rule.source
        assert self.rule.name
