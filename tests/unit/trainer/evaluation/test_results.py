"""Tables and comparisons from made scores, against means that are counted by hand."""

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings.evaluation import Skill
from trainer.evaluation.results import (
    ComparisonRow,
    PromptScores,
    ResultRow,
    compare,
    metrics_of,
    tabulate,
)


def scored(number: int, *scores: float, domain: str = "a", skill: Skill | None = None) -> PromptScores:
    return PromptScores(prompt_id=f"p{number}", domain=domain, skill=skill, scores=scores)


def row_of(rows, name: str):
    return next(row for row in rows if row.part.name == name)


def test_a_prompt_counts_once_however_many_responses_it_has() -> None:
    rows = tabulate([scored(0, 1.0), scored(1, 0.0, 0.0, 0.0)], metrics_of(4, (1, 2)))
    overall = row_of(rows, "overall")
    assert overall.metrics["avg@4"].value == 0.5
    assert (overall.prompts, overall.samples) == (2, 4)


def test_pass_at_k_leaves_out_prompts_with_fewer_responses_and_ks_above_the_samples() -> None:
    overall = row_of(tabulate([scored(0, 1.0), scored(1, 1.0, 0.0, 0.0)], metrics_of(4, (1, 2, 8))), "overall")
    assert set(overall.metrics) == {"avg@4", "pass@1", "pass@2"}
    assert overall.metrics["pass@1"].value == pytest.approx((1 + 1 / 3) / 2)
    assert overall.metrics["pass@2"].value == pytest.approx(2 / 3)
    assert (overall.metrics["pass@1"].prompts, overall.metrics["pass@2"].prompts) == (2, 1)


def test_a_graded_score_passes_above_one_half() -> None:
    """GenRM gives 0.5 to a response that is as good as its reference."""
    overall = row_of(tabulate([scored(0, 0.5, 0.51, 1.0, 0.2)], metrics_of(4, (1,))), "overall")
    assert overall.metrics["pass@1"].value == 0.5
    assert overall.metrics["avg@4"].value == pytest.approx(0.5525)


def test_rows_are_overall_then_skills_in_the_papers_order_then_domains() -> None:
    prompts = [
        scored(0, 1.0, domain="z", skill=Skill.KNOWLEDGE),
        scored(1, 0.0, domain="y", skill=Skill.LOGICAL_REASONING),
        scored(2, 1.0, domain="x"),
    ]
    rows = tabulate(prompts, metrics_of(1, (1,)))
    assert [(row.part.kind, row.part.name) for row in rows] == [
        ("overall", "overall"),
        ("skill", "logical_reasoning"),
        ("skill", "knowledge"),
        ("domain", "x"),
        ("domain", "y"),
        ("domain", "z"),
    ]
    assert tabulate([], metrics_of(1, (1,))) == []


def test_a_difference_is_within_prompts_that_both_answered() -> None:
    first = [scored(0, 0.0, 0.0), scored(1, 1.0, 0.0), scored(2, 1.0, 1.0)]
    second = [scored(1, 1.0, 1.0), scored(0, 0.0, 1.0), scored(3, 0.0, 0.0)]
    overall = row_of(compare(first, second, metrics_of(2, (1,))), "overall")
    found = overall.metrics["avg@2"]
    assert overall.prompts == 2
    assert (found.first, found.second, found.difference.value) == (0.25, 0.75, 0.5)
    assert found.p == 0.5  # two of the four sign patterns of two equal gains
    assert compare(first, [], metrics_of(2, (1,))) == []


def test_pairing_is_what_makes_a_small_gain_visible() -> None:
    """Prompts differ much, each gains a little: only the paired interval excludes 0."""
    first = [scored(number, number / 40) for number in range(40)]
    second = [replace(prompt, scores=(min(1.0, prompt.scores[0] + 0.02),)) for prompt in first]
    metrics = metrics_of(1, ())
    paired = row_of(compare(first, second, metrics), "overall").metrics["avg@1"]
    alone = [row_of(tabulate(side, metrics), "overall").metrics["avg@1"] for side in (first, second)]
    assert paired.difference.low > 0
    assert paired.p < 0.001
    assert alone[0].high > alone[1].low


prompt_lists = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([None, *Skill]),
        st.lists(st.floats(0, 1), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=12,
).map(
    lambda drawn: [
        PromptScores(prompt_id=f"p{number}", domain=domain, skill=skill, scores=tuple(scores))
        for number, (domain, skill, scores) in enumerate(drawn)
    ]
)


@given(prompt_lists)
def test_domains_partition_the_prompts_and_weigh_to_the_overall_mean(prompts: list[PromptScores]) -> None:
    rows: list[ResultRow] = tabulate(prompts, metrics_of(4, (1, 2, 4)))
    overall = rows[0]
    domains = [row for row in rows if row.part.kind == "domain"]
    assert sum(row.prompts for row in domains) == overall.prompts == len(prompts)
    weighed = sum(row.prompts * row.metrics["avg@4"].value for row in domains) / len(prompts)
    assert weighed == pytest.approx(overall.metrics["avg@4"].value)
    assert overall.metrics["avg@4"].value == pytest.approx(fmean(prompt.mean for prompt in prompts))
    for row in rows:
        for estimate in row.metrics.values():
            assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9


@given(prompt_lists)
def test_a_model_does_not_differ_from_itself_and_swapping_turns_the_sign(prompts: list[PromptScores]) -> None:
    metrics = metrics_of(4, (1,))
    same: list[ComparisonRow] = compare(prompts, prompts, metrics)
    assert all(found.difference.value == 0 and found.p == 1 for row in same for found in row.metrics.values())
    other = [replace(prompt, scores=tuple(1 - score for score in prompt.scores)) for prompt in prompts]
    there, back = compare(prompts, other, metrics)[0], compare(other, prompts, metrics)[0]
    assert there.metrics["avg@4"].difference.value == pytest.approx(-back.metrics["avg@4"].difference.value)
    assert there.metrics["avg@4"].p == back.metrics["avg@4"].p
