"""The prompts of a laboratory run."""

from collections import Counter
from pathlib import Path

from infra.lab.ladder import DOMAINS, RUNGS, Kind
from infra.lab.pool import JUDGED, Composition, Reward, draw_pool, rung_of, write_pool
from trainer.prompts.dataset import Defaults, PromptRow, read_dataset

SMALL = Composition(rungs=(4, 3, 2, 2, 1, 1, 1, 1), broken=2, coins=1, heldout=2, domains=DOMAINS)


def test_a_pool_holds_what_its_composition_says() -> None:
    train, heldout = draw_pool(SMALL, seed=0)
    kinds = Counter(rung_of(row["source"]) for row in train)
    assert kinds[1, Kind.SOUND] == 4 * len(DOMAINS)
    assert kinds[8, Kind.SOUND] == len(DOMAINS)
    assert sum(count for (_, kind), count in kinds.items() if kind is Kind.BROKEN) == 2 * len(DOMAINS)
    assert kinds[0, Kind.COIN] == len(DOMAINS)
    assert Counter(rung_of(row["source"]) for row in heldout) == {
        (rung, Kind.SOUND): 2 * len(DOMAINS) for rung in range(1, RUNGS + 1)
    }


def test_a_pool_is_a_function_of_its_seed() -> None:
    assert draw_pool(SMALL, seed=1) == draw_pool(SMALL, seed=1)
    assert draw_pool(SMALL, seed=1) != draw_pool(SMALL, seed=2)


def test_no_seed_trains_on_what_another_measures_or_changes_an_origin() -> None:
    compositions = [Composition(rungs=SMALL.rungs, originals=SMALL.rungs, heldout=2, broken=2)] * 5
    drawn = [draw_pool(composition, seed) for seed, composition in enumerate(compositions)]
    measured = {row["prompt"] for _, heldout in drawn for row in heldout}
    assert not measured & {row["prompt"] for train, _ in drawn for row in train}
    origins: dict[str, set[str]] = {}
    for train, _ in drawn:
        for row in train:
            origins.setdefault(row["prompt"], set()).add(row["origin"])
    assert all(len(own) == 1 for own in origins.values())


def test_judged_prompts_are_measured_twice() -> None:
    train, heldout = draw_pool(Composition(rungs=SMALL.rungs, heldout=1, reward=Reward.TRUTH), seed=0)
    assert not any("verifier" in row for row in train)
    proxies = {row["prompt"] for row in heldout if row["domain"].endswith(JUDGED)}
    assert proxies == {row["prompt"] for row in heldout if row.get("verifier") == "exact"}


def test_its_files_are_a_dataset(tmp_path: Path) -> None:
    files = write_pool(tmp_path, SMALL, seed=0)
    for path in (files.train, files.heldout):
        rows = [row for _, row in read_dataset(path, Defaults())]
        assert rows
        assert all(isinstance(row, PromptRow) for row in rows)
