"""The judge's fit: the tokens that are served, soft labels, and a judge that tells right from wrong afterwards."""

from pathlib import Path

import pytest
from support.tiny_model import save_tiny_judge_model, save_tiny_model

from streams.messages import Question
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import FittedJudge, JudgeFitSettings, Triple, TripleGroup, fit_judge
from workers.models.chat import load_tokenizer


def group(truth: str, *triples: Triple) -> TripleGroup:
    return TripleGroup(Question(prompt="Which?", ground_truth=truth), triples)


RIGHT_AND_WRONG = [
    group(truth, Triple(truth, 1.0), Triple(f"{truth}.", 1.0), Triple(other, 0.0), Triple(f"{other}.", 0.0))
    for truth, other in (("red", "blue"), ("sun", "moon"), ("cat", "dog"))
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge_model(tmp_path_factory.mktemp("tiny"))


def test_a_fitted_judge_tells_right_from_wrong(tiny: Path, tmp_path: Path) -> None:
    settings = JudgeFitSettings(fit=FitSettings(steps=120, learning_rate=3e-3, autocast=False), groups=3)
    report = fit_judge(tiny, RIGHT_AND_WRONG, tmp_path / "judge", settings)
    assert report.triples == 120 * 12
    for row in FittedJudge(tmp_path / "judge").scores(RIGHT_AND_WRONG):
        assert min(row[:2]) > 0.8
        assert max(row[2:]) < 0.2


def test_scores_do_not_depend_on_what_shares_the_row(tiny: Path) -> None:
    together = FittedJudge(tiny).scores(RIGHT_AND_WRONG, row_groups=3)
    apart = FittedJudge(tiny).scores(RIGHT_AND_WRONG, row_groups=1)
    assert together == [pytest.approx(row, abs=0.02) for row in apart]


def test_a_certain_label_is_one_position_and_an_uncertain_one_two(tiny: Path) -> None:
    from trainer.supervised.genrm import _encode, _step

    mixed = group("red", Triple("red", 1.0), Triple("reddish", 0.25), Triple("blue", 0.0))
    [row] = _step([(mixed, _encode(load_tokenizer(tiny), mixed, 256))], (7, 8))
    assert row.targets == [7, 7, 8, 8]
    assert row.weights == [1.0, 0.25, 0.75, 1.0]
    assert row.positions[1] == row.positions[2]
    assert len(set(row.positions)) == 3


def test_what_is_free_of_content_is_neither_trained_on_nor_judged(tiny: Path) -> None:
    from trainer.supervised.genrm import _encode

    empty = group("red", Triple(":", 0.0), Triple("red", 1.0), Triple("Solution", 0.0))
    assert len(_encode(load_tokenizer(tiny), empty, 256).suffixes) == 1
    scores = FittedJudge(tiny).scores([empty, group("red", Triple("", 0.0))])
    assert scores[0][0] == scores[0][2] == scores[1][0] == 0.0
    assert scores[0][1] > 0


def test_no_triples_is_an_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no triple"):
        fit_judge(tiny, [group("red", Triple(".", 0.0))], tmp_path / "judge")


def test_a_tokenizer_without_the_words_is_an_error(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "bytes", seed=1)
    with pytest.raises(ValueError, match="one token"):
        fit_judge(folder, RIGHT_AND_WRONG, tmp_path / "judge")


def test_a_long_candidate_is_cut_as_in_service(tiny: Path) -> None:
    from trainer.supervised.genrm import _encode

    long = group("red", Triple("x" * 500, 0.0), Triple("red", 1.0))
    found = _encode(load_tokenizer(tiny), long, 128)
    assert len(found.prefix) + len(found.suffixes[0]) == 128
    assert found.suffixes[0][-9:] == found.suffixes[1][-9:]  # both ask for the verdict
    scores = FittedJudge(tiny).scores([long])
    assert all(0 <= score <= 1 for score in scores[0])
