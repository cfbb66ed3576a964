"""/metrics, parsed: the names of a prefix, without buckets."""

import pytest

from infra.scrape import parse

TEXT = """\
# HELP rewardstream_rollouts_total Rollouts.
# TYPE rewardstream_rollouts_total counter
rewardstream_rollouts_total{status="ok"} 3.0
rewardstream_rollouts_created{status="ok"} 1.7e9
rewardstream_step_seconds_bucket{le="1.0"} 2.0
rewardstream_step_seconds_sum 1.5
python_gc_objects_collected_total{generation="0"} 9.0
vllm:prefix_cache_queries_total{engine="0"} 200.0
"""


def test_only_the_names_of_the_prefix_without_buckets() -> None:
    assert parse(TEXT) == {
        ("rewardstream_rollouts_total", (("status", "ok"),)): 3,
        ("rewardstream_step_seconds_sum", ()): 1.5,
    }
    assert parse(TEXT, "vllm:") == {("vllm:prefix_cache_queries_total", (("engine", "0"),)): 200}
    assert parse("<html>not found</html>") == {}


def test_a_broken_line_of_the_prefix_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        parse("rewardstream_rollouts_total many\n")
