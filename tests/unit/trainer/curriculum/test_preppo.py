"""The selection: shares, normalisation, reasons, and the guard against wrong references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum.preppo import SelectionCandidate, normalise_within_domains, select, select_all, suspicion


def new(name, mean, domain="qa", **more):
    return SelectionCandidate(name, domain, "new", scores=(mean,) * 5, **more)


def chosen(decisions):
    return {decision.prompt_id for decision in decisions if decision.selected}


def test_the_lowest_share_of_each_domain_is_kept_whatever_its_level():
    """Domains score differently: without normalisation the low domain would fill the whole share."""
    low = [new(f"low{i}", i / 100, "mathematics") for i in range(10)]
    high = [new(f"high{i}", 0.9 + i / 100, "writing") for i in range(10)]
    for normalise in ("rank", "zscore"):
        assert chosen(select(low + high, 0.2, normalise)) == {"low0", "low1", "high0", "high1"}


def test_originals_are_added_unfiltered_and_unmeasured_new_ones_are_not():
    original = SelectionCandidate("o", "qa", "original")
    unmeasured = SelectionCandidate("u", "qa", "new")
    decisions = select([original, unmeasured, new("a", 0.1), new("b", 0.9)], 0.5)
    assert chosen(decisions) == {"o", "a"}
    assert [decision.normalised for decision in decisions] == [None, None, 0.25, 0.75]
    assert "not measured" in decisions[1].why


@pytest.mark.parametrize(("share", "kept"), [(0.1, 3), (0.11, 4), (0.001, 1), (1.0, 30)])
def test_the_kept_share_is_rounded_up(share, kept):
    assert len(chosen(select([new(f"p{i:02}", i / 30) for i in range(30)], share))) == kept


def test_the_reason_says_where_the_prompt_stands():
    decision = select([new("a", 0.2), new("b", 0.8)], 0.5)[1]
    assert decision.why == (
        "out: new, mean score 0.800 of 5 responses, rank 0.750 in qa, place 2 of 2 from the lowest; "
        "the lowest 1 (50%) are in"
    )


def test_equal_scores_are_ranked_by_id_and_have_equal_zscores():
    domains, means = dict.fromkeys("abcd", "qa"), {"a": 0.0, "b": 0.5, "c": 0.5, "d": 1.0}
    assert normalise_within_domains(domains, means, "rank") == {"a": 0.125, "b": 0.375, "c": 0.625, "d": 0.875}
    assert set(normalise_within_domains(domains, dict.fromkeys("abcd", 0.3), "zscore").values()) == {0.0}


def suspect(answers, scores, *, has_truth=True, origin="new"):
    return SelectionCandidate("s", "qa", origin, tuple(scores), tuple(answers), has_truth)


def test_agreeing_responses_that_contradict_the_reference_are_quarantined():
    item = suspect(["Paris", "paris.", "Paris!", " PARIS ", "Lyon"], [0, 0, 0, 0, 1])
    decisions = select([item, new("a", 0.9)], 1.0)
    assert [(d.selected, d.quarantine) for d in decisions] == [(False, True), (True, False)]
    assert "4 of 5 responses agree on 'paris' and score 0.00" in decisions[0].why


@pytest.mark.parametrize(
    "item",
    [
        suspect(["a", "b", "c", "d", "e"], [0, 0, 0, 0, 0]),  # wrong in five ways: hard, not broken
        suspect(["a"] * 5, [1, 1, 1, 1, 1]),  # agree and are right
        suspect(["a"] * 5, [0] * 5, has_truth=False),
        suspect(["a"] * 5, [0] * 5, origin="original"),
        suspect(["a", "a"], [0, 0]),
        suspect([""] * 5, [0] * 5),
    ],
)
def test_which_prompts_are_not_suspicious(item):
    assert suspicion(item) is None


def test_a_quarantined_prompt_stays_out_and_names_the_reason():
    item = SelectionCandidate("q", "qa", "new", scores=(0.0,), quarantined="wrong key")
    for decisions in (select([item], 1.0), select_all([item])):
        assert [(d.selected, d.quarantine, d.why) for d in decisions] == [(False, False, "out: quarantined: wrong key")]


CANDIDATES = st.lists(
    st.builds(
        SelectionCandidate,
        prompt_id=st.uuids().map(str),
        domain=st.sampled_from(["qa", "math", "if"]),
        origin=st.sampled_from(["new", "original"]),
        scores=st.lists(st.floats(0, 1), max_size=5).map(tuple),
    ),
    max_size=40,
    unique_by=lambda item: item.prompt_id,
)


@given(CANDIDATES, st.floats(0.01, 1), st.sampled_from(["rank", "zscore"]), st.randoms())
def test_one_decision_each_and_no_kept_prompt_above_a_dropped_one(candidates, share, normalise, rng):
    decisions = select(candidates, share, normalise)
    assert [decision.prompt_id for decision in decisions] == [item.prompt_id for item in candidates]
    ranked = [decision for decision in decisions if decision.normalised is not None]
    kept = [decision.normalised for decision in ranked if decision.selected]
    dropped = [decision.normalised for decision in ranked if not decision.selected]
    assert max(kept, default=float("-inf")) <= min(dropped, default=float("inf"))
    shuffled = rng.sample(candidates, len(candidates))
    assert chosen(select(shuffled, share, normalise)) == chosen(decisions)


def test_a_domain_whose_scores_are_all_equal_gets_its_share_and_no_more():
    hopeless = [SelectionCandidate(f"a{n:02}", "hopeless", "new", scores=(0.0, 0.0)) for n in range(20)]
    graded = [SelectionCandidate(f"b{n:02}", "graded", "new", scores=(n / 20,)) for n in range(20)]
    chosen = [each.prompt_id for each in select([*hopeless, *graded], 0.2) if each.selected]
    assert sum(name.startswith("a") for name in chosen) == 4
    assert [name for name in chosen if name.startswith("b")] == ["b00", "b01", "b02", "b03"]
