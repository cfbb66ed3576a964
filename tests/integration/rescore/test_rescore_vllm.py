"""What a verifier scored, judged again by a model on a real vLLM server."""

import json

import msgspec
import pytest
from bench.vllm_server import MODEL
from support.past_run import JUDGED, PastRun


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_judge_on_vllm_rescores_what_a_verifier_scored(
    past: PastRun, vllm_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    past.group(
        0, ("Paris", "Rome", "Paris"), (1.0, 0.0, 1.0), question=msgspec.structs.replace(JUDGED, verifier="exact")
    )
    values = {"backend": "openai", "endpoint": vllm_server, "model": MODEL, "prompt": "short"}
    judge = [part for name, value in values.items() for part in ("--set", f"genrm.{name}={value}")]
    assert past.rescore(monkeypatch, "--scorer", "genrm", "--others", *judge, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["scorer"].startswith(f"genrm@{MODEL}")
    assert summary["old_scorers"] == {"math@0": 3}
    scores = past.new_scores(summary["scorer"])
    assert set(scores) == {"0/0", "0/1", "0/2"}
    assert all(score is not None and 0 < score < 1 for score in scores.values())
    assert scores["0/0"] == pytest.approx(scores["0/2"], abs=1e-3)
