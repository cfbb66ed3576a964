"""The values of each rule against numbers that were computed apart, and what the rules keep."""

import math
import random
from dataclasses import replace

import pytest

from trainer.curriculum.decisions import Reason
from trainer.curriculum.rules.contract import VERSION, ExamplePrompt, decide, plan_of
from trainer.curriculum.rules.informative import Informative
from trainer.curriculum.rules.lowest import Lowest
from trainer.curriculum.rules.skip import Skip
from trainer.curriculum.rules.uniform import Uniform


def prompt(name, mean, domain="qa", scores=8, **more):
    return ExamplePrompt(
        id=name, domain=domain, count=scores, successes=scores * mean, failures=scores * (1 - mean), **more
    )


def spread(a, b, size):
    """1 - [B(a + G, b) + B(a, b + G)] / B(a, b), by the gamma function."""

    def log_beta(x, y):
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    return 1 - sum(math.exp(log_beta(*pair) - log_beta(a, b)) for pair in ((a + size, b), (a, b + size)))


def test_the_lowest_share_of_each_domain_is_kept_whatever_its_level(connection):
    """Domains score differently: without normalisation the low domain would fill the whole share."""
    low = [prompt(f"low{i}", i / 100, "mathematics") for i in range(10)]
    high = [prompt(f"high{i}", 0.9 + i / 100, "writing") for i in range(10)]
    for normalise in ("rank", "zscore"):
        plan = plan_of([Lowest(normalise=normalise)], keep_share=0.2)
        assert decide(connection, low + high, plan).kept == {"low0", "low1", "high0", "high1"}


@pytest.mark.parametrize(("share", "kept"), [(0.1, 3), (0.11, 4), (0.001, 1), (1.0, 30)])
def test_the_kept_share_is_rounded_up(connection, share, kept):
    prompts = [prompt(f"p{i:02}", i / 30) for i in range(30)]
    assert len(decide(connection, prompts, plan_of([Lowest()], keep_share=share)).kept) == kept


def test_a_domain_whose_scores_are_all_equal_gets_its_share_and_no_more(connection):
    hopeless = [prompt(f"a{n:02}", 0.0, "hopeless") for n in range(20)]
    graded = [prompt(f"b{n:02}", n / 20, "graded") for n in range(20)]
    kept = decide(connection, [*hopeless, *graded], plan_of([Lowest()], keep_share=0.2)).kept
    assert sum(name.startswith("a") for name in kept) == 4
    assert {name for name in kept if name.startswith("b")} == {"b00", "b01", "b02", "b03"}


def test_equal_scores_have_equal_zscores(connection):
    prompts = [prompt(name, 0.3) for name in "abcd"]
    decisions = decide(connection, prompts, plan_of([Lowest(normalise="zscore")])).decisions
    assert {decision.value for decision in decisions.values()} == {0.0}


@pytest.mark.parametrize("size", [2, 8, 32, 33, 64])
def test_the_chance_of_a_spread_is_that_of_the_beta_function(connection, size):
    evidence = [(0, 0), (8, 0), (0, 8), (4, 4), (0.25, 7.75), (300, 20)]
    prompts = [
        ExamplePrompt(id=str(n), count=1, successes=passes, failures=fails)
        for n, (passes, fails) in enumerate(evidence)
    ]
    plan = plan_of([Informative()])
    plan = replace(plan, context=replace(plan.context, group_size=size))
    found = decide(connection, prompts, plan).decisions
    expected = [spread(1 + passes, 1 + fails, size) for passes, fails in evidence]
    assert [1 - found[str(n)].value for n in range(len(evidence))] == pytest.approx(expected, abs=1e-9)


def test_the_middle_is_more_informative_than_the_ends(connection):
    prompts = [prompt(f"{percent}", percent / 100, scores=40) for percent in range(0, 101, 10)]
    kept = decide(connection, prompts, plan_of([Informative()], keep_share=0.3)).kept
    assert "50" in kept
    assert not kept & {"0", "10", "90", "100"}


