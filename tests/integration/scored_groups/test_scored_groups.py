"""The public reader of scored groups, on the log of a run on a real broker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.broker_run import RunOnBroker, run_settings
from support.messages import closed, rollout_of, started, ticket, verdict

from infra.local.run_folder import write_settings
from streams.clients import BrokerUnavailableError, OffsetsLostError
from streams.messages import Outcome, Purpose, Route, Status
from streams.topics import Topic
from trainer.scored_groups import LogPosition, RunNotReadableError, ScoredGroup, ScoredGroups


class ClosedRun(RunOnBroker):
    """A run whose groups are written here; `close_group` writes what the learner would."""

    def group(self, seq: int, scores: tuple[float | None, ...] = (1.0, 0.0), purpose: Purpose = Purpose.TRAIN) -> None:
        """Its ticket and verdicts."""
        asked = ticket(seq, run_id=self.run_id, samples=len(scores), purpose=purpose)
        made = [
            rollout_of(asked, index, tokens=[5, 6 + index], logprobs=[-0.5, -0.25], text=f"{seq}/{index}")
            for index in range(len(scores))
        ]
        self.send(asked, *(verdict(rollout, score) for rollout, score in zip(made, scores, strict=True)))

    def end(self, seq: int, ordinal: int, outcome: Outcome = Outcome.TRAINED, **changes: object) -> None:
        self.send(closed(seq, ordinal, outcome, run_id=self.run_id, **changes))

    def claim(self, lineage: int, ordinal: int) -> None:
        self.send(started(lineage, ordinal, run_id=self.run_id))

    def groups(self, start: LogPosition | None = None, **options: object) -> list[ScoredGroup]:
        with ScoredGroups(self.settings, start=start, **options) as found:
            return list(found)


@pytest.fixture
def run(bootstrap: str, tmp_path: Path) -> Iterator[ClosedRun]:
    run = ClosedRun(run_settings(bootstrap), bootstrap, tmp_path)
    run.claim(1, 0)
    yield run
    run.close()


def seqs(groups: list[ScoredGroup]) -> list[int]:
    return sorted(group.seq for group in groups)


def test_a_group_is_told_whole(run: ClosedRun) -> None:
    run.group(0)
    run.end(0, 0, staleness=2)
    [group] = run.groups()
    assert (group.run_id, group.group_id, group.prompt_id) == (run.run_id, f"{run.run_id}:0", "p0")
    assert group.messages == ({"role": "user", "content": "2+2?"},)
    assert group.question is not None
    assert (group.question.ground_truth, group.route, group.temperature) == ("4", Route.RTV, 1.0)
    assert (group.outcome, group.reason, group.version, group.staleness) == (Outcome.TRAINED, "", 1, 2)
    assert group.complete
    first, second = group.samples
    assert [(one.score, one.status, one.text) for one in (first, second)] == [
        (1.0, Status.CORRECT, "0/0"),
        (0.0, Status.WRONG, "0/1"),
    ]
    assert (first.scorer, first.scorer_version, first.finish_reason) == ("math", "1", "stop")
    assert second.tokens is not None
    assert second.tokens.prompt.tolist() == [1, 2, 3]
    assert second.tokens.tokens.tolist() == [5, 7]
    assert second.tokens.by_policy.tolist() == [True, True]
    assert second.tokens.logprobs.tolist() == [-0.5, -0.25]
    assert second.tokens.logprobs.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        second.tokens.tokens[0] = 1


def test_only_closed_groups_of_the_purposes_asked_for_are_told(run: ClosedRun) -> None:
    run.group(0)
    run.group(1)
    run.group(2, purpose=Purpose.EVAL)
    run.end(0, 0, Outcome.FILTERED, reason="zero_variance")
    run.end(2, 1, Outcome.FILTERED, reason="measured", purpose=Purpose.EVAL)
    [group] = run.groups()
    assert (group.seq, group.outcome, group.reason) == (0, Outcome.FILTERED, "zero_variance")
    assert seqs(run.groups(purposes=list(Purpose))) == [0, 2]


def test_a_group_that_lacks_samples_is_told_with_those_it_has(run: ClosedRun) -> None:
    asked = ticket(0, run_id=run.run_id, samples=3)
    run.send(asked, verdict(rollout_of(asked, 1), 1.0), verdict(rollout_of(asked, 2), None))
    run.end(0, 0, Outcome.FAILED, reason="scorer failed")
    run.send_bytes(Topic.SCORED, b"no verdict", ("schema", b"ScoredTrajectory"))
    run.end(5, 1, Outcome.EXPIRED, reason="deadline")
    with ScoredGroups(run.settings) as groups:
        [group] = groups
        assert (groups.unreadable, groups.gone, groups.open_groups) == (1, 1, 0)
    assert (group.outcome, group.size, group.complete) == (Outcome.FAILED, 3, False)
    assert [(sample.index, sample.score) for sample in group.samples] == [(1, 1.0), (2, None)]


def test_what_is_read_twice_is_told_once(run: ClosedRun) -> None:
    for _ in range(2):
        run.group(0)
        run.end(0, 0)
    run.group(0, (0.0, 0.0))
    [group] = run.groups()
    assert [sample.score for sample in group.samples] == [1.0, 0.0]


def test_an_ending_that_a_later_learner_took_back_is_not_told(run: ClosedRun) -> None:
    for seq in range(3):
        run.group(seq)
    run.end(0, 0)
    run.end(1, 1)
    run.claim(2, 1)
    run.end(1, 1, Outcome.STALE, lineage=2)
    run.end(2, 2, lineage=2)
    assert {group.seq: group.outcome for group in run.groups()} == {
        0: Outcome.TRAINED,
        1: Outcome.STALE,
        2: Outcome.TRAINED,
    }


def test_a_reader_goes_on_where_another_one_stopped_wherever_that_was(run: ClosedRun) -> None:
    """Groups overlap, so the offsets alone would repeat or miss some."""
    for seq in range(8):
        run.group(seq)
    for ordinal, seq in enumerate((1, 0, 3, 5, 2)):
        run.end(seq, ordinal)
    for stop in range(6):
        with ScoredGroups(run.settings) as reader:
            groups = iter(reader)
            first = [next(groups).seq for _ in range(stop)]
            position = LogPosition.from_json(reader.position.to_json())
        rest = [group.seq for group in run.groups(position)]
        assert sorted(first + rest) == [0, 1, 2, 3, 5]
    for ordinal, seq in enumerate((4, 7, 6), start=5):
        run.end(seq, ordinal)
    assert sorted(first + seqs(run.groups(position))) == list(range(8))


def test_a_run_is_followed_as_it_goes_on(run: ClosedRun) -> None:
    run.group(0)
    run.end(0, 0)
    with ScoredGroups(run.settings, follow=60) as reader:
        groups = iter(reader)
        assert next(groups).seq == 0
        run.group(1)
        run.end(1, 1)
        assert next(groups).seq == 1
        run.group(2, (None, 1.0))
        run.end(2, 2, Outcome.FAILED, reason="scorer failed")
        assert next(groups).outcome is Outcome.FAILED


def test_memory_is_what_was_open_at_one_moment(run: ClosedRun) -> None:
    """Three groups were open at a time. The topic of the closings is a hundredth of the others, and read no faster."""
    total, window = 150, 3
    for seq in range(total):
        run.group(seq)
        if seq >= window - 1:
            run.end(seq - window + 1, seq - window + 1)
    most = 0
    with ScoredGroups(run.settings) as reader:
        told = []
        for group in reader:
            told.append(group.seq)
            most = max(most, reader.open_groups)
    assert sorted(told) == list(range(total - window + 1))
    assert most <= 2 * window


def test_the_run_does_not_notice(run: ClosedRun) -> None:
    run.group(0)
    run.end(0, 0)
    before = {topic: len(run.records(topic)) for topic in Topic}
    assert len(run.groups()) == 1
    assert {topic: len(run.records(topic)) for topic in Topic} == before


def test_a_run_is_found_by_its_id(run: ClosedRun) -> None:
    run.group(0)
    run.end(0, 0)
    run.run_folder.mkdir()
    write_settings(run.settings, run.run_folder)
    with ScoredGroups.of_run(run.run_id, run.folder) as groups:
        assert [group.seq for group in groups] == [0]
    with pytest.raises(RunNotReadableError, match="there is no run 'gone' in "):
        ScoredGroups.of_run("gone", run.folder)
    with pytest.raises(BrokerUnavailableError, match="no Kafka broker answers"):
        ScoredGroups(_elsewhere(run, "127.0.0.1:1"))


def test_another_log_is_named(run: ClosedRun) -> None:
    other = run.settings.model_copy(update={"topics": run.settings.topics.model_copy(update={"prefix": "gone"})})
    with pytest.raises(RunNotReadableError, match=r"the log of run .* does not exist"):
        ScoredGroups(other)
    [at] = [at for at in _position(run).offsets if at.topic.endswith("scored") and at.partition == 0]
    with pytest.raises(OffsetsLostError, match="offset 1000 is not in"):
        ScoredGroups(run.settings, start=LogPosition({at: 1000}, 0, frozenset()))


def test_reading_needs_no_torch() -> None:
    program = "import sys, trainer.scored_groups; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def _position(run: ClosedRun) -> LogPosition:
    with ScoredGroups(run.settings) as groups:
        return groups.position


def _elsewhere(run: ClosedRun, address: str):
    broker = run.settings.broker.model_copy(update={"bootstrap_servers": address, "connect_timeout_seconds": 0.5})
    return run.settings.model_copy(update={"broker": broker})
