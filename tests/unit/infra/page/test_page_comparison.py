from hypothesis import given
from hypothesis import strategies as st

from infra.page.models.comparison import MOST_PROMPTS, domain_lines, furthest, settings_that_differ
from infra.page.models.trend import HeldoutMean
from trainer.evaluation.results import PromptScores


def prompt(name, *scores, domain="sums"):
    return PromptScores(prompt_id=name, domain=domain, scores=scores)


def mean(domain, value):
    return HeldoutMean(label="after", version=3, domain=domain, prompts=2, mean=value, low=None, high=None)


def test_a_difference_is_paired_within_the_shared_prompts():
    first = [prompt("a", 1.0), prompt("b", 1.0), prompt("mine", 0.0)]
    second = [prompt("a", 0.0), prompt("b", 0.5), prompt("theirs", 1.0)]
    overall, sums, words = domain_lines([mean("overall", 0.7), mean("sums", 0.7)], [mean("words", 0.1)], first, second)
    assert (overall.domain, sums.domain, words.domain) == ("overall", "sums", "words")
    assert (overall.shared, overall.difference) == (2, 0.75)
    assert overall.low <= 0.75 <= overall.high
    assert (words.ours, words.theirs.mean, words.shared, words.difference) == (None, 0.1, 0, None)


def test_runs_without_a_shared_prompt_have_no_difference():
    lines = domain_lines([mean("overall", 0.9)], [mean("overall", 0.1)], [prompt("a", 1.0)], [prompt("b", 0.0)])
    assert [(line.shared, line.difference, line.p) for line in lines] == [(0, None, None)]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60))
def test_each_shared_prompt_is_better_worse_or_equal_and_the_furthest_come_first(pairs):
    first = [prompt(str(at), one) for at, (one, _) in enumerate(pairs)]
    second = [prompt(str(at), other) for at, (_, other) in enumerate(pairs)]
    better, worse, equal = furthest(first, second)
    assert equal == sum(one == other for one, other in pairs)
    assert len(better) == min(MOST_PROMPTS, sum(one > other for one, other in pairs))
    assert len(worse) == min(MOST_PROMPTS, sum(one < other for one, other in pairs))
    for some in (better, worse):
        sizes = [abs(one.mean - other.mean) for one, other in some]
        assert sizes == sorted(sizes, reverse=True)


def test_settings_of_where_a_run_is_kept_are_left_out():
    ours = {"run": {"id": "a", "seed": 1}, "learner": {"ppo": {"clip": 0.2}}, "database": {"url": "x"}, "extra": {}}
    theirs = {"run": {"id": "b", "seed": 1}, "learner": {"ppo": {"clip": 0.3}}, "database": {"url": "y"}}
    found = [(line.path, line.ours, line.theirs) for line in settings_that_differ(ours, theirs)]
    assert found == [("extra", {}, None), ("learner.ppo.clip", 0.2, 0.3)]
