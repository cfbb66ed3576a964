"""One run has one learner, whatever starts, sleeps and wakes up; and a restart repeats seconds of measuring."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.learner_loop import Closings, LearnerLoop
from support.messages import announced, started
from support.waiting import wait_until

from infra.cli.errors import ExitCode
from streams.codec import DecodeError, decode_by_schema, encode, headers_of
from streams.dead_letters import list_dead_letters
from streams.messages import PolicyVersion
from streams.topics import Topic
from trainer.curriculum.lineages import Lineages
from trainer.fencing import saved_states
from trainer.fencing.claim import FencedError
from trainer.learner import Learner
from trainer.step.ppo import PPO
from trainer.weights.checkpoint import HISTORY_FILE, complete_checkpoints
from workers.rollout.policy_follower import Announcements

pytestmark = pytest.mark.timeout(300)


def measure(loop: LearnerLoop, *seqs: int) -> None:
    """Groups that close without a step: their scores are equal."""
    loop.dispatch(*seqs, scores=(1.0, 1.0))


def has_state(folder: Path) -> bool:
    """Whether a learner could resume from it; what a fenced learner had begun to write is never complete."""
    return bool(complete_checkpoints(folder)) or (folder / HISTORY_FILE).is_file()


def surviving(loop: LearnerLoop) -> tuple[Lineages, list[int]]:
    """The claims that count, and the groups that the surviving history closed, in their order."""
    found = Closings()
    for record in loop.records(Topic.GROUPS_CLOSED):
        with suppress(DecodeError):
            found.add(decode_by_schema(record.value, record.headers))
    lineages = Lineages.of(found.lineages)
    kept = lineages.admit(found.closed)
    return lineages, [closing.seq for closing in sorted(kept, key=lambda closing: closing.ordinal)]


def require_engines_stay(versions: list[PolicyVersion], lineage: int) -> None:
    """An engine that reads the announcements one by one, each of which it can load, ends at `lineage`."""
    announcements, loaded = Announcements(), []
    for each in versions:
        announcements.add(each)
        if (wanted := announcements.next(0.0)) is not None:
            announcements.note_loaded(wanted)
            loaded.append(wanted.lineage)
    assert loaded == sorted(loaded)
    assert loaded[-1] == lineage


def await_announcement(loop: LearnerLoop, lineage: int) -> None:
    wait_until(
        lambda: any(each.lineage == lineage for each in loop.versions()),
        f"the announcement of lineage {lineage}",
        interval=0.5,
        details=loop.logs,
    )


@pytest.mark.slow
def test_a_learner_that_wakes_up_after_another_took_over_ends_and_changes_nothing(loop: LearnerLoop) -> None:
    loop.dispatch(0, 1)
    first = loop.start("learner", "-first")
    loop.closings_until(lambda c: len(c.closed) == 2)
    first.send_signal(signal.SIGSTOP)
    loop.start("learner", "-second")
    await_announcement(loop, 1)
    loop.dispatch(2, 3)
    loop.closings_until(lambda c: {2, 3} <= {each.seq for each in c.closed if each.lineage == 1})
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=120) == ExitCode.FENCED
    assert "has taken run" in loop.log("learner-first")
    versions = loop.versions()
    last_of_first = max(n for n, each in enumerate(versions) if each.lineage == 0)
    assert last_of_first < min(n for n, each in enumerate(versions) if each.lineage == 1)
    require_engines_stay(versions, lineage=1)
    lineages, closed = surviving(loop)
    assert list(lineages.starts) == [0, 1]
    assert sorted(closed) == [0, 1, 2, 3]


@pytest.mark.slow
def test_of_two_learners_started_at_once_one_lives(loop: LearnerLoop) -> None:
    children = [loop.start("learner", f"-{name}") for name in ("left", "right")]
    loop.dispatch(0, 1)

    def one_ended() -> subprocess.Popen[bytes] | None:
        return next((child for child in children if child.poll() is not None), None)

    ended = wait_until(one_ended, "one of two learners to end", interval=0.5, details=loop.logs)
    assert ended.returncode == ExitCode.FENCED
    alive = next(child for child in children if child is not ended)
    wait_until(lambda: sorted(surviving(loop)[1]) == [0, 1], "both groups", interval=0.5, details=loop.logs)
    assert alive.poll() is None
    lineages, closed = surviving(loop)
    assert sorted(closed) == [0, 1]
    require_engines_stay(loop.versions(), lineages.newest)
    alive.send_signal(signal.SIGTERM)
    assert alive.wait(timeout=60) == 0


def test_a_learner_that_was_overtaken_ends_before_it_announces(loop: LearnerLoop) -> None:
    """In one process: the second claims between two rounds of the first."""
    loop.dispatch(0, 1)
    first = Learner(loop.settings, loop.bootstrap)
    read = first._read
    claimed = []

    def read_and_be_overtaken() -> None:
        if not claimed and first._position.version == 1:
            first._background.drain()
            second = Learner(loop.settings, loop.bootstrap)
            second._start_lineage()
            second._background.drain()
            claimed.append(second)
            loop.dispatch(2, 3, version=1)
        read()

    first._read = read_and_be_overtaken
    with pytest.raises(FencedError, match=r"another learner \(.*, lineage 1, since .*\) has taken run"):
        first.run()
    assert [(each.lineage, each.version) for each in loop.versions()] == [(0, 0), (0, 1), (1, 0)]
    states = [folder for folder in (loop.run_folder / "checkpoints").iterdir() if has_state(folder)]
    assert [folder.name.partition("-")[0] for folder in states] == ["lineage001"]
    third = Learner(loop.settings, loop.bootstrap)
    assert third._position.lineage == 2


@pytest.mark.parametrize("groups", [3])
def test_a_killed_learner_repeats_seconds_of_measuring(
    loop: LearnerLoop, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step nothing but the history can be saved."""
    monkeypatch.setattr("trainer.learner._HISTORY_SECONDS", 0.0)
    measure(loop, *range(groups))
    first = Learner(loop.settings, loop.bootstrap)
    save, saved = saved_states.save_history, []

    def killed(own, history) -> None:
        save(own, history)
        saved.append(history.ordinal)
        if history.ordinal == groups:
            raise MemoryError  # ends the learner without a last word, as a kill does

    monkeypatch.setattr(saved_states, "save_history", killed)
    with pytest.raises(MemoryError):
        first.run()
    monkeypatch.setattr(saved_states, "save_history", save)
    second = Learner(loop.settings, loop.bootstrap)
    assert (second._claimed.lineage, second._claimed.ordinal) == (1, groups)
    assert second._assembler.book.closed.low == groups


