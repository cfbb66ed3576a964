"""Reads the watch on a run: the guard's checks, second scores, canaries, and what the learner measured.

Invariant: the run's scores are passed over at most once every `FRESH_SECONDS`, however many look.
"""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from infra.advice.advisories import healthy_logprob_diff
from infra.db.second_scores import read_exploitation
from infra.db.training_scores import read_training_scores
from infra.files.run_files import SERIES_FILE
from infra.page.models.monitors import (
    AlarmLine,
    MonitorsView,
    above_half_panel,
    canary_panel,
    canary_points,
    difference_panel,
    entropy_panel,
    evidence_panel,
    exploitation_panel,
    heldout_panels,
    length_panel,
    thin_panel,
)
from infra.page.models.trend import MOST_POINTS, thin
from infra.page.readers.shown_run import ShownRun
from infra.page.readers.steps_file import StepsFile
from infra.settings.tree import Settings
from trainer.guard.guard import first_alarms
from trainer.guard.guard_rows import read_checks

FRESH_SECONDS = 15.0
"""A pass over a million scores takes a second or two; shares over 20 versions move in minutes."""
_POINTS = MOST_POINTS // 3
"""A small curve is a third of the page's width."""


class MonitorsReader:
    """Safe to use from several threads."""

    def __init__(self, run: ShownRun, steps: StepsFile) -> None:
        self._run, self._steps = run, steps
        self._canaries = CanaryCounts(run.folder / SERIES_FILE)
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._last: MonitorsView | None = None

    def view(self) -> MonitorsView:
        """At most `FRESH_SECONDS` old."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._last, self._read_at = self._read(), time.monotonic()
            return self._last

    def _read(self) -> MonitorsView:
        settings = self._run.settings
        with self._run.engine.connect() as connection:
            checks = read_checks(connection, self._run.run_id)
            exploitation = read_exploitation(connection, self._run.run_id)
            training = read_training_scores(connection, self._run.run_id)
        steps, _ = thin(self._steps.steps(), _POINTS)
        float32 = settings.model.dtype == "float32" and settings.learner.param_dtype == "float32"
        window = settings.genrm.canary_window
        canaries = canary_points(self._canaries.read(), window)
        hacking = [
            *heldout_panels(checks),
            evidence_panel(checks),
            exploitation_panel(exploitation),
            above_half_panel(training),
            canary_panel(canaries, settings.genrm.canary_alarm, window),
        ]
        policy = [
            entropy_panel(training),
            length_panel(steps, settings.rollout.sampling.max_new_tokens),
            difference_panel(steps, healthy_logprob_diff(float32=float32)),
        ]
        return MonitorsView(
            guard=_guard(settings, len({row.label for row in checks})),
            alarms=[
                AlarmLine(
                    route=alarm.key.route,
                    domain=alarm.key.domain,
                    version=alarm.version,
                    since_version=alarm.since_version,
                    reward_change=alarm.reward_change,
                    true_change=alarm.true_change,
                )
                for alarm in first_alarms(checks)
            ],
            hacking=[thin_panel(panel, _POINTS) for panel in hacking],
            policy=[thin_panel(panel, _POINTS) for panel in policy],
        )


class CanaryCounts:
    """The totals of canaries in the run's time series, as it grows. Each line is parsed once, and a total that stays
    is kept once. Not thread-safe.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._counts: list[tuple[float, float, float]] = []

    def read(self) -> Sequence[tuple[float, float, float]]:
        """(seconds, canaries, called right), oldest first; none if there is no file."""
        if not self._path.is_file():
            return ()
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._offset += len(line)
                row = json.loads(line)
                count = (row["seconds"], row.get("canaries") or 0.0, row.get("canary_false_positives") or 0.0)
                if not self._counts or count[1:] != self._counts[-1][1:]:
                    self._counts.append(count)
        return self._counts


def _guard(settings: Settings, evaluations: int) -> str:
    guard = settings.selector.guard
    then = {"warn": "an alarm warns", "reweight": "an alarm lowers the domain's share", "stop": "an alarm ends the run"}
    action = then.get(guard.action, f"an alarm does: {guard.action}")
    return f"the guard has tested {evaluations} {'evaluation' if evaluations == 1 else 'evaluations'}; {action}"
