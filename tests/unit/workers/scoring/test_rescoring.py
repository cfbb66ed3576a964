"""Which rollouts are judged again, each once; and what the topics of new scores are called."""

import asyncio
import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import ROLLOUT

from infra.settings.tree import RtvSettings
from streams.codec import encode
from streams.messages import Purpose, Question, Rollout, Status
from streams.records import Record
from workers.scoring.rescore.picker import RescorePicker, RescoreSelection
from workers.scoring.rescore.topics import ScorerId, rescored_topic
from workers.scoring.scorers import VerifierOverride, VerifierScorer
from workers.verifiers.pool.pool import VerifierPool

RUN = "r1"


def rollout(seq: int = 0, index: int = 0, **changes: object) -> Rollout:
    changes = {"run_id": RUN, "domain": "mathematics", "purpose": Purpose.TRAIN, "text": "5", **changes}
    group = f"{changes['run_id']}:{seq}"
    return msgspec.structs.replace(
        ROLLOUT, group_id=group, rollout_id=f"{group}/{index}", seq=seq, index=index, **changes
    )


def question(verifier: str | None = "math", truth: str | None = "5", references: Sequence[str] = ()) -> Question:
    return Question(prompt="2 + 3?", verifier=verifier, ground_truth=truth, references=tuple(references))


def record(message: Rollout) -> Record:
    return Record("rollouts", 0, 0, 0.0, b"k", encode(message))


def picker(done: Sequence[str] = (), **asked: object) -> RescorePicker:
    selection = RescoreSelection(**{"run_id": RUN, "scorer": "math", **asked})
    return RescorePicker(selection, lambda _: None, frozenset(done))


def picked(chosen: RescorePicker, rollouts: Sequence[Rollout]) -> list[str]:
    return [found.rollout_id for each in rollouts if (found := chosen.pick(record(each))) is not None]


@pytest.mark.parametrize(
    ("asked", "of", "reason"),
    [
        ({}, rollout(question=question()), None),
        ({}, rollout(question=question("exact")), "judged by exact"),
        ({}, rollout(question=question(None)), "judged by genrm"),
        ({"others": True}, rollout(question=question("exact")), None),
        ({"others": True}, rollout(question=question("exact", None)), "no ground truth for another verifier"),
        ({"scorer": "genrm"}, rollout(question=question(None)), None),
        ({"scorer": "genrm"}, rollout(question=question("math")), "judged by math"),
        ({"scorer": "genrm", "others": True}, rollout(question=question("math")), None),
        ({"domains": frozenset({"qa"})}, rollout(question=question()), "of another domain"),
        ({"purposes": frozenset({Purpose.EVAL})}, rollout(question=question()), "of another purpose"),
    ],
)
def test_which_rollouts_a_rescore_picks(asked: dict[str, object], of: Rollout, reason: str | None) -> None:
    chosen = picker(**asked)
    assert picked(chosen, [of]) == ([] if reason else [of.rollout_id])
    assert dict(chosen.passed_over) == ({reason: 1} if reason else {})


def test_copies_other_runs_and_what_does_not_decode_are_not_picked() -> None:
    chosen = picker()
    assert picked(chosen, [rollout(), rollout(), rollout(1, run_id="another")]) == ["r1:0/0"]
    assert chosen.pick(Record("rollouts", 0, 0, 0.0, b"k", b"\xc1")) is None
    assert (chosen.unreadable, chosen.picked.total()) == (1, 1)


def test_a_rescores_limit_finishes_the_group_it_falls_into() -> None:
    log = [rollout(seq, index) for index in range(2) for seq in range(4)]
    assert picked(picker(limit=2), log) == ["r1:0/0", "r1:1/0", "r1:0/1", "r1:1/1"]
    chosen = picker(done=["r1:3/0"], limit=1)
    assert picked(chosen, log) == ["r1:0/0", "r1:0/1", "r1:3/1"]
    assert (dict(chosen.already), dict(chosen.passed_over)) == ({"mathematics": 1}, {"beyond the limit": 4})


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2))), st.sets(st.integers(0, 4)))
def test_each_rollout_is_picked_once_and_never_what_is_done(log: list[tuple[int, int]], done: set[int]) -> None:
    before = [f"{RUN}:{seq}/0" for seq in done]
    names = picked(picker(done=before), [rollout(seq, index) for seq, index in log])
    assert sorted(names) == sorted({f"{RUN}:{seq}/{index}" for seq, index in log} - set(before))


def test_a_verifier_is_asked_by_its_own_name() -> None:
    """`math` takes 5.0 for 5, `exact` does not."""
    asked = [rollout(text="5.0", question=question("math"))]

    async def verdicts() -> list[float | None]:
        pool = VerifierPool(RtvSettings())
        try:
            scorers = [VerifierOverride(VerifierScorer(pool), name) for name in ("math", "exact")]
            assert [scorer.why_unscorable(asked[0]) for scorer in scorers] == [None, None]
            found = [verdict for scorer in scorers for verdict in await scorer.score(asked)]
            assert {verdict.status for verdict in found} == {Status.CORRECT, Status.WRONG}
            return [verdict.score for verdict in found]
        finally:
            await pool.close()

    assert asyncio.run(verdicts()) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "name", "version"), [("math@2", "math", "2"), ("genrm", "genrm", ""), ("a@b@c", "a", "b@c")]
)
def test_a_scorer_is_named_with_or_without_version(text: str, name: str, version: str) -> None:
    assert ScorerId.parse(text) == ScorerId(name, version)
    assert str(ScorerId.parse(text)) == text


@pytest.mark.parametrize("text", ["", "@1", "math@"])
def test_what_names_no_scorer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write NAME@VERSION"):
        ScorerId.parse(text)


def test_the_topic_of_plain_names_is_readable() -> None:
    assert rescored_topic("run", ScorerId("math", "2.1")) == "run.scored.math.2.1"
    assert ScorerId("math", "2.1").folder == "rescore-math-2.1"


NAMES = st.text(alphabet="ab.-/ é", min_size=1, max_size=4)


@given(NAMES, NAMES, NAMES, NAMES)
def test_two_scorers_never_share_a_topic_and_kafka_takes_each(a: str, b: str, c: str, d: str) -> None:
    one, other = rescored_topic("run", ScorerId(a, b)), rescored_topic("run", ScorerId(c, d))
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,249}", one)
    assert (one == other) == ((a, b) == (c, d))
