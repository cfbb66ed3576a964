"""What `rewardstream why` finds of a rollout in the log alone."""

from pathlib import Path

from support.broker_run import RunOnBroker
from support.messages import rollout, verdict

from infra.advice.log_story import find_rollout
from infra.settings.tree import Settings


def test_a_rollout_that_is_only_in_the_log_is_found_there(
    topic_settings: Settings, bootstrap: str, tmp_path: Path
) -> None:
    run = RunOnBroker(topic_settings, bootstrap, tmp_path)
    try:
        first, second = (rollout(7, index, run_id=run.run_id, text=f"text {index}") for index in (0, 1))
        run.send(first, second, verdict(second, 0.5))
        waiting = find_rollout(topic_settings, bootstrap, first.rollout_id)
        assert waiting is not None
        assert (waiting.rollout.text, waiting.verdict) == ("text 0", None)
        judged = find_rollout(topic_settings, bootstrap, second.rollout_id)
        assert judged is not None
        assert judged.verdict is not None
        assert (judged.rollout.text, judged.verdict.score) == ("text 1", 0.5)
        assert find_rollout(topic_settings, bootstrap, f"{run.run_id}:7/5") is None
    finally:
        run.close()
