"""`rewardstream replay` and `train --from-run`: runs the learner alone, on the log of a run that has ended or goes on.

Invariant: nothing is written to that run. Closings, versions and checkpoints have an id, topics and a folder of their
own. A replay that was stopped goes on from its own saved history, in which its start is the first entry.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from infra import logs
from infra.cli.errors import CommandError, ExitCode
from infra.cli.logs import open_log
from infra.cli.options import Dedicated, print_dry_run, resolve
from infra.cli.runs import RunPlace, find_run
from infra.local.interrupts import interrupt_once
from infra.services import Service
from infra.settings.load import with_changes
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from trainer.groups.replay_start import ReplayFrom, ReplayStart

_KIND = "again"
"""Suffix of the new id."""


def train_again(
    run: str,
    scores: str,
    root: Path,
    assignments: list[str] | None,
    dedicated: tuple[Dedicated, ...],
    *,
    begin: str | None = None,
    dry_run: bool,
) -> None:
    """Trains on the log of `run` from `begin` on, as `replay --from` takes it.

    Raises CommandError if the run's log, or the weights to begin with, are not available, and ReplayError if the log
    does not have the scores or the beginning.
    """
    place = find_run(run, root)
    at = _parsed(begin)
    resolved = resolve(
        str(place.folder / "settings.json"),
        assignments,
        *dedicated,
        Dedicated("--from-run", "run.id", ""),
        Dedicated("--from-run", "learner.replay.run", place.run_id),
        Dedicated("--from-run", "learner.replay.prefix", place.settings.topics.prefix),
        Dedicated("--scores", "learner.replay.scores", scores),
    )
    if dry_run:
        print_dry_run(resolved)
        return
    has_model = any(option.path == "model.path" and option.value is not None for option in dedicated)
    old_log = place.settings.model_copy(update={"broker": resolved.settings.broker})
    with open_log(place, old_log, root) as bootstrap:
        start = None if at is None else _find_start(place, resolved.settings, bootstrap, at)
        settings = (
            resolved.settings if start is None or has_model else _with_weights(resolved.settings, place, at, start)
        )
        settings, folder = _make_run(settings, bootstrap, root, start)
        what = f"run {place.run_id}{f' from {begin}' if begin else ''} with {scores or 'its own scores'}"
        print(f"training again on {what}, in {folder}", flush=True)
        _train_to_end(settings)
        _print_end(settings, bootstrap, folder)


def go_on_again(run: str, root: Path, bootstrap_servers: str | None) -> None:
    """Goes on with a replay that was stopped. Raises CommandError if `run` is none, or its log is not available."""
    place = find_run(run, root)
    replay = place.settings.learner.replay
    if not replay.run:
        raise CommandError(
            f"run {place.run_id} is no replay: `rewardstream train --resume {place.run_id}` goes on with it",
            ExitCode.USAGE,
        )
    old = find_run(replay.run, root)
    given = {"bootstrap_servers": bootstrap_servers} if bootstrap_servers else {}
    with open_log(old, with_changes(old.settings, broker=given), root) as bootstrap:
        settings = with_changes(
            place.settings, run={"folder": str(root)}, broker={"kind": "cluster", "bootstrap_servers": bootstrap}
        )
        print(f"going on with {place.run_id}, which trains again on run {replay.run}, in {place.folder}", flush=True)
        _train_to_end(settings)
        _print_end(settings, bootstrap, place.folder)


def _parsed(begin: str | None) -> "ReplayFrom | None":
    if begin is None:
        return None
    from trainer.groups.replay_start import parse_from

    try:
        return parse_from(begin)
    except ValueError as error:
        raise CommandError(f"--from: {error}", ExitCode.USAGE) from error


def _find_start(place: RunPlace, settings: Settings, bootstrap: str, at: "ReplayFrom") -> "ReplayStart":
    from trainer.groups.replay_start import find_start

    return find_start(settings.broker, bootstrap, place.run_id, place.settings.topics.prefix, at)


def _with_weights(settings: Settings, place: RunPlace, at: "ReplayFrom | None", start: "ReplayStart") -> Settings:
    """The settings with the weights of the version after which the replay begins. Raises CommandError if they are
    gone.
    """
    from trainer.groups.replay_start import FromVersion

    if not isinstance(at, FromVersion) or at.version == 0:
        return settings
    versions = place.folder / "versions"
    weights = versions / f"lineage{start.lineage:03d}-v{at.version:06d}"
    if (weights / "config.json").is_file():
        return with_changes(settings, model={"path": str(weights)})
    found = ", ".join(sorted(path.parent.name for path in versions.glob("lineage*-v*/config.json"))) or "no whole model"
    raise CommandError(
        f"--from v{at.version} begins with the weights {weights}, which are not there; {versions} has {found}. "
        "learner.keep_versions is how many a run keeps, and learner.publish_to puts them elsewhere: name a copy with "
        "--model FOLDER",
        ExitCode.UNREACHABLE,
    )


def _make_run(settings: Settings, bootstrap: str, root: Path, start: "ReplayStart | None") -> tuple[Settings, Path]:
    """Makes an id, a folder and topics. Raises ReplayError before it makes anything."""
    from infra.local import run_folder
    from streams.admin import create_topics, topic_specs
    from streams.topics import Topic, topic_name
    from trainer.fencing.saved_states import save_start
    from trainer.groups.replay import scores_topic

    if settings.learner.replay.scores:
        scores_topic(settings, bootstrap)
    run_id, folder = run_folder.make_beside(root, _KIND)
    settings = with_changes(
        settings,
        run={"id": run_id, "folder": str(root)},
        topics={"prefix": run_id},
        broker={"kind": "cluster", "bootstrap_servers": bootstrap},
    )
    run_folder.write_settings(settings, folder)
    if start is not None:
        save_start(folder / "checkpoints", start.before)
    written = {topic_name(run_id, topic) for topic in (Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS, Topic.DEAD_LETTERS)}
    specs = [spec for spec in topic_specs(settings) if spec.name in written]
    create_topics(settings.broker, bootstrap, specs, settings.topics.replication)
    return settings, folder


def _train_to_end(settings: Settings) -> None:
    """Trains in this process, to the end of the log. The first Ctrl-C ends it with a checkpoint."""
    from infra.cli.serve import run

    logs.set_up(settings.logs, Service.LEARNER, settings.run.id)
    with interrupt_once():
        run(Service.LEARNER, settings)


def _print_end(settings: Settings, bootstrap: str, folder: Path) -> None:
    from infra.files.run_files import STEPS_FILE

    file = folder / STEPS_FILE
    steps: list[dict[str, Any]] = (
        [msgspec.json.decode(line) for line in file.read_bytes().splitlines()] if file.is_file() else []
    )
    groups = ", ".join(f"{count} {outcome}" for outcome, count in _count_outcomes(settings, bootstrap).most_common())
    print(f"groups     {groups or 'none'}")
    if steps:
        first, last = steps[0]["reward"], steps[-1]["reward"]
        print(f"steps      {len(steps)}, mean reward {first:.3f} in the first, {last:.3f} in the last")
    print(f"model      {max((folder / 'versions').glob('lineage*-v*'), default='none')}")
    print(f"steps in   {file}")
    print(f"go on      rewardstream replay --resume {settings.run.id}, after a stop or once the log has grown")


def _count_outcomes(settings: Settings, bootstrap: str) -> Counter[str]:
    """Number of groups by outcome."""
    from streams.clients import LogReader
    from streams.codec import decode_by_schema
    from streams.messages import GroupClosed
    from streams.topics import Topic, topic_name

    with LogReader(settings.broker, bootstrap, [topic_name(settings.topics.prefix, Topic.GROUPS_CLOSED)]) as reader:
        found = [decode_by_schema(record.value, record.headers) for record in reader.read_to_end()]
    return Counter(str(message.outcome) for message in found if isinstance(message, GroupClosed))
