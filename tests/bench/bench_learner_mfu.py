"""What share of a card's peak the learner's step reaches: model FLOPs utilisation (PaLM 2204.02311, appendix B).

    python tests/bench/bench_learner_mfu.py [--rounds N]

`learner.mfu.MODEL`: FLOPs of one forward and backward pass over the batch (`flops.py`), divided by the seconds of
`PPO.step` on it (the demo's recipe, 16 groups of 8 responses of 128 to 512 tokens, rows of 4,096), as a share of
the card's dense bfloat16 peak; for a card whose peak is not known, `learner.flops.MODEL` in TFLOP/s. Packing,
advantages, recomputed proximal log-probabilities and the optimizer take time and count for nothing. SmolLM2-135M as the
demo trains it, and a model of Llama-3.2-1B's shape with random weights. Without a CUDA device nothing is measured.
"""

import argparse
from statistics import median
from typing import Any

import learner_cases as cases
import torch
from flops import peak_of, training_flops
from measures import measure, note
from transformers import AutoModelForCausalLM, LlamaConfig

from trainer.step.batch import pack_batch
from trainer.step.ppo import PPO
from workers.models import packed_attention

GROUPS = 16
ROW_TOKENS = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        note("learner.mfu is skipped: torch sees no CUDA device")
        return
    card = torch.cuda.get_device_name()
    for name, model in (("smollm2_135m", cases.policy), ("llama_1b", llama_1b)):
        utilisation(name, model().to("cuda"), card, options.rounds)
        torch.cuda.empty_cache()


def llama_1b() -> Any:
    config = LlamaConfig(
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        tie_word_embeddings=True,
    )
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation=packed_attention.register()
        )
    return model.eval()


def utilisation(name: str, model: Any, card: str, rounds: int, groups: int = GROUPS) -> None:
    members = cases.drawn_groups(cases.LONG, groups)
    settings = cases.settings_of(packed_row_tokens=ROW_TOKENS, logits_chunk_tokens=ROW_TOKENS)
    ppo = PPO(model, None, settings)

    def step() -> None:
        ppo.step(pack_batch(members, ROW_TOKENS), version=settings.warmup_steps, seed=0)
        torch.cuda.synchronize()  # the optimizer's last kernels run on while `step` returns

    [taken] = cases.alternated(rounds, step)
    batch = pack_batch(members, ROW_TOKENS)
    achieved, peak = training_flops(model.config, batch.rows) / median(taken), peak_of(card)
    about: dict[str, Any] = {"card": card, "targets": batch.targets, "tokens": batch.tokens, "rows": len(batch.rows)}
    if peak is None:
        measure(f"learner.flops.{name}", achieved / 1e12, "TFLOP/s", **about)
    else:
        measure(f"learner.mfu.{name}", achieved / peak, "of peak", tflops=achieved / 1e12, **about)


if __name__ == "__main__":
    main()