def test_over_all_domains_the_learned_one_gives_way(connection):
    learned = [prompt(f"learned{n}", 1.0, "learned", scores=100) for n in range(10)]
    middle = [prompt(f"middle{n}", 0.5, "middle", scores=100) for n in range(10)]
    both = [*learned, *middle]
    everywhere = decide(connection, both, plan_of([Informative(within="all")], keep_share=0.5))
    assert everywhere.kept == {each.id for each in middle}
    assert [cut.domain for cut in everywhere.cuts] == [""]
    by_domain = decide(connection, both, plan_of([Informative()], keep_share=0.5)).kept
    assert sum(name.startswith("learned") for name in by_domain) == 5


@pytest.mark.parametrize("prior", [1.0, 0.25])
@pytest.mark.parametrize(("passes", "fails"), [(0.0, 0.0), (8.0, 0.0), (3.0, 20.0)])
def test_draws_have_the_quantiles_of_the_posterior(connection, passes, fails, prior):
    prompts = [ExamplePrompt(id=f"p{n}", count=1, successes=passes, failures=fails) for n in range(2000)]
    found = decide(connection, prompts, plan_of([Informative(draw=True, target=0.0)], prior=prior)).decisions
    draws = sorted(decision.value for decision in found.values())
    rng = random.Random(0)
    exact = sorted(rng.betavariate(prior + passes, prior + fails) for _ in range(20_000))
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert draws[int(quantile * 2000)] == pytest.approx(exact[int(quantile * 20_000)], abs=0.04)


def test_a_small_prior_tells_two_failures_in_two_from_one_success_in_eight(connection):
    never = [ExamplePrompt(id=f"never{n}", count=2, failures=2) for n in range(10)]
    seldom = [ExamplePrompt(id=f"seldom{n}", count=8, successes=1, failures=7) for n in range(10)]
    kept = decide(connection, [*never, *seldom], plan_of([Informative()], keep_share=0.5, prior=0.25)).kept
    assert kept == {each.id for each in seldom}


def test_draws_change_with_the_round_and_with_the_seed(connection):
    prompts = [prompt(f"p{n}", 0.5) for n in range(200)]
    kept = [
        decide(connection, prompts, plan_of([rule], seed=seed, round_=round_)).kept
        for rule in (Informative(draw=True), Uniform())
        for seed, round_ in ((0, 0), (0, 1), (1, 0))
    ]
    assert len({frozenset(each) for each in kept}) == 6
    once = plan_of([Uniform(redraw=False)], round_=0), plan_of([Uniform(redraw=False)], round_=1)
    assert decide(connection, prompts, once[0]).kept == decide(connection, prompts, once[1]).kept


@pytest.mark.parametrize(
    ("last", "repeats", "expected"),
    [(0.0, 7, 1.0), (1.0, 8, 0.25), (0.0, 8, 0.5), (0.0, 16, 0.25), (1.0, 40, 0.01), (0.0, 8000, 0.01)],
)
def test_a_prompt_is_skipped_the_likelier_the_longer_it_teaches_nothing(connection, last, repeats, expected):
    prompts = [prompt(f"p{n}", 0.5, last=last, repeats=repeats) for n in range(3000)]
    kept = decide(connection, prompts, plan_of([Skip(easy=0.25, hard=0.5)], keep_share=1.0)).kept
    assert len(kept) / 3000 == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 3000) + 1e-9)


def test_of_a_part_those_that_are_skipped_less_are_kept_more(connection):
    lively = [prompt(f"lively{n}", 0.5) for n in range(500)]
    dull = [prompt(f"dull{n}", 0.5, repeats=16) for n in range(500)]
    kept = decide(connection, [*lively, *dull], plan_of([Skip()], keep_share=0.1)).kept
    assert len(kept) == 100
    assert sum(name.startswith("lively") for name in kept) > 60


def test_old_evidence_returns_to_the_prior(connection):
    prompts = [prompt("new", 0.0), prompt("old", 0.0, evidence_version=VERSION - 34)]
    found = decide(connection, prompts, plan_of([Lowest()])).decisions
    assert (found["new"].a, found["new"].b) == (1.0, 9.0)
    assert found["old"].b == pytest.approx(1 + 8 * 0.98**34, rel=1e-6)
    assert {decision.reason for decision in found.values()} == {Reason.RULE}
