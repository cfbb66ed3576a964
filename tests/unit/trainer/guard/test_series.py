"""Which verdict plays which part in a series, and how the rate of false alarms is shared."""

import pytest

from infra.db.second_scores import HeldOutVerdicts
from trainer.guard.guard import split_rate
from trainer.guard.series import OVERALL, HeldOutEvaluation, SeriesKey, build_series


def verdicts(prompt: str, domain: str = "qa", route: str = "genrm", *, twice: bool = True) -> HeldOutVerdicts:
    return HeldOutVerdicts(
        label="v1",
        domain=domain,
        prompt_id=prompt,
        route=route,
        responses=4,
        passed=0.75,
        twice=2 if twice else 0,
        passed_twice_scored=0.5 if twice else None,
        passed_by_second=0.25 if twice else None,
        scorers="judge@1" if route == "genrm" else "exact@1",
        second_scorers="math@1" if twice else None,
    )


def series(*rows: HeldOutVerdicts, routes: dict[str, str] | None = None):
    evaluation = HeldOutEvaluation(label="v1", version=1, verdicts=rows, rewards={"qa": 0.6, "maths": 0.8})
    return build_series([evaluation], {"qa": "genrm", "maths": "genrm"} if routes is None else routes)


def test_on_the_route_of_training_the_own_verdict_credits_and_the_second_is_true() -> None:
    [point] = series(verdicts("p"))[SeriesKey("genrm", "qa")]
    assert (point.credited, point.confirmed, point.reward) == ({"p": 0.5}, {"p": 0.25}, 0.6)
    assert point.scorers == "judge@1 and math@1"


def test_on_another_route_the_own_verdict_is_true_and_the_second_credits() -> None:
    [point] = series(verdicts("p", route="rtv"))[SeriesKey("genrm", "qa")]
    assert (point.credited, point.confirmed) == ({"p": 0.25}, {"p": 0.5})


def test_without_a_second_verdict_the_own_one_is_true() -> None:
    [point] = series(verdicts("p", twice=False))[SeriesKey("genrm", "qa")]
    assert (point.credited, point.confirmed) == ({}, {"p": 0.75})


def test_prompts_without_second_verdicts_are_left_out_if_others_have_them() -> None:
    [point] = series(verdicts("p"), verdicts("q", twice=False))[SeriesKey("genrm", "qa")]
    assert point.confirmed.keys() == point.credited.keys() == {"p"}


def test_a_route_of_several_domains_has_a_series_over_all() -> None:
    found = series(verdicts("p"), verdicts("m", "maths"))
    assert set(found) == {SeriesKey("genrm", domain) for domain in ("qa", "maths", OVERALL)}
    [point] = found[SeriesKey("genrm", OVERALL)]
    assert point.confirmed == {"p": 0.25, "m": 0.25}
    assert point.reward == pytest.approx(0.7)
    assert set(series(verdicts("p"))) == {SeriesKey("genrm", "qa")}
    apart = series(verdicts("p"), verdicts("m", "maths"), routes={"qa": "genrm", "maths": "rtv"})
    assert set(apart) == {SeriesKey("genrm", "qa"), SeriesKey("rtv", "maths")}


def test_over_all_domains_only_those_with_a_second_scorer_count() -> None:
    [point] = series(verdicts("p"), verdicts("m", "maths", twice=False))[SeriesKey("genrm", OVERALL)]
    assert point.confirmed.keys() == {"p"}


def test_a_domain_that_is_not_trained_on_has_no_series() -> None:
    assert series(verdicts("p", "writing")) == {}


def test_the_rate_is_shared_and_never_exceeded() -> None:
    keys = [SeriesKey("genrm", domain) for domain in ("a", "b", OVERALL)] + [SeriesKey("rtv", "c")]
    rates = split_rate(keys, 0.06)
    assert sum(rates.values()) == pytest.approx(0.06)
    assert rates[keys[2]] == pytest.approx(0.03)
    assert split_rate(keys[:2], 0.06) == {keys[0]: 0.03, keys[1]: 0.03}
    assert split_rate([], 0.06) == {}
