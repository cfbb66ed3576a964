"""The screen's content, from scrapes."""

import io
from dataclasses import replace

from rich.console import Console

from infra.advice.advisories import Advisory
from infra.scrape import Scrape, parse
from infra.screen.facts import RunFactsNow
from infra.screen.render import line, screen
from infra.screen.view import ProcessRow, Rewards, View, activity, domain_rows, domain_shares, token_rates, topic_rows

BEFORE = """\
rewardstream_messages_total{stage="rtv",topic="run.rtv.requests"} 10.0
rewardstream_scorer_requests_total{scorer="math",status="correct"} 4.0
rewardstream_generated_tokens_total 100.0
rewardstream_learner_tokens_total{kind="target"} 50.0
"""
NOW = """\
rewardstream_messages_total{stage="rtv",topic="run.rtv.requests"} 30.0
rewardstream_consumer_lag_messages{stage="rtv",topic="run.rtv.requests"} 7.0
rewardstream_scorer_requests_total{scorer="math",status="correct"} 8.0
rewardstream_generated_tokens_total 500.0
rewardstream_learner_tokens_total{kind="target"} 60.0
rewardstream_learner_tokens_total{kind="computed"} 900.0
"""


def scrape(text: str, at: float, service: str = "rtv") -> Scrape:
    return Scrape(at, {service: parse(text)})


def test_topics_have_rates_and_lag_without_the_runs_prefix() -> None:
    [row] = topic_rows(scrape(NOW, 102), scrape(BEFORE, 100), "run")
    assert (row.topic, row.stage, row.records, row.rate, row.lag) == ("rtv.requests", "rtv", 30.0, 10.0, 7.0)


def test_token_rates_count_response_tokens_of_the_learner() -> None:
    assert token_rates(scrape(NOW, 102), scrape(BEFORE, 100)) == (200.0, 5.0)


def test_a_restarted_process_has_no_negative_rate() -> None:
    assert token_rates(scrape(BEFORE, 102), scrape(NOW, 100)) == (0.0, 0.0)


def test_a_scorer_says_its_own_verdicts() -> None:
    assert activity("rtv", scrape(NOW, 102), scrape(BEFORE, 100), RunFactsNow()) == "2.0 verdicts/s"
    assert activity("genrm", scrape(NOW, 102), scrape(BEFORE, 100), RunFactsNow()) == "0.0 verdicts/s"


def test_a_learner_says_when_it_has_made_no_step() -> None:
    text = "rewardstream_policy_version 3.0\nrewardstream_learner_entropy 1.5\n"
    before, facts = scrape(BEFORE, 100, "learner"), RunFactsNow()
    assert activity("learner", scrape(NOW, 102, "learner"), before, facts) == "no step yet"
    assert activity("learner", scrape(NOW + text, 102, "learner"), before, facts) == "version 3, 5 tok/s, entropy 1.50"


def test_a_process_that_does_not_answer_is_silent() -> None:
    now = Scrape(102, {"rtv": parse(NOW)}, frozenset({"rtv"}))
    assert activity("rtv", now, scrape(BEFORE, 100), RunFactsNow()) == "does not answer"


def test_a_process_that_waits_for_a_part_says_so() -> None:
    waits = NOW + 'rewardstream_outage_seconds{part="broker"} 35.0\nrewardstream_outage_seconds{part="store"} 0.0\n'
    assert activity("rtv", scrape(waits, 102), scrape(BEFORE, 100), RunFactsNow()) == "waits for the broker (35 s)"
    judge = NOW + 'rewardstream_scorer_unavailable{stage="rtv"} 1.0\n'
    assert activity("rtv", scrape(judge, 102), scrape(BEFORE, 100), RunFactsNow()) == "its scorer does not answer"


def test_rewards_are_a_mean_over_the_last_versions() -> None:
    rewards = Rewards(window=2)
    for version, reward in ((1, 0.0), (2, 0.5), (3, 1.0)):
        text = f'rewardstream_policy_version {version}\nrewardstream_learner_reward{{domain="a"}} {reward}\n'
        means = rewards.update(scrape(text, version))
    assert means == {"a": 0.75}


