"""Files and caches by formula, and as learner and engine make them."""

import pytest
import torch
from support.tiny_model import save_tiny_model

from infra.capacity.engine_memory import cache_bytes_per_token, engine_memory, slot_tokens
from infra.capacity.hardware import GIB, Assumptions
from infra.capacity.model_shape import shape_of
from infra.capacity.rows import row_sizes
from infra.capacity.stored_bytes import stored_bytes
from infra.capacity.throughput import forward_operations
from infra.settings.tree import Settings
from streams.messages import Sampling
from trainer.seqset import SeqSet
from trainer.weights import checkpoint
from trainer.weights.build_models import build_ppo
from trainer.weights.history import LearnerHistory
from trainer.weights.publish import publisher_of
from workers.engines.base import GenerationRequest
from workers.engines.hf import HfEngine
from workers.models.chat import load_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose weights are most of its folder."""
    return save_tiny_model(tmp_path_factory.mktemp("model"), seed=1)


def size_of(folder, pattern):
    return sum(file.stat().st_size for file in folder.rglob(pattern) if file.is_file())


CASES = {
    "value model": {},
    "group": {"advantage": "group", "value": {"kind": "none"}},
    "bfloat16": {"param_dtype": "bfloat16", "value": {"kind": "head"}},
    "adapter": {"lora": {"rank": 16}, "value": {"kind": "head"}},
}


@pytest.mark.parametrize("learner", CASES.values(), ids=CASES)
def test_a_version_and_a_checkpoint_are_the_planned_files(learner, model, tmp_path):
    settings = Settings(run={"id": "r", "folder": tmp_path}, learner=learner)
    ppo = build_ppo(settings, model)
    for optimizer in (ppo.policy_optimizer, ppo.value_optimizer):
        if optimizer is not None:  # AdamW makes its moments at the first update
            for weight in optimizer._weights:
                weight.grad = torch.zeros_like(weight)
            optimizer.apply(optimizer.gradient_norm())
    publisher_of(settings, model).publish(ppo.policy, 0, 1)
    written = checkpoint.save(tmp_path / "checkpoints", ppo, LearnerHistory(0, 1, 0, {}, SeqSet()), model, keep=1)
    shape = shape_of(model)
    planned = stored_bytes(shape, shape, settings)
    description = sum(size_of(model, pattern) for pattern in ("*.json", "*.jinja"))  # tokenizer and configuration
    assert planned.version == pytest.approx(size_of(tmp_path / "r" / "versions", "*.safetensors"), rel=0.15)
    assert planned.checkpoint == pytest.approx(size_of(written, "*") - description, rel=0.15)
    assert (planned.versions, planned.checkpoints) == (4 * planned.version, 3 * planned.checkpoint)


def test_the_cache_of_an_engine_is_the_planned_one(model):
    new, running = 100, 6
    settings = Settings(
        model={"path": str(model)},
        rollout={"engine": {"max_running": running}, "sampling": {"max_new_tokens": new}},
    )
    engine = HfEngine(model, max_running=running, max_model_tokens=256, dtype="bfloat16", device="cpu")
    prompt = tuple(load_tokenizer(model).encode("abcdefghij" * 5))
    engine.submit(GenerationRequest("g", prompt, running, Sampling(temperature=1.0, max_new_tokens=new)))
    largest = 0
    while engine.running:
        engine.step()
        largest = max(largest, sum(buffer.nbytes for buffer in engine._slots._keys + engine._slots._values))
    rows = row_sizes(settings, Assumptions(prompt_tokens=len(prompt)))
    planned = engine_memory(shape_of(model), settings, rows, 80 * GIB)
    assert planned.cache == largest
    weights = sum(parameter.numel() * parameter.element_size() for parameter in engine._model.parameters())
    assert planned.weights == weights
    assert planned.bytes_per_token == cache_bytes_per_token(shape_of(model), 2)


@pytest.mark.parametrize(("tokens", "slots"), [(1, 128), (128, 128), (129, 256), (1000, 1024)])
def test_slots_double_until_a_row_fits(tokens, slots):
    assert slot_tokens(tokens) == slots


def test_vllm_gives_the_cache_what_is_left(model):
    settings = Settings(rollout={"engine": {"kind": "vllm", "max_running": 10**9}})
    shape, rows = shape_of(model), row_sizes(settings, Assumptions())
    whole = engine_memory(shape, settings, rows, 80 * GIB)
    assert whole.total == 72 * GIB
    assert whole.samples == whole.cache // whole.bytes_per_token // (rows.prompt + rows.response)
    split = Settings(rollout={"engine": {"kind": "vllm", "vllm_args": {"tensor_parallel_size": 2}}})
    assert engine_memory(shape, split, rows, 80 * GIB).bytes_per_token == whole.bytes_per_token // 2
    assert engine_memory(shape, settings, rows, GIB).samples == 0


def test_operations_of_a_forward_pass_are_those_that_torch_counts(model):
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    policy = AutoModelForCausalLM.from_pretrained(model, attn_implementation="eager")
    tokens = 200
    with FlopCounterMode(display=False) as counted:
        policy.base_model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    # Eager attention computes every pair, masked or not.
    assert forward_operations(shape_of(model), tokens, tokens) == pytest.approx(counted.get_total_flops(), rel=0.02)
