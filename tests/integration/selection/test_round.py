"""What a round does around its rule: states, quotas, rest, mixtures."""

import pytest

from trainer.curriculum.decisions import Reason, sentence
from trainer.curriculum.rules.contract import VERSION, ExamplePrompt, decide, plan_of
from trainer.curriculum.rules.informative import Informative
from trainer.curriculum.rules.lowest import Lowest
from trainer.curriculum.rules.registry import SelectionRuleError, open_rule, rule_names


def measured(name, mean, domain="qa", **more):
    return ExamplePrompt(id=name, domain=domain, count=8, successes=8 * mean, failures=8 * (1 - mean), **more)


def reasons(found):
    return {prompt_id: (decision.selected, decision.reason) for prompt_id, decision in found.decisions.items()}


def test_originals_are_added_unfiltered_and_quarantined_prompts_stay_out(connection):
    prompts = [
        measured("original", 1.0, origin="original"),
        measured("suspect", 0.0, quarantined="wrong key"),
        measured("low", 0.1),
        measured("high", 0.9),
    ]
    found = reasons(decide(connection, prompts, plan_of([Lowest()], keep_share=0.5)))
    assert found == {
        "original": (True, Reason.ORIGINAL),
        "suspect": (False, Reason.QUARANTINED),
        "low": (True, Reason.RULE),
        "high": (False, Reason.RULE),
    }
    ranked = reasons(decide(connection, prompts, plan_of([Lowest()], keep_share=0.5, originals="rank")))
    assert ranked["original"] == (False, Reason.RULE)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (0.1, 1), (0.5, 5), (100, 60)])
def test_a_quota_of_the_unseen_is_let_in(connection, share, kept):
    """keep_share keeps 10 of the 100 prompts in the domain, and the quota is a fraction of those."""
    prompts = [measured(f"p{n}", n / 40) for n in range(40)] + [ExamplePrompt(id=f"unseen{n}") for n in range(60)]
    found = decide(connection, prompts, plan_of([Lowest()], keep_share=0.1, unseen_share=share))
    assert sum(name.startswith("unseen") for name in found.kept) == kept
    assert sum(name.startswith("p") for name in found.kept) == 4
    if kept:
        assert [(cut.rule, cut.candidates, cut.kept) for cut in found.cuts if cut.rule == "unseen"] == [
            ("unseen", 60, kept)
        ]


def test_unseen_prompts_of_each_domain_are_let_in_although_nothing_was_measured(connection):
    prompts = [ExamplePrompt(id=f"{domain}{n}", domain=domain) for domain in ("a", "b") for n in range(30)]
    kept = decide(connection, prompts, plan_of([Lowest()])).kept
    assert {name[0] for name in kept} == {"a", "b"}
    another = decide(connection, prompts, plan_of([Lowest()], round_=1)).kept
    assert len(kept) == len(another) == 2
    assert kept != another


def test_a_quota_of_the_stale_is_let_in_on_top_of_the_rule(connection):
    fresh = [measured(f"fresh{n}", 0.1 + n / 100) for n in range(20)]
    stale = [measured(f"stale{n}", 0.9, evidence_version=0) for n in range(20)]
    options = {"keep_share": 0.25, "stale_share": 0.3}
    found = decide(connection, fresh + stale, plan_of([Lowest()], stale_after_versions=VERSION, **options))
    by_reason = {
        reason: {name for name, (selected, why) in reasons(found).items() if selected and why is reason}
        for reason in (Reason.RULE, Reason.STALE)
    }
    assert by_reason[Reason.RULE] == {f"fresh{n}" for n in range(10)}
    assert len(by_reason[Reason.STALE]) == 3
    assert all(name.startswith("stale") for name in by_reason[Reason.STALE])
    never = decide(connection, fresh + stale, plan_of([Lowest()], stale_after_versions=0, **options))
    assert never.kept == by_reason[Reason.RULE]


def test_a_prompt_that_taught_nothing_rests_and_comes_back(connection):
    prompts = [
        measured("lively", 0.2, repeats=23),
        measured("tired", 0.0, repeats=24, evidence_version=VERSION - 49),
        measured("rested", 0.0, repeats=24, evidence_version=VERSION - 50),
        measured("tired original", 0.0, repeats=24, origin="original"),
    ]
    resting = plan_of([Lowest()], keep_share=1.0, rest_after_groups=3, rest_versions=50)
    found = reasons(decide(connection, prompts, resting))
    assert found == {
        "lively": (True, Reason.RULE),
        "tired": (False, Reason.RESTING),
        "rested": (True, Reason.RULE),
        "tired original": (False, Reason.RESTING),
    }
    assert decide(connection, prompts, plan_of([Lowest()], keep_share=1.0)).kept == set(found)


def test_rules_of_a_mixture_each_rank_their_part(connection):
    rules = [Lowest(), Informative()]
    prompts = [measured(f"p{n}", n / 400) for n in range(400)]
    mixture = {"lowest": 1, "informative": 3}
    first = decide(connection, prompts, plan_of(rules, mixture=mixture, keep_share=0.1))
    parts = {cut.rule: (cut.candidates, cut.kept) for cut in first.cuts}
    assert parts["lowest"][0] == pytest.approx(100, abs=30)
    assert parts["informative"][0] == 400 - parts["lowest"][0]
    assert all(kept == -(-candidates // 10) for candidates, kept in parts.values())
    second = decide(connection, prompts, plan_of(rules, mixture=mixture, keep_share=0.1, round_=5))
    assert {name: decision.rule for name, decision in second.decisions.items()} == {
        name: decision.rule for name, decision in first.decisions.items()
    }


def test_a_domain_may_have_a_rule_of_its_own(connection):
    prompts = [
        measured(f"{domain}{n}", n / 10, domain) for domain in ("mathematics", "writing", "logic") for n in range(11)
    ]
    rules = [Lowest(), Informative()]
    found = decide(connection, prompts, plan_of(rules, rule_by_domain={"mathematics": "informative"}, keep_share=0.09))
    assert found.kept == {"mathematics5", "writing0", "logic0"}
    assert found.decisions["mathematics5"].rule == "informative"


def test_no_prompt_and_no_measured_prompt_are_no_error(connection):
    assert decide(connection, [ExamplePrompt(id="q", quarantined="x")], plan_of([Lowest()])).kept == set()
    one = decide(connection, [ExamplePrompt(id="u")], plan_of([Lowest()], unseen_share=0))
    assert reasons(one) == {"u": (False, Reason.UNSEEN)}


def test_rules_are_opened_by_name_with_their_options():
    assert rule_names() == ["informative", "lowest", "skip", "uniform"]
    assert open_rule("lowest", {"normalise": "zscore"}) == Lowest(normalise="zscore")
    with pytest.raises(
        SelectionRuleError, match=r"unknown selection rule 'hardest'; installed are: informative, lowest"
    ):
        open_rule("hardest", {})
    with pytest.raises(SelectionRuleError, match=r"options\.lowest: normalize: .*; its options are: normalise"):
        open_rule("lowest", {"normalize": "rank"})


def test_a_resting_prompt_says_why_and_until_when(connection):
    plan = plan_of([Lowest()], rest_after_groups=3, rest_versions=50)
    found = decide(connection, [measured("tired", 0.0, repeats=24, evidence_version=VERSION - 9)], plan)
    assert sentence(found.decisions["tired"], plan, None, "new", None) == (
        "out: it rests: the last 24 scores were all 0.00, which is 3 groups or more without spread; it may come back "
        "50 versions after the newest of them, which is 9 versions old"
    )
