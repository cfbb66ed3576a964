"""Every packaged recipe trains two steps with its own values, scaled down to a tiny model and responses of 300 tokens.

The services are the real ones, as threads of this process (`infra.lab.services`), on an embedded broker and Postgres.
"""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import func, select
from support.broker_run import run_settings
from support.tiny_model import save_tiny_model

from infra.db.models import Group, Score
from infra.files.run_files import STEPS_FILE
from infra.lab.judge_server import serve_judge
from infra.lab.services import run_services
from infra.local.broker import open_broker
from infra.settings.load import load, with_changes
from infra.settings.sources import Option, recipe_names
from infra.settings.tree import BrokerSettings
from streams.admin import create_topics, topic_specs
from trainer.prompts.dataset import Defaults
from trainer.prompts.ingest import ingest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NEW_TOKENS = 300
"""More than a block of attention (256 tokens), in whose shorter ones other code runs."""
PRETRAINED = 1
SCALED = {
    "rollout.engine.kind": "hf",
    "rollout.engine.max_running": 16,
    "rollout.engine.max_model_tokens": 512,
    "rollout.engine.vllm_args": {},
    "rollout.engine.threads": 1,
    "rollout.sampling.max_new_tokens": NEW_TOKENS,
    "rollout.sampling.max_new_tokens_by_domain": {},
    "model.dtype": "float32",
    "rtv.workers": 1,
    "rtv.sandbox.warm": 0,
    "genrm.backend": "openai",
    "genrm.model": "planted",
    "genrm.threads": 1,
    "selector.group_size": 4,
    "selector.admission.groups_per_step": 2,
    "selector.preppo.samples": 2,
    "selector.eval_samples": 1,
    "selector.eval_at_start": False,
    "selector.max_steps": 2,
    "learner.processes": 1,
    "learner.threads": 1,
    "learner.packed_row_tokens": 512,
    "learner.batch_wait_seconds": 1.0,
}
"""Sizes alone: what a recipe says of the algorithm stays."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model"), seed=1, context=1024)


@pytest.fixture(scope="module")
def bootstrap():
    with TemporaryDirectory(prefix="rewardstream-broker-") as folder:
        broker = open_broker(BrokerSettings(kind="embedded"), Path(folder))
        broker.start()
        yield broker.bootstrap
        broker.stop()


def rows(split: str) -> list[dict[str, Any]]:
    """Prompts whose verifier passes about half of what a random model writes."""
    verified = {"verifier": "regex", "options": {"pattern": "^[^a-m]*[n-z]", "mode": "search"}}
    return [
        {"domain": "letters", "prompt": f"{split} {number}", "origin": "original" if number % 2 else "new", **verified}
        for number in range(6 if split == "train" else 1)
    ]


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_trains_two_steps(recipe, model, bootstrap, engine, tmp_path):
    names = run_settings(bootstrap)
    with serve_judge() as judge:
        scaled = SCALED | {
            "run.id": names.run.id,
            "run.folder": str(tmp_path),
            "topics.prefix": names.topics.prefix,
            "broker.kind": "cluster",
            "broker.bootstrap_servers": bootstrap,
            "broker.session_timeout_seconds": 6.0,
            "topics.partitions": 1,
            "topics.replication": 1,
            "database.url": engine.url.render_as_string(hide_password=False),
            "model.path": str(model),
            "genrm.endpoint": f"{judge}/0.5/v1",
        }
        settings = load(recipe, [Option(path, value, "test") for path, value in scaled.items()]).settings
        if settings.learner.value.pretrain_steps:
            value = settings.learner.value.model_copy(update={"pretrain_steps": PRETRAINED})
            settings = with_changes(settings, learner={"value": value})
        create_topics(settings.broker, bootstrap, topic_specs(settings))
        for split in ("train", "heldout"):
            file = tmp_path / f"{split}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows(split)))
            ingest(engine, file, Defaults(split=split), run_id=settings.run.id)
        run_services(settings, bootstrap)
    steps = [json.loads(line) for line in (tmp_path / settings.run.id / STEPS_FILE).read_text().splitlines()]
    assert [step["version"] for step in steps] == [1, 2]
    assert not any(step["skipped"] for step in steps)
    assert all(math.isfinite(step["policy_loss"]) for step in steps)
    with engine.connect() as connection:
        longest = connection.scalar(select(func.max(Score.response_tokens)))
        open_groups = connection.scalar(select(func.count()).select_from(Group).where(Group.outcome.is_(None)))
    assert longest == NEW_TOKENS
    assert open_groups == 0
