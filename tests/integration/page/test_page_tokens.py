"""The tokens of a rollout: from the log while there is one, and from the run's folder afterwards."""

from pathlib import Path

from support.broker_run import RunOnBroker
from support.messages import rollout, verdict

from infra.page.readers.kept_rollouts import KEPT_FILE, KeptRollouts, keep_rollouts
from infra.page.readers.rollout_log import RolloutLog
from infra.settings.tree import Settings


def test_a_rollout_is_found_in_the_log_and_later_in_the_folder(
    topic_settings: Settings, bootstrap: str, tmp_path: Path
) -> None:
    run = RunOnBroker(topic_settings, bootstrap, tmp_path)
    try:
        scored = [rollout(seq, index, run_id=run.run_id) for seq in range(6) for index in (0, 1)]
        waiting = rollout(9, 0, run_id=run.run_id)
        run.send(*scored, waiting, *(verdict(one, 0.5) for one in scored))
        log = RolloutLog(topic_settings, bootstrap, KeptRollouts(tmp_path / "none"))
        for one in (*scored, waiting):
            assert log.find(one.rollout_id) == (one, "")
        missing, why = log.find(f"{run.run_id}:9/7")
        assert missing is None
        assert "not have it" in why
        assert keep_rollouts(topic_settings, bootstrap, tmp_path) == len(scored)
        kept = RolloutLog(topic_settings, "", KeptRollouts(tmp_path))
        for one in scored:
            assert kept.find(one.rollout_id) == (one, "")
        assert kept.find(waiting.rollout_id) == (None, "the run's log is not available")
        size = (tmp_path / KEPT_FILE).stat().st_size
        assert 0 < keep_rollouts(topic_settings, bootstrap, tmp_path, most=size // 2) <= len(scored) // 2
        whole = (tmp_path / KEPT_FILE).read_bytes()
        (tmp_path / KEPT_FILE).write_bytes(whole[:-3])
        assert len(KeptRollouts(tmp_path)._index()) == len(scored) // 2 - 1
    finally:
        run.close()
