"""All experiments by name, in the order of the list."""

from infra.lab.experiment import Experiment
from infra.lab.experiments import asynchrony, selection

EXPERIMENTS: dict[str, Experiment] = {one.name: one for one in (selection.EXPERIMENT, asynchrony.EXPERIMENT)}