def test_domains_are_shown_with_the_overall_last() -> None:
    heldout = {"before": {"overall": 0.3, "writing": 0.2}, "after": {"writing": 0.4}}
    rows = domain_rows({"writing": 0.5}, heldout, {"coding": 0.4, "writing": 0.6}, {"writing": 1.0})
    assert [(row.domain, row.reward, row.heldout, row.asked, row.trained) for row in rows] == [
        ("coding", None, {}, 0.4, None),
        ("writing", 0.5, {"before": 0.2, "after": 0.4}, 0.6, 1.0),
        ("overall", None, {"before": 0.3}, None, None),
    ]


def test_shares_are_read_by_their_kind() -> None:
    text = (
        'rewardstream_domain_share{kind="asked",domain="a"} 0.6\n'
        'rewardstream_domain_share{kind="trained",domain="a"} 0.5\n'
    )
    assert (domain_shares(scrape(text, 1), "asked"), domain_shares(scrape(text, 1), "trained")) == (
        {"a": 0.6},
        {"a": 0.5},
    )


def view() -> View:
    return View(
        run_id="r",
        broker="embedded",
        elapsed=65.0,
        phase="eval_before",
        version=3,
        generated_rate=240.0,
        trained_rate=120.0,
        processes=[ProcessRow("learner", "running", 7, 2, 0.5, 2**30, "v3")],
        topics=topic_rows(scrape(NOW, 102), scrape(BEFORE, 100), "run"),
        domains=domain_rows({"writing": 0.5}, {"before": {"writing": 0.25}}, {"writing": 0.6}, {"writing": 0.5}),
        outcomes={"trained": 8, "open": 2},
        reasons={"zero_variance": 1},
        staleness={0: 1, 1: 3},
    )


def test_the_plain_line_holds_what_matters() -> None:
    assert line(view()) == (
        "1:05 evaluation before training | version 3 | groups: 2 open, 8 trained | reward: writing 0.50 | "
        "generated 240 tok/s, trained 120 tok/s | restarts 2"
    )


def advisory(kind: str, what: str, mend: str) -> Advisory:
    return Advisory(kind=kind, what=what, mend=mend)


ADVICE = [advisory("cut_off", "95% cut off", "raise it"), advisory("second", "b", "c"), advisory("third", "d", "e")]


def test_advice_and_the_reward_of_all_groups_are_on_line_and_screen() -> None:
    domains = domain_rows({}, {}, {}, {}, {"writing": 0.0625})
    shown = replace(view(), domains=domains, advice=[*ADVICE, advisory("least", "not urgent", "wait")])
    assert "reward: - (all groups: writing 0.06)" in line(shown)
    assert line(shown).splitlines()[1:] == ["  ! 95% cut off: raise it", "  ! b: c", "  ! d: e"]
    assert line(shown, {"second", "cut_off"}).splitlines()[1:] == ["  ! d: e"], "what was told is not repeated"
    console = Console(width=130, height=60, file=io.StringIO(), record=True)
    console.print(screen(shown))
    text = console.export_text()
    assert "! 95% cut off: raise it" in text
    assert "0.06" in text


def test_the_screen_shows_every_part() -> None:
    console = Console(width=130, height=60, file=io.StringIO(), record=True)
    console.print(screen(view()))
    text = console.export_text()
    for part in (
        "evaluation before training",
        "1:05",
        "learner",
        "rtv.requests",
        "0.250",
        "8 trained",
        "1 zero_variance",
        "75% at 1",
    ):
        assert part in text


def test_a_small_terminal_names_what_it_has_no_room_for() -> None:
    """The scores come first, and the screen is never higher than the terminal."""
    for height in range(12, 40):
        console = Console(width=78, height=height, file=io.StringIO(), record=True)
        console.print(screen(view()))
        text = console.export_text()
        assert len(text.splitlines()) <= height
        assert "0.250" in text
        assert ("rtv.requests" in text) != ("no room for" in text and "topics" in text.partition("no room for")[2])
