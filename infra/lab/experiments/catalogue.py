"""All experiments by name, in the order of the list."""

from infra.lab.experiment import Experiment
from infra.lab.experiments import asynchrony, reselection, selection, unselected

EXPERIMENTS: dict[str, Experiment] = {
    one.name: one
    for one in (selection.EXPERIMENT, unselected.EXPERIMENT, reselection.EXPERIMENT, asynchrony.EXPERIMENT)
}
