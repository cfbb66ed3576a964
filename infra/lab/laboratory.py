"""Executes an experiment's runs that are not finished, one after another, and writes its page.

Invariant: a finished run is not made again as long as nothing that it depends on has changed; the digest in its line
says what that was.
"""

import dataclasses
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.files.artifacts import content_hash
from infra.lab.experiment import Arm, Experiment, Results
from infra.lab.imitation import Answers, imitate
from infra.lab.judge_fit import ensure_judge
from infra.lab.judge_server import serve_judge
from infra.lab.page import write_page
from infra.lab.policy import StartSettings, ensure_start
from infra.lab.pool import Composition, write_pool
from infra.lab.results import LabRun, ResultFile
from infra.lab.run import execute
from infra.settings.load import load, with_changes
from infra.settings.sources import Option
from infra.settings.tree import Settings

RECIPE = "lab"
_LEFT = ("versions", "checkpoints", "fetched", "imitated")
"""Folders of a finished run that are removed: every version's weights."""
VERSION = 1
"""Part of every digest: raise it if a change of the code, or of a default, makes earlier runs incomparable."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of what an experiment makes."""

    out: Path
    """Folder of the page, its picture and the results."""
    work: Path
    """Folder of the runs, of their broker's and database's files, and of the fitted policies."""

    @property
    def prepared(self) -> Path:
        return self.work / "prepared"

    def results(self, name: str) -> Path:
        return self.out / f"{name}.jsonl"


@dataclass(frozen=True, slots=True)
class _Planned:
    arm: Arm
    seed: int
    settings: Settings
    composition: Composition
    digest: str

    @property
    def key(self) -> tuple[str, int, str]:
        return self.arm.name, self.seed, self.digest


def run_experiment(
    experiment: Experiment,
    place: Place,
    seeds: int,
    say: Callable[[str], None],
    *,
    arms: tuple[str, ...] = (),
    changes: Mapping[str, Any] | None = None,
    start: StartSettings | None = None,
) -> Path:
    """Makes the missing runs of the chosen arms (all, if none is named), seed by seed. After each seed it writes the
    page anew, from all finished runs of all arms; returns the page. `changes` are settings over those of every arm,
    `start` is another start than the laboratory's own.
    """
    policy = ensure_start(place.prepared, start)
    file = ResultFile(place.results(experiment.name))
    finished = file.read()
    chosen = [(seed, arm) for seed in range(seeds) for arm in experiment.arms if not arms or arm.name in arms]
    known = {(result.seed, result.arm) for result in finished}
    others = [(seed, arm) for seed, arm in _pairs(experiment, known) if (seed, arm) not in chosen]
    page = place.out / f"{experiment.name}.md"
    with serve_judge() as judge:
        common = {
            "run.folder": str(place.work / experiment.name),
            "run.prepared": str(place.prepared),
            "model.path": str(policy),
            **(changes or {}),
        }
        planned = [plan(experiment, arm, seed, judge, common) for seed, arm in chosen]
        shown = [*planned, *(plan(experiment, arm, seed, judge, common) for seed, arm in others)]
        done = {(result.arm, result.seed, result.digest): result for result in finished}
        for seed in range(seeds):
            for each in (one for one in planned if one.seed == seed):
                if each.key not in done:
                    say(f"{experiment.name}: {each.arm.name}, seed {seed}")
                    done[each.key] = _execute(each, place, experiment.name, _first_arm(experiment, shown, seed, done))
                    file.add(done[each.key])
                    say(describe(done[each.key]))
            found = [done[one.key] for one in shown if one.key in done]
            write_page(experiment, by_arm(found), place.out)
    return page


def _pairs(experiment: Experiment, known: Collection[tuple[int, str]]) -> list[tuple[int, Arm]]:
    arms = {arm.name: arm for arm in experiment.arms}
    return [(seed, arms[name]) for seed, name in sorted(known) if name in arms]


def plan(experiment: Experiment, arm: Arm, seed: int, judge: str, common: Mapping[str, Any]) -> _Planned:
    """The settings of one run, and the digest of all that decides its outcome. `common`: settings over the arm's.
    Raises InvalidSettingsError.
    """
    wanted = {**experiment.changes, **arm.changes, **common, "run.seed": seed}
    composition = experiment.composition_of(arm)
    if arm.fits_judge:
        fitted = ensure_judge(Path(wanted["run.prepared"]), Path(wanted["model.path"]), composition.reward)
        wanted |= {"genrm.backend": "hf", "genrm.model": str(fitted), "genrm.dtype": "float32"}
    else:
        planted = f"{arm.weakness},{arm.errors}" if arm.errors else f"{arm.weakness}"
        wanted["genrm.endpoint"] = f"{judge}/{planted}/v1"
    settings = load(RECIPE, [Option(path, value, "experiment") for path, value in wanted.items()]).settings
    deciding = settings.model_dump(
        mode="json",
        exclude_defaults=True,  # an option that is added later changes no run
        include={"rollout", "router", "genrm", "difficulty", "crosscheck", "selector", "learner", "topics"},
        exclude={"genrm": {"endpoint", "api_key", "model"}},
    )
    digest = content_hash(
        {
            "version": VERSION,
            "settings": deciding,
            "composition": _described(composition),
            "start": Path(settings.model.path).name,  # the hash of what it is made from
            "imitates": arm.imitates,
            "judge": Path(settings.genrm.model).name if arm.fits_judge else arm.weakness,
            **({"errors": arm.errors} if arm.errors else {}),
        }
    )
    return _Planned(arm, seed, settings, composition, digest)


def _described(composition: Composition) -> dict[str, Any]:
    fields = dataclasses.asdict(composition)
    return fields if not composition.copies else {name: value for name, value in fields.items() if name != "copies"}


def by_arm(results: list[LabRun]) -> Results:
    found: dict[str, dict[int, LabRun]] = defaultdict(dict)
    for result in results:
        found[result.arm][result.seed] = result
    return found


def describe(result: LabRun) -> str:
    first, last = result.curve[0], result.curve[-1]
    return (
        f"  score {first.score:.3f} to {last.score:.3f} in {last.version} versions and {last.rollouts} rollouts; "
        f"{result.seconds:.0f} s, {result.cpu_seconds:.0f} s of CPU"
    )


def _first_arm(
    experiment: Experiment, planned: Sequence[_Planned], seed: int, done: Mapping[tuple[str, int, str], LabRun]
) -> LabRun | None:
    """The run of the experiment's first arm with that seed, if it has been made: fits are given its time."""
    first = experiment.arms[0].name
    return next((done.get(one.key) for one in planned if (one.seed, one.arm.name) == (seed, first)), None)


def _execute(planned: _Planned, place: Place, name: str, first: LabRun | None) -> LabRun:
    """A run that was interrupted is not continued: its id, which says when it began, is not used again."""
    run_id = f"{planned.arm.name}-{planned.seed}-{int(time.time())}"
    settings = with_changes(planned.settings, run={"id": run_id})
    pool = write_pool(place.work / name / "prompts" / run_id, planned.composition, planned.seed)
    try:
        if not planned.arm.imitates:
            return execute(settings, pool, arm=planned.arm.name, seed=planned.seed, digest=planned.digest)
        if first is None:
            raise ValueError(f"{name}: arm {planned.arm.name} is given the time of another: run the first arm with it")
        answers = Answers(planned.arm.imitates)
        return imitate(settings, pool, answers, first, arm=planned.arm.name, digest=planned.digest)
    finally:
        for kind in _LEFT:
            shutil.rmtree(settings.run.folder / run_id / kind, ignore_errors=True)
