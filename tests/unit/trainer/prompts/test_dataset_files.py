"""Every kind of file gives the same rows, broken files say where, and sources name their files in order."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.preflight.cheap import _prompts
from infra.settings.tree import DataSettings, Settings
from trainer.prompts import dataset_files as files
from trainer.prompts.check import check_files
from trainer.prompts.dataset import Defaults
from trainer.prompts.dataset_errors import DatasetError
from trainer.prompts.dataset_files import raw_rows
from trainer.prompts.dataset_sources import choose_split
from trainer.prompts.dataset_sources import dataset_files as files_of
from trainer.prompts.rejected_rows import RejectedRows

ROWS = [{"domain": "qa", "prompt": f"Wörter, {number}?\nMore", "ground_truth": str(number)} for number in range(3)]


def write(path, rows):
    lines = "\n".join(map(json.dumps, rows))
    text = json.dumps(rows, indent=1, ensure_ascii=False) if ".json" in path.suffixes else lines
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in {".csv", ".tsv"}:
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            table.writeheader()
            table.writerows(rows)
    else:
        (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8").write(text)
    return path


def read(path):
    return [raw() if callable(raw) else raw for _, raw, _ in raw_rows(path)]


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.json", "a.parquet", "a.csv", "a.tsv", "a.jsonl.gz", "a.json.gz"]
)
def test_every_kind_of_file_gives_the_rows(tmp_path, name):
    assert read(write(tmp_path / name, ROWS)) == ROWS


def test_a_json_list_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 7)
    rows = [*ROWS, {"n": 12345678901234567890}, {}, 17, "text", [1, [2]]]
    assert read(write(tmp_path / "a.json", rows)) == rows
    monkeypatch.setattr(files, "_LARGEST_ELEMENT", 20)
    with pytest.raises(DatasetError, match="element 1 of the list is not JSON"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b'[{"a": 1}, {"b": ]', "element 2 of the list is not JSON"),
        ("a.json", b'[{"a": 1},', "the file is cut off"),
        ("a.jsonl.gz", b"not gzip", "cannot be read to its end"),
        ("a.csv", b'a,b\n"x', "a.csv:"),
    ],
)
def test_a_file_that_breaks_off_says_where(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=reason):
        read(tmp_path / name)


def test_folders_and_patterns_give_their_files_in_order(tmp_path):
    (tmp_path / "in").mkdir()
    names = ["b.jsonl", "in/a.parquet", "c.csv", "in/d.rejected.jsonl", "e.txt"]
    for name in names:
        (tmp_path / name).write_text("")
    assert [str(path.relative_to(tmp_path)) for path in files_of(tmp_path)] == ["b.jsonl", "c.csv", "in/a.parquet"]
    assert [path.name for path in files_of(f"{tmp_path}/*.jsonl")] == ["b.jsonl"]
    with pytest.raises(DatasetError, match="has no file of the kinds"):
        files_of(f"{tmp_path}/*.json")


def findings(source):
    return list(_prompts(Settings(data=DataSettings(prompts=Path(source)))))


def test_what_starts_a_run_takes_every_source_of_prompts(tmp_path):
    write(tmp_path / "a.jsonl", ROWS)
    for source in (tmp_path, tmp_path / "*.jsonl", tmp_path / "a.jsonl", "hf://our/data/train"):
        assert findings(source) == []
    assert "has no file of the kinds" in str(findings(tmp_path / "*.csv"))
    assert "there is no file" in str(findings(tmp_path / "b.jsonl"))


def test_a_split_of_the_hub_is_chosen_by_its_name():
    hub = ["main/train-00000-of-00001.parquet", "main/test-00000-of-00001.parquet", "socratic/train-0.parquet"]
    assert choose_split(hub, ["main", "test"], "o/n") == [hub[1]]
    assert choose_split(hub[:2], [], "o/n") == [hub[0]]
    assert choose_split(["data.jsonl"], [], "o/n") == ["data.jsonl"]
    with pytest.raises(DatasetError, match=r"several configurations: main, socratic; name one: hf://o/n/main/train"):
        choose_split(hub, [], "o/n")
    with pytest.raises(DatasetError, match="no data of 'trial'"):
        choose_split(hub, ["trial"], "o/n")


def test_a_check_finds_repeats_shared_prompts_and_long_ones(tmp_path):
    train = write(tmp_path / "train.jsonl", [*ROWS, ROWS[0], {"domain": "qa", "prompt": "x" * 99, "ground_truth": "1"}])
    heldout = write(tmp_path / "heldout.jsonl", [ROWS[1], {"domain": "qa", "prompt": "else?", "ground_truth": "1"}])
    found = check_files(
        [(train, Defaults()), (heldout, Defaults(split="heldout"))],
        lambda _: RejectedRows(tmp_path / "out" / "rejected.jsonl", append=True),
        lambda row: "it is too long" if len(row.question.prompt) > 50 else None,
    )
    assert [(one.accepted, one.repeated, one.rejected) for one in found] == [(4, 1, 1), (1, 0, 1)]
    assert found[0].kinds == {("rewardstream", "qa", "genrm (ground truth)"): 4}
    assert "the same prompt is in split 'train'" in found[1].examples[0].reason
    assert len((tmp_path / "out" / "rejected.jsonl").read_text().splitlines()) == 2
