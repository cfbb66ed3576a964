"""`rewardstream train --from-run ID`: runs the learner alone, on the log of a run that has ended.

Invariant: nothing is written to the old run. Closings, versions and checkpoints have an id, topics and a folder of
their own.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from infra import logs
from infra.cli.logs import open_log
from infra.cli.options import Dedicated, print_dry_run, resolve
from infra.cli.runs import find_run
from infra.local.interrupts import interrupt_once
from infra.services import Service
from infra.settings.load import with_changes
from infra.settings.tree import Settings

_KIND = "again"
"""Suffix of the new id."""


def train_again(
    run: str,
    scores: str,
    root: Path,
    assignments: list[str] | None,
    dedicated: tuple[Dedicated, ...],
    *,
    dry_run: bool,
) -> None:
    """Raises CommandError if the run's log is not available, ReplayError if it does not have the scores."""
    place = find_run(run, root)
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
    old_log = place.settings.model_copy(update={"broker": resolved.settings.broker})
    with open_log(place, old_log, root) as bootstrap:
        settings, folder = _make_run(resolved.settings, bootstrap, root)
        print(f"training again on run {place.run_id} with {scores or 'its own scores'}, in {folder}", flush=True)
        _train_to_end(settings)
        _print_end(settings, bootstrap, folder)


def _make_run(settings: Settings, bootstrap: str, root: Path) -> tuple[Settings, Path]:
    """Makes an id, a folder and topics. Raises ReplayError before it makes anything."""
    from infra.local import run_folder
    from streams.admin import create_topics, topic_specs
    from streams.topics import Topic, topic_name
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


def _count_outcomes(settings: Settings, bootstrap: str) -> Counter[str]:
    """Number of groups by outcome."""
    from streams.clients import LogReader
    from streams.codec import decode_by_schema
    from streams.messages import GroupClosed
    from streams.topics import Topic, topic_name

    with LogReader(settings.broker, bootstrap, [topic_name(settings.topics.prefix, Topic.GROUPS_CLOSED)]) as reader:
        found = [decode_by_schema(record.value, record.headers) for record in reader.read_to_end()]
    return Counter(str(message.outcome) for message in found if isinstance(message, GroupClosed))
