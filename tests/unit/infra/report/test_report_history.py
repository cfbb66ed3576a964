"""The time series: what is kept, how counters survive restarts, and what a cut-off file reads as."""

import socket
import threading
from pathlib import Path

import pytest

from infra.report import history
from infra.scrape import Scrape, Scraper, parse

TEXT = """\
# HELP rewardstream_rollouts_total Rollouts published.
# TYPE rewardstream_rollouts_total counter
rewardstream_rollouts_total{domain="a",finish_reason="stop"} 3.0
rewardstream_rollouts_total{domain="b",finish_reason="length"} 4.0
rewardstream_rollouts_created{domain="a"} 1.7e+09
rewardstream_policy_version 5.0
rewardstream_learner_reward{domain="a"} 0.25
rewardstream_score_bucket{le="0.5"} 1.0
python_info{version="3.11"} 1.0
"""


def scrape(text: str = TEXT, at: float = 100.0) -> Scrape:
    return Scrape(at, {"one": parse(text), "two": parse("rewardstream_policy_version 0.0\n")})


def test_only_own_metrics_without_buckets_are_kept() -> None:
    names = {name for name, _ in parse(TEXT)}
    assert names == {"rewardstream_rollouts_total", "rewardstream_policy_version", "rewardstream_learner_reward"}


def test_counters_are_summed_and_the_largest_gauge_is_meant() -> None:
    found = scrape()
    assert found.total("rewardstream_rollouts_total") == 7.0
    assert found.total("rewardstream_rollouts_total", domain="a") == 3.0
    assert found.largest("rewardstream_policy_version") == 5.0
    assert found.largest("rewardstream_nothing") is None
    assert found.by("rewardstream_rollouts_total", "finish_reason") == {"stop": 3.0, "length": 4.0}


def test_rows_of_metrics_are_read_back(tmp_path: Path) -> None:
    row = history.row(scrape(), started=90.0, phase="train")
    with history.HistoryWriter(tmp_path) as writer:
        writer.append(row)
    assert history.read(tmp_path) == [row]
    assert (row["seconds"], row["phase"], row["policy_version"], row["reward"]) == (10.0, "train", 5.0, {"a": 0.25})


def test_a_line_that_was_cut_off_ends_the_series(tmp_path: Path) -> None:
    (tmp_path / history.FILE_NAME).write_text('{"seconds": 1}\n{"seconds": 2}\n{"secon')
    assert [row["seconds"] for row in history.read(tmp_path)] == [1, 2]


def test_a_run_without_series_reads_as_none(tmp_path: Path) -> None:
    assert history.read(tmp_path) == []


def test_a_counter_that_restarts_counts_on() -> None:
    rows = [{"n": value} for value in (2.0, 5.0, 1.0, 1.0, 4.0)]
    assert history.increase(rows, "n") == 5.0 + 4.0


def test_rates_are_never_negative() -> None:
    rows = [{"seconds": second, "n": value} for second, value in ((0, 10.0), (10, 30.0), (20, 5.0))]
    assert history.rates(rows, "n", 10.0) == [(10, 2.0), (20, 0.5)]


def test_gauges_by_version_are_the_last_seen() -> None:
    rows = [
        {"policy_version": version, "entropy": value} for version, value in ((0, 9.0), (1, 2.0), (1, 1.5), (2, 1.0))
    ]
    assert history.by_version(rows, "entropy") == {1: 1.5, 2: 1.0}
    assert history.by_version([*rows, {"policy_version": 3.0}], "entropy") == {1: 1.5, 2: 1.0}  # an older release


def test_a_process_that_does_not_answer_keeps_its_values_and_is_named() -> None:
    scraper = Scraper()
    found = scraper.scrape({"gone": "http://127.0.0.1:9/metrics"})
    assert found.silent == {"gone"}
    assert found.services == {}
    scraper.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nrewardstream_policy_version 1.0\n",
        b'HTTP/1.0 200 OK\r\n\r\nrewardstream_rollouts_total{domain="a',
        b"not HTTP\r\n\r\n",
        b"",
    ],
)
def test_a_process_that_dies_in_the_middle_of_its_answer_is_silent(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def die() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(answer)

        process = threading.Thread(target=die)
        process.start()
        scraper = Scraper()
        found = scraper.scrape({"dying": f"http://127.0.0.1:{server.getsockname()[1]}/metrics"})
        process.join(10)
    assert found.silent == {"dying"}
    scraper.close()
