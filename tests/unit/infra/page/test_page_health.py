import pytest

from infra.advice.advisories import Advisory
from infra.page.models.health import ALARMS, Vitals, health_of, notices_of

SLOW = Advisory(kind="engines_idle", what="engines idle", mend="raise it")
DOWN = Advisory(kind="scorer_down", what="the judge is down", mend="start it")


def vitals(**changes):
    return Vitals(**{"phase": "train", "live": True, "version": 7} | changes)


def test_alarms_come_before_tuning():
    assert [one.kind for one in notices_of([SLOW, DOWN])] == ["scorer_down", "engines_idle"]
    assert [one.alarm for one in notices_of([SLOW, DOWN])] == [True, False]


@pytest.mark.parametrize(
    ("given", "advice", "level", "said"),
    [
        ({}, [], "good", "nothing that is measured"),
        ({}, [SLOW], "attention", "engines idle; training at version 7"),
        ({}, [SLOW, DOWN], "bad", "the judge is down"),
        ({"silent": ["learner"]}, [], "attention", "learner did not answer"),
        ({"not_running": {"rtv": "waiting"}}, [DOWN], "bad", "rtv is waiting"),
        ({"live": False}, [], "bad", "its processes are gone, while it was training at version 7"),
        ({"live": False, "ended": "killed", "failed": True}, [], "bad", "gone (killed)"),
        ({"live": False, "phase": "finished"}, [SLOW], "over", "finished at version 7"),
        ({"live": False, "phase": "finished"}, [DOWN], "attention", "the judge is down"),
    ],
)
def test_the_line_names_the_worst_that_is_known(given, advice, level, said):
    line = health_of(vitals(**given), notices_of(advice))
    assert line.level == level
    assert said in line.reason


def test_every_alarm_is_a_kind_of_advisory():
    from pathlib import Path

    import infra.advice.advisories as module

    text = Path(module.__file__).read_text(encoding="utf-8")
    assert [kind for kind in ALARMS if f'kind="{kind}"' not in text] == []
