"""`rewardstream rm`: models from files, measured by the same command line."""

import json
from pathlib import Path

from infra.cli.errors import ExitCode


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pairs(count: int) -> list[dict[str, object]]:
    return [
        {"prompt": f"Say {number}", "chosen": f"please {number}", "rejected": f"now {number}", "domain": "manners"}
        for number in range(count)
    ]


def test_train_bt_writes_a_reward_model_and_prints_its_report(rewardstream, tiny_policy_folder, tmp_path) -> None:
    file = write(tmp_path / "pairs.jsonl", [*pairs(24), {"prompt": "Say 1", "chosen": "same", "rejected": "same"}])
    out = tmp_path / "rm"
    options = ("--steps", "12", "--batch", "8", "--learning-rate", "2e-3", "--heldout-share", "0.3")
    code, printed, err = rewardstream(
        "rm", "train-bt", str(file), "--out", str(out), "--model", str(tiny_policy_folder), *options
    )
    report = json.loads(printed)
    assert code == 0
    assert (out / "model.safetensors").is_file()
    assert report["heldout_accuracy"] > 0.5
    assert report["accuracy_by_domain"] == {"manners": report["heldout_accuracy"]}
    assert report["comparisons"] + report["heldout_comparisons"] == 24
    assert "pairs.jsonl:25: the two responses are the same" in err


def test_train_bt_without_a_pair(rewardstream, tiny_policy_folder, tmp_path) -> None:
    file = write(tmp_path / "pairs.jsonl", [{"prompt": "Say 1", "chosen": "same", "rejected": "same"}])
    model = ("--model", str(tiny_policy_folder), "--out", str(tmp_path / "rm"))
    code, _, err = rewardstream("rm", "train-bt", str(file), *model)
    assert code == ExitCode.USAGE
    assert "no preference pair in" in err
    code, _, err = rewardstream("rm", "train-bt", str(tmp_path / "gone.jsonl"), *model)
    assert code == ExitCode.USAGE
    assert "no dataset at" in err
