"""`rewardstream plan`: figures as text and JSON, and exit codes."""

import json

import pytest
from support.tiny_model import save_tiny_model

from infra.cli.main import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture
def run(monkeypatch, capsys):
    def run_plan(*arguments):
        monkeypatch.setattr("sys.argv", ["rewardstream", "plan", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run_plan


def test_what_fits_is_printed(run, model):
    code, out, _ = run("--model", model, "--recipe", "demo", "--gpu-memory", 8, "--assume", "prompt_tokens=64")
    assert code == 0
    for heading in ("learner, per process (1 of 1 GPUs)", "engine, per GPU", "a step", "disk", "a day", "assumed"):
        assert heading in out
    assert out.count("<- bottleneck") == 1


def test_json_has_the_same_figures(run, model):
    code, out, _ = run("--model", model / "config.json", "--recipe", "demo", "--json", "--assume", "prompt_tokens=100")
    found = json.loads(out)
    assert code == 0
    parts = found["learner"]
    assert parts["total"] == sum(value for name, value in parts.items() if name != "total")
    assert found["rates"]["groups"] == found["rates"][found["rates"]["bottleneck"]]
    assert found["assumptions"]["prompt_tokens"] == 100
    assert found["shortages"] == []


def test_what_cannot_fit_is_refused_with_the_setting_that_mends_it(run, model):
    code, out, error = run(
        "--model", model, "--recipe", "demo", "--set", "rollout.engine.max_model_tokens=32", "--json"
    )
    assert code == 1
    assert "this cannot run:" in error
    assert "set rollout.engine.max_model_tokens to 288" in error
    assert json.loads(out)["shortages"][0]["mends"] == ["set rollout.engine.max_model_tokens to 288"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--assume", "prompts_tokens=3"], "no such figure; give one of "),
        (["--set", "learner.processes=0"], "learner.processes"),
        (["--model", "/nowhere"], "does not exist"),
    ],
)
def test_wrong_options_are_named(arguments, text, run, model):
    given = [] if "--model" in arguments else ["--model", model]
    code, _, error = run(*given, *arguments)
    assert code in {2, 3}
    assert text in error
