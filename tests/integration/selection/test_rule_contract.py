"""The contract of selection rules, for every rule of this project."""

from trainer.curriculum.rules.contract import SelectionRuleContract
from trainer.curriculum.rules.informative import Informative
from trainer.curriculum.rules.lowest import Lowest
from trainer.curriculum.rules.skip import Skip
from trainer.curriculum.rules.uniform import Uniform


class TestLowest(SelectionRuleContract):
    rule = Lowest()


class TestLowestByZScore(SelectionRuleContract):
    rule = Lowest(normalise="zscore")


class TestInformative(SelectionRuleContract):
    rule = Informative()


class TestInformativeOverAllDomains(SelectionRuleContract):
    rule = Informative(within="all")


class TestInformativeByDraws(SelectionRuleContract):
    rule = Informative(draw=True, target=0.6)


class TestSkip(SelectionRuleContract):
    rule = Skip()


class TestUniform(SelectionRuleContract):
    rule = Uniform()


class TestUniformDrawnOnce(SelectionRuleContract):
    rule = Uniform(redraw=False)
