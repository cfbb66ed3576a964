"""`rewardstream evaluate`: what it refuses before it starts anything, and what it lists."""

from pathlib import Path

from infra.cli.errors import ExitCode
from infra.settings.evaluation import Skill


def set_file(folder: Path) -> Path:
    path = folder / "set.jsonl"
    path.write_text('{"domain": "letters", "prompt": "Say a", "verifier": "exact", "ground_truth": "a"}\n')
    return path


def test_what_cannot_be_evaluated_is_told(rewardstream, tiny_policy_folder, tmp_path) -> None:
    model, sets = ("--model", str(tiny_policy_folder)), ("--sets", str(set_file(tmp_path)))
    runs = ("--run-folder", str(tmp_path / "runs"))
    for words, code, message in (
        ((*sets, "--model", "gone:3"), ExitCode.UNREACHABLE, "--model gone:3: neither a folder nor a run"),
        ((*model, "--sets", str(tmp_path / "gone.jsonl")), ExitCode.USAGE, "no such file; give a JSONL"),
        ((*model, *sets, *model, *model), ExitCode.USAGE, "takes one model, or two to compare, not 3"),
        ((*model, *sets, "--set", "evaluation.pass_at=[0]"), ExitCode.USAGE, "each of 1 or more"),
        ((*model, *sets, "gone.jsonl"), ExitCode.USAGE, "--sets gone.jsonl: no such file"),
    ):
        found, _, err = rewardstream("evaluate", *words, *runs)
        assert found == code, err
        assert message in err
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_shows_where_samples_come_from(rewardstream, tiny_policy_folder, tmp_path) -> None:
    options = ("--samples", "7", "--pass-at", "7", "--pass-at", "2", "--bootstrap-servers", "broker:9092", "--dry-run")
    sets = ("--sets", str(set_file(tmp_path)))
    code, out, _ = rewardstream("evaluate", "--model", str(tiny_policy_folder), *sets, *options)
    assert code == 0
    lines = {line.split(" = ")[0]: line for line in out.splitlines() if " = " in line}
    assert lines["evaluation.samples"].split() == ["evaluation.samples", "=", "7", "#", "option", "--samples"]
    assert "[2, 7]" in lines["evaluation.pass_at"]
    assert '"cluster"' in lines["broker.kind"]


def test_the_sets_of_packages_are_listed_and_the_skills_without_one(rewardstream) -> None:
    code, out, _ = rewardstream("evaluate", "--list-sets")
    assert code == 0
    assert all(name in out for name in ("humaneval", "if-verifiable", "reasoning-gym-logic"))
    last = out.splitlines()[-1]
    assert all(skill in last for skill in (Skill.NLP, Skill.KNOWLEDGE, Skill.OUT_OF_DISTRIBUTION))
