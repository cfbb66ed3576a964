"""One side of against_checkout.py: `verifiers_side.py CHECKOUT MIXES` judges every mix once per turn.

A reply has the seconds of CPU per verdict and mix, those of ended child processes included. A verifier is loaded by the
entry point that the checkout's pyproject.toml names, because another checkout is not installed.
"""

import importlib
import json
import resource
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from turns import Turns

from infra.settings.tree import RtvSettings
from streams.messages import Question


def main(checkout: Path, mixes: Path) -> None:
    turns = Turns()
    verifiers = _Verifiers(checkout)
    jobs = {
        name: [(verifiers.named(case["verifier"]), _question(case), case["response"]) for case in mix]
        for name, mix in json.loads(mixes.read_text()).items()
    }
    while turns.wait():
        seconds = {}
        for name, mix in jobs.items():
            started = _cpu()
            for verifier, question, response in mix:
                with suppress(Exception):  # a defect of another checkout costs what it costs
                    verifier.verify(question, response)
            seconds[name] = (_cpu() - started) / len(mix)
        turns.reply(**seconds)


class _Verifiers:
    def __init__(self, checkout: Path) -> None:
        project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
        self._points = project["entry-points"]["rewardstream.verifiers"]
        self._loaded: dict[str, Any] = {}

    def named(self, name: str) -> Any:
        if name not in self._loaded:
            module, _, kind = self._points[name].partition(":")
            verifier = getattr(importlib.import_module(module), kind)()
            if hasattr(verifier, "configure"):
                verifier.configure(RtvSettings.model_validate({"sandbox": {"warm": 0}}))
            self._loaded[name] = verifier
        return self._loaded[name]


def _question(case: dict[str, Any]) -> Question:
    return Question(
        prompt=case["prompt"],
        verifier=case["verifier"],
        ground_truth=case["ground_truth"],
        options=case["options"],
    )


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
