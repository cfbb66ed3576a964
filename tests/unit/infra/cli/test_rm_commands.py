"""`rewardstream rm`: models from files, measured by the same command line."""

import json
from pathlib import Path

from support.tiny_model import save_tiny_judge_model

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


def test_evaluate_measures_a_reward_model_and_a_judge(rewardstream, tiny_policy_folder, tmp_path) -> None:
    file = write(tmp_path / "pairs.jsonl", pairs(12))
    model = tmp_path / "rm"
    fit = ("--steps", "20", "--batch", "8", "--learning-rate", "2e-3", "--heldout-share", "0")
    assert (
        rewardstream("rm", "train-bt", str(file), "--out", str(model), "--model", str(tiny_policy_folder), *fit)[0] == 0
    )
    picture = tmp_path / "pictures" / "rm.png"
    evaluate = ("rm", "evaluate", str(file), "--probed-questions", "2", "--set", "genrm.dtype=float32")
    code, out, _ = rewardstream(*evaluate, "--judge", str(model), "--picture", str(picture), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["judge"] == "bt"
    assert found["overall"]["triples"] == 24
    assert found["overall"]["accuracy"] == 1.0
    assert found["flip_rate"] == 0.0
    assert set(found["probe_rates"]) == {"master_keys", "first_sentences"}
    assert picture.read_bytes().startswith(b"\x89PNG")

    judge = save_tiny_judge_model(tmp_path / "judge")
    code, out, _ = rewardstream(*evaluate, "--judge", str(judge))
    assert code == 0
    assert "genrm-hf" in out
    assert "manners" in out
    assert "order flips" in out


def test_evaluate_without_triples_or_judge(rewardstream, tmp_path) -> None:
    file = write(tmp_path / "triples.jsonl", [{"prompt": "Say 1", "response": "1", "label": 1}])
    code, _, err = rewardstream("rm", "evaluate", str(file))
    assert code == ExitCode.USAGE
    assert "nothing to compare with" in err
    write(file, pairs(1))
    code, _, err = rewardstream("rm", "evaluate", str(file), "--judge", "/no/such/judge")
    assert code == ExitCode.UNREACHABLE
    assert "/no/such/judge does not exist" in err
    code, _, err = rewardstream(
        "rm", "evaluate", str(file), "--judge", "x", "--endpoint", "http://127.0.0.1:9/v1",
        "--set", "genrm.timeout_seconds=2",
    )  # fmt: skip
    assert code == ExitCode.UNREACHABLE
    assert "127.0.0.1:9" in err


def test_train_genrm_writes_a_judge_and_measures_it(rewardstream, tmp_path) -> None:
    rows = [
        {"question": f"Is {number} ok?", "ground_truth": "ok", "response": text, "label": text == "ok"}
        for number in range(20)
        for text in ("ok", "no")
    ]
    file = write(tmp_path / "triples.jsonl", [*rows, *pairs(4)])
    tiny, out = save_tiny_judge_model(tmp_path / "tiny"), tmp_path / "judge"
    options = ("--steps", "3", "--heldout-share", "0.3", "--negative", "echo", "--negative", "phrase")
    code, printed, _ = rewardstream("rm", "train-genrm", str(file), "--out", str(out), "--model", str(tiny), *options)
    report = json.loads(printed)
    assert code == 0
    assert report["steps"] == 3
    assert report["heldout"]["overall"]["triples"] > 4
    assert (out / "model.safetensors").is_file()
    code, _, err = rewardstream("rm", "train-genrm", str(file), "--out", str(out), "--negative", "typo")
    assert code == ExitCode.USAGE
    assert "first-sentence" in err
