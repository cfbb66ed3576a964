"""The settings of the second scorers: who may check whom."""

import pytest
from pydantic import ValidationError

from infra.settings.tree import Settings


def settings(**crosscheck) -> Settings:
    return Settings.model_validate({"crosscheck": crosscheck})


def test_a_domain_s_scorer_wins_over_the_route_s() -> None:
    section = settings(scorers={"genrm": "math", "writing": "sentence"}).crosscheck
    assert section.scorer_of("writing", "genrm") == "sentence"
    assert section.scorer_of("knowledge", "genrm") == "math"
    assert section.scorer_of("knowledge", "rtv") is None


def test_the_other_judge_differs_from_the_run_s_in_what_is_named() -> None:
    tree = settings(scorers={"genrm": "judge"}, judge={"model": "larger"})
    other = tree.crosscheck.other_judge(tree.genrm)
    assert other == tree.genrm.model_copy(update={"model": "larger"})


@pytest.mark.parametrize(
    ("crosscheck", "error"),
    [
        ({"scorers": {"genrm": "genrm"}}, "cannot check itself"),
        ({"scorers": {"genrm": "judge"}}, "need each other"),
        ({"judge": {"model": "m"}}, "need each other"),
        ({"scorers": {"genrm": "judge"}, "judge": {"modle": "m"}}, "modle"),
        ({"scorers": {"genrm": "judge"}, "judge": {"backend": "openai"}}, "needs genrm.endpoint"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_loaded(crosscheck, error) -> None:
    with pytest.raises(ValidationError, match=error):
        settings(**crosscheck)
