"""New scores over old verdicts: a group has those of one scorer."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.messages import scored

from streams.codec import encode
from streams.messages import Route, ScoredTrajectory, Status
from streams.records import Record
from trainer.groups.replay import NewScores


def again(seq: int, index: int, score: float) -> ScoredTrajectory:
    return msgspec.structs.replace(scored(seq, index, score), scorer_version="2", why="again")


def new_scores(*messages: ScoredTrajectory) -> NewScores:
    return NewScores.of("math@2", [Record("s", 0, n, 0.0, b"k", encode(message)) for n, message in enumerate(messages)])


def test_a_group_that_was_scored_again_has_the_new_scores():
    new = new_scores(again(0, 0, 0.0), again(0, 1, 1.0))
    found = [new.apply(scored(0, index, old)) for index, old in ((0, 1.0), (1, 1.0))]
    assert [(each.score, each.scorer_version, each.why) for each in found] == [(0.0, "2", "again"), (1.0, "2", "again")]


def test_a_group_that_was_not_keeps_its_own():
    old = scored(1, 0, 0.25)
    assert new_scores(again(0, 0, 0.0)).apply(old) == old


def test_a_rollout_that_lacks_one_beside_others_fails_its_group():
    found = new_scores(again(0, 0, 0.0)).apply(scored(0, 1, 1.0))
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "math@2 scored others of its group" in found.why


def test_an_infra_error_of_the_run_is_mended_by_a_new_score():
    assert new_scores(again(0, 0, 1.0)).apply(scored(0, 0, None)).score == 1.0


def test_a_shadow_score_stays_a_shadow():
    shadow = scored(0, 0, 0.5, route=Route.GENRM)
    assert new_scores(again(0, 0, 1.0)).apply(shadow) == shadow


def test_the_first_score_counts_and_what_does_not_decode_is_none():
    broken = Record("s", 0, 9, 0.0, b"k", b"\xc1")
    records = [Record("s", 0, n, 0.0, b"k", encode(again(0, 0, score))) for n, score in enumerate((0.75, 0.5))]
    assert NewScores.of("math@2", [broken, *records]).apply(scored(0, 0, 0.0)).score == 0.75


@given(
    old=st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=6, max_size=6),
    new=st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0])),
)
def test_no_group_mixes_two_scorers(old, new):
    """Three groups of two; whatever was scored again."""
    overlay = new_scores(*(again(n // 2, n % 2, score) for n, score in new.items()))
    for group in range(3):
        members = [overlay.apply(scored(group, index, old[2 * group + index])) for index in range(2)]
        assert len({m.scorer_version for m in members if m.score is not None}) <= 1
