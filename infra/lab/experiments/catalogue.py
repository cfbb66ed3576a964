"""All experiments by name, in the order of the list."""

from infra.lab.experiment import Experiment
from infra.lab.experiments import asynchrony, hacking, hacking_alarm, ppo, reselection, schedule, selection, unselected

EXPERIMENTS: dict[str, Experiment] = {
    one.name: one
    for one in (
        selection.EXPERIMENT,
        unselected.EXPERIMENT,
        schedule.EXPERIMENT,
        hacking.EXPERIMENT,
        hacking_alarm.EXPERIMENT,
        reselection.EXPERIMENT,
        asynchrony.EXPERIMENT,
        ppo.EXPERIMENT,
    )
}
