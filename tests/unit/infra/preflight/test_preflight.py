"""What is found before a run starts, by its cause, each with what to do."""

import json
import os
import shutil
from pathlib import Path

import pytest
from support.judge_server import serving
from support.tiny_judge import save_tiny_judge
from support.tiny_model import save_tiny_model

from infra.cli.doctor import check, require_startable
from infra.cli.errors import CommandError, ExitCode
from infra.preflight.cheap import check_cheaply
from infra.preflight.finding import Finding, Level
from infra.preflight.thorough import ask_judge
from infra.settings.genrm import GenRMSettings
from infra.settings.load import load
from infra.settings.sources import parse_assignment
from infra.settings.tree import Settings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "model", seed=0)


def settings_of(tmp_path: Path, model: Path, *assignments: str) -> Settings:
    own = (f"model.path={model}", f"genrm.model={model}", f"run.folder={tmp_path / 'runs'}", "broker.kind=embedded")
    return load(options=[parse_assignment(text) for text in (*own, *assignments)]).settings


def failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is Level.FAILURE]


def test_a_run_that_can_start_has_no_failure(tmp_path: Path, model: Path) -> None:
    settings = settings_of(tmp_path, model)
    assert failures(check(settings)) == []
    require_startable(settings)


@pytest.mark.parametrize(
    "case",
    [
        ("data.prompts=/gone.jsonl", "data.prompts", "correct data.prompts"),
        ("rollout.engine.kind=vllm", "rollout.engine.kind", "rollout.engine.kind=hf"),
        ("broker.kafka_home=/gone", "broker", "Apache Kafka 4"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path, model: Path, monkeypatch, case) -> None:
    change, part, mend = case
    monkeypatch.setattr("infra.preflight.cheap.find_spec", lambda name: None if name == "vllm" else object())
    more = ("broker.kind=kafka",) if part == "broker" else ()
    found = failures(check_cheaply(settings_of(tmp_path, model, change, *more)))
    assert found[0].part == part
    assert mend in found[0].mend


def test_a_model_without_chat_template_or_tokenizer_is_refused(tmp_path: Path, model: Path) -> None:
    settings = settings_of(tmp_path, model)
    file = model / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config.pop("chat_template", None)
    file.write_text(json.dumps(config))
    for name in ("chat_template.jinja", "chat_template.json"):
        (model / name).unlink(missing_ok=True)
    with pytest.raises(CommandError, match=r"chat template: .*chat_template\.jinja") as raised:
        require_startable(settings, cheaply=True)
    assert raised.value.code == ExitCode.USAGE
    (model / "tokenizer.json").unlink()
    assert "tokenizer" in [one.part for one in failures(check_cheaply(settings))]


def test_a_template_that_breaks_is_found_by_trying_it(tmp_path: Path, model: Path) -> None:
    (model / "chat_template.jinja").write_text("{{ raise_exception('no such role') }}")
    assert [one.part for one in failures(check(settings_of(tmp_path, model)))] == ["tokenizer"]


def test_an_architecture_that_the_engine_refuses_is_told_before_the_start(tmp_path: Path, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "layer_types": None}
    (model / "config.json").write_text(json.dumps(config))
    (found,) = failures(check(settings_of(tmp_path, model)))
    assert "engine hf has no sliding_attention" in found.text
    assert found.mend == "set rollout.engine.kind=vllm"


def test_a_disk_that_is_too_small_is_told_with_its_settings(tmp_path: Path, model: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("infra.preflight.cheap.shutil.disk_usage", lambda _: usage)
    (found,) = failures(check_cheaply(settings_of(tmp_path, model)))
    assert "learner.keep_checkpoints" in found.mend


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, model: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    settings = settings_of(tmp_path, model, f"run.folder={tmp_path / 'closed' / 'runs'}")
    assert [one.part for one in failures(check_cheaply(settings))] == ["run.folder"]


def test_parts_that_do_not_answer_are_told(tmp_path: Path, model: Path) -> None:
    nowhere = "127.0.0.1:9"
    settings = settings_of(
        tmp_path,
        model,
        "broker.kind=cluster",
        f"broker.bootstrap_servers={nowhere}",
        "broker.connect_timeout_seconds=0.2",
        f"database.url=postgresql+psycopg://u:hush@{nowhere}/d",
    )
    found = failures(check(settings))
    assert [one.part for one in found] == ["broker", "database"]
    assert "hush" not in str(found)


def test_a_judge_gives_one_verdict_and_one_without_logprobs_is_told_of_votes(tmp_path: Path) -> None:
    with serving(save_tiny_judge(tmp_path / "judge")) as server:
        settings = GenRMSettings(backend="openai", endpoint=server.endpoint, model="judge", timeout_seconds=10)
        assert ask_judge(settings).level is Level.OK
        server.mode = "other shape"
        found = ask_judge(settings)
        assert (found.level, "genrm.votes=8" in found.mend) == (Level.FAILURE, True)
    found = ask_judge(settings)
    assert (found.level, "genrm.endpoint" in found.mend) == (Level.NOTE, True)
