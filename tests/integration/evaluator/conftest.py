"""Each test has evaluations of its own, on the real broker and database, with a peer in the place of the services."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.evaluation_loop import EvaluationLoop, evaluation_settings
from support.tiny_judge import save_tiny_judge

from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture
def make_evaluation(
    engine: Engine, bootstrap: str, tmp_path: Path, judge: Path
) -> Iterator[Callable[..., EvaluationLoop]]:
    """Makes a run that evaluates; each call is another run on the same database, as a repeated command is."""
    loops: list[EvaluationLoop] = []

    def make(**sections: dict[str, object]) -> EvaluationLoop:
        settings = evaluation_settings(bootstrap, engine, judge, **sections)
        loops.append(EvaluationLoop(settings, bootstrap, tmp_path, engine))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


@pytest.fixture
def prompts(engine: Engine) -> list[str]:
    """Ids of three prompts for a verifier and two for the judge."""
    rows = [
        {
            "domain": "mathematics" if number < 3 else "knowledge",
            "prompt": f"Question {number}?",
            "verifier": "exact" if number < 3 else None,
            "ground_truth": str(number),
            "split": "heldout",
        }
        for number in range(5)
    ]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    return [row.id for row in parsed]
