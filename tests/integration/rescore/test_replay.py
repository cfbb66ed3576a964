"""`rewardstream replay`: a second learner on a log, from anywhere in it, through stops, with signed announcements."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from support.past_run import RIGHT, WRONG, PastRun
from support.tiny_model import save_tiny_model
from support.waiting import wait_until

from infra.cli.errors import ExitCode
from infra.local.run_folder import write_settings
from infra.settings.load import load, with_changes
from streams.announcements import read_announcement
from streams.clients import LogReader
from streams.codec import DecodeError, decode_by_schema
from streams.messages import GroupClosed, Outcome
from streams.topics import Topic, topic_name
from trainer.curriculum.lineages import Lineages


@dataclass
class Replays:
    """The command, in a process of its own, and what its learner wrote."""

    past: PastRun
    model: Path

    def arguments(self, *more: str) -> list[str]:
        changes = {
            "learner.advantage": "group",
            "learner.value.kind": "none",
            "learner.warmup_steps": 0,
            "learner.checkpoint_every": 2,
            "selector.admission.groups_per_step": 1,
        }
        sets = [word for path, value in changes.items() for word in ("--set", f"{path}={value}")]
        return ["replay", "--run", self.past.run_id, *sets, *more]

    def run(self, *arguments: str) -> tuple[int, str]:
        child = self.past.process(*arguments)
        out, error = child.communicate(timeout=120)
        return child.returncode, out + error

    def closings(self, replay_id: str) -> list[GroupClosed]:
        """Returns those of the surviving history, by ordinal."""
        with LogReader(
            self.past.settings.broker, self.past.bootstrap, [topic_name(replay_id, Topic.GROUPS_CLOSED)]
        ) as reader:
            found = [decode_by_schema(record.value, record.headers) for record in reader.read_to_end()]
        lineages = Lineages.of(message for message in found if not isinstance(message, GroupClosed))  # type: ignore[misc]
        closings = [message for message in found if isinstance(message, GroupClosed) and lineages.admits(message)]
        return sorted(closings, key=lambda closing: closing.ordinal)

    def trained(self, replay_id: str) -> list[int]:
        return [closing.seq for closing in self.closings(replay_id) if closing.outcome is Outcome.TRAINED]

    def steps(self, replay_id: str) -> list[dict[str, object]]:
        lines = (self.past.folder / replay_id / "steps.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def id_in(out: str) -> str:
    found = re.search(r"go on      rewardstream replay --resume (\S+),", out)
    assert found, out
    return found[1]


@pytest.fixture
def replays(past: PastRun, tmp_path: Path) -> Replays:
    for seq in range(6):
        past.group(seq, (RIGHT, WRONG), (1.0, 0.0))
    return Replays(past, save_tiny_model(tmp_path / "model", seed=0))


@pytest.mark.timeout(300)
def test_a_replay_begins_at_a_group_or_a_time_and_goes_on_as_the_log_grows(past: PastRun, replays: Replays) -> None:
    with_model = ("--model", str(replays.model))
    code, out = replays.run(*replays.arguments("--from", "3", *with_model))
    assert code == 0, out
    replay = id_in(out)
    assert replays.trained(replay) == [3, 4, 5]

    now = datetime.now(UTC).isoformat()
    past.group(6, (RIGHT, WRONG), (1.0, 0.0))
    code, out = replays.run("replay", "--resume", replay)
    assert code == 0, out
    assert replays.trained(replay) == [3, 4, 5, 6]

    code, out = replays.run(*replays.arguments("--from", now, *with_model))
    assert code == 0, out
    assert replays.trained(id_in(out)) == [6]

    code, out = replays.run(*replays.arguments("--from", "99", *with_model))
    assert (code, "has no group 99; the log has tickets of 0 to 6" in out) == (ExitCode.UNREACHABLE, True), out


@pytest.mark.timeout(300)
def test_a_killed_replay_of_a_run_with_signed_announcements_goes_on(
    past: PastRun, replays: Replays, tmp_path: Path
) -> None:
    key = tmp_path / "announcements.key"
    key.write_text("x" * 44)
    signed = with_changes(past.settings, weights={"signing_key_file": str(key)}, model={"path": str(replays.model)})
    write_settings(signed, past.folder / past.run_id)
    child = past.process(*replays.arguments())
    [replay] = wait_for_one(lambda: [path.parent.name for path in past.folder.glob("*-again*/steps.jsonl")])
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    code, out = replays.run("replay", "--resume", replay)
    assert code == 0, out
    assert replays.trained(replay) == [0, 1, 2, 3, 4, 5]
    assert {closing.lineage for closing in replays.closings(replay)} >= {1}

    with LogReader(past.settings.broker, past.bootstrap, [topic_name(replay, Topic.POLICY_VERSIONS)]) as reader:
        records = list(reader.read_to_end())
    assert max(read_announcement(record, key.read_bytes()).version for record in records) == 6
    with pytest.raises(DecodeError):
        read_announcement(records[0], b"another key")
    code, out = replays.run("train", "--resume", replay)
    assert (code, f"rewardstream replay --resume {replay}" in out) == (ExitCode.USAGE, True), out


@pytest.mark.timeout(300)
def test_from_a_version_is_with_its_weights_and_repeats_the_run_s_losses(past: PastRun, replays: Replays) -> None:
    """The run whose log is replayed is here a replay itself, whose versions are kept."""
    kept = ("--set", "learner.keep_versions=9", "--set", "learner.learning_rate=1e-3", "--set", "model.dtype=float32")
    code, out = replays.run(*replays.arguments("--model", str(replays.model), *kept))
    assert code == 0, out
    first = id_in(out)
    assert replays.trained(first) == [0, 1, 2, 3, 4, 5]
    # What the run made: its closings and versions, in its own topics and folder.
    past.send(*(as_of(past.run_id, closing) for closing in replays.closings(first)))
    (past.folder / past.run_id / "versions").symlink_to(past.folder / first / "versions")

    code, out = replays.run(*replays.arguments("--from", "v2", *kept))
    assert code == 0, out
    again = id_in(out)
    assert replays.trained(again) == [2, 3, 4, 5]
    assert load(str(past.folder / again / "settings.json")).settings.model.path.endswith("v000002")
    losses = [step["policy_loss"] for step in replays.steps(first)]
    assert replays.steps(again)[0]["policy_loss"] == pytest.approx(losses[2], abs=1e-6)
    assert losses[0] != pytest.approx(losses[2], abs=1e-4)

    code, out = replays.run(*replays.arguments("--from", "v7"))
    assert (code, "has made no version 7" in out) == (ExitCode.UNREACHABLE, True), out
    (past.folder / past.run_id / "versions").unlink()
    code, out = replays.run(*replays.arguments("--from", "v2"))
    assert (code, "name a copy with --model FOLDER" in out) == (ExitCode.UNREACHABLE, True), out


def as_of(run_id: str, closing: GroupClosed) -> GroupClosed:
    return msgspec.structs.replace(closing, run_id=run_id, lineage=0)


def wait_for_one(found: Callable[[], list[str]]) -> list[str]:
    wait_until(lambda: bool(found()), "the replay's first step")
    return found()
