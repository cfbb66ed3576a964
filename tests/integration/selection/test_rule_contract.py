"""The contract of selection rules, for every rule of this project."""

from trainer.curriculum.rules.contract import SelectionRuleContract
from trainer.curriculum.rules.lowest import Lowest
from trainer.curriculum.rules.uniform import Uniform


class TestLowest(SelectionRuleContract):
    rule = Lowest()


class TestLowestByZScore(SelectionRuleContract):
    rule = Lowest(normalise="zscore")


class TestUniform(SelectionRuleContract):
    rule = Uniform()


class TestUniformDrawnOnce(SelectionRuleContract):
    rule = Uniform(redraw=False)