@pytest.fixture
def terminable() -> Iterator[None]:
    """SIGTERM interrupts, as in `rewardstream serve`."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminable")
@pytest.mark.parametrize(("where", "saved"), [("_plan", (0, 1)), ("_update", (1, 3))])
def test_a_stop_within_a_step_saves_what_was_done(
    loop: LearnerLoop, monkeypatch: pytest.MonkeyPatch, where: str, saved: tuple[int, int]
) -> None:
    """Before weights change the step is dropped; afterwards it is finished."""
    original = getattr(PPO, where)

    def asked_to_stop(self: PPO, *args: object) -> object:
        if where == "_plan":
            os.kill(os.getpid(), signal.SIGTERM)
        result = original(self, *args)
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(PPO, where, asked_to_stop)
    measure(loop, 0)
    first = Learner(loop.settings, loop.bootstrap)
    read = first._read

    def read_and_go_on() -> None:
        if first._position.ordinal == 1 and not first._assembler.book.open:
            loop.dispatch(1, 2)
        read()

    first._read = read_and_go_on
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second = Learner(loop.settings, loop.bootstrap)
    assert (second._claimed.version, second._claimed.ordinal) == saved
    assert [each.version for each in loop.versions()] == list(range(saved[0] + 1))


def test_claims_and_announcements_from_nowhere_do_not_wedge_a_run(loop: LearnerLoop) -> None:
    nowhere = announced(1_000_000, lineage=98, run_id=loop.run_id, uri="/nowhere")
    for raw in (b"\xc1 not MessagePack", b""):
        loop.send_bytes(Topic.POLICY_VERSIONS, raw, key=b"poison")
        loop.send_bytes(Topic.GROUPS_CLOSED, raw, ("schema", b"LineageStarted"))
    measure(loop, 0)
    first = Learner(loop.settings, loop.bootstrap)
    read = first._read

    def read_until_closed() -> None:
        if first._position.ordinal:
            raise KeyboardInterrupt
        read()

    first._read = read_until_closed
    with pytest.raises(KeyboardInterrupt):
        first.run()
    with loop.reader(Topic.DEAD_LETTERS) as reader:
        letters = list_dead_letters(reader)
    assert sorted(letter.topic.removeprefix(f"{loop.run_id}.") for letter in letters) == [
        *(["groups.closed"] * 2),
        *(["policy.versions"] * 2),
    ]
    loop.send(started(99, 0, run_id=loop.run_id, at=time.time()), nowhere)
    for key in (b"a", b"b", b"c"):  # over both partitions
        message = started(99, 0, run_id=loop.run_id)
        loop.send_bytes(Topic.GROUPS_CLOSED, encode(message), *headers_of(message), key=key)
    second = Learner(loop.settings, loop.bootstrap)
    second._start_lineage()
    second._background.drain()
    assert second._claimed.ordinal == 1
    assert second._claimed.lineage == 99  # above what was announced, so that engines which loaded that follow
    lineages, closed = surviving(loop)
    assert (list(lineages.starts), closed) == ([0, 99], [0])
