"""TRL's side of learner.vs_trl: `trl_side.py MODEL SAMPLES THREADS DTYPE ROWS`, one step of `GRPOTrainer` a turn.

Runs in TRL's environment. Invariants:
- TRL trains as it does for its users: `trainer.train()`, whose rollout function hands over the samples of the file.
- What is timed is from the step's begin to its end, less what makes the samples ready (decoding, scoring, padding).
- Old log-probabilities are the file's: a forward pass that TRL needs in some setups is spared here.

ROWS: sequences in one forward pass.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl_samples import Groups, read_groups
from turns import Turns

STEPS = 10**6
"""More than anybody waits for: the other end decides."""


class GivenSamples:
    """TRL's rollout function, and its reward function. A prompt's text is its group's number."""

    __name__ = "given_samples"

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def rollouts(self, prompts: list[str], _trainer: Any) -> dict[str, list[Any]]:
        """TRL repeats a prompt once for each response, side by side."""
        size = len(self._groups[0])
        chosen = [self._groups[int(prompt)][number % size] for number, prompt in enumerate(prompts)]
        return {
            "prompt_ids": [sample.prompt for sample in chosen],
            "completion_ids": [sample.response for sample in chosen],
            "logprobs": [sample.logprobs for sample in chosen],
            "score": [sample.score for sample in chosen],
        }

    def __call__(self, *, score: list[float], **_: Any) -> list[float]:
        return score


class TimedTrainer(GRPOTrainer):
    """Knows how long the last samples took to make ready, and the loss of the step so far."""

    preparing = 0.0
    loss = 0.0

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        started = time.perf_counter()
        batch = super()._generate_and_score_completions(inputs)
        batch["old_per_token_logps"] = batch["sampling_per_token_logps"]
        self.preparing += time.perf_counter() - started
        return batch

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        loss = super().compute_loss(*arguments, **options)
        self.loss += float(loss.detach())
        return loss


class InTurns(TrainerCallback):
    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._seconds = 0.0
        self._started = 0.0
        self.trainer: TimedTrainer

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        if not self._turns.wait():
            raise SystemExit
        self.trainer.preparing = self.trainer.loss = 0.0
        self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._seconds = time.perf_counter() - self._started - self.trainer.preparing

    def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
        """Comes after each step, with the gradient's norm before clipping."""
        self._turns.reply(
            seconds=self._seconds,
            loss=self.trainer.loss,
            gradient_norm=float(logs["grad_norm"]),
            version=trl.__version__,
        )


def config(groups: Groups, rows: int, dtype: str, output: str) -> GRPOConfig:
    size = len(groups[0])
    return GRPOConfig(
        output_dir=output,
        use_cpu=True,
        bf16=dtype == "bfloat16",  # autocast over float32 weights
        gradient_checkpointing=False,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=len(groups) * size // rows,
        num_generations=size,
        max_completion_length=max(len(sample.response) for group in groups for sample in group),
        loss_type="dapo",  # the mean over tokens
        scale_rewards="none",  # see the other side
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        learning_rate=1e-6,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        shuffle_dataset=False,
        max_steps=STEPS,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def main(model: Path, samples: Path, threads: int, dtype: str, rows: int) -> None:
    turns = Turns()
    torch.set_num_threads(threads)
    groups = read_groups(samples)
    callback = InTurns(turns)
    given = GivenSamples(groups)
    with tempfile.TemporaryDirectory() as output:
        callback.trainer = TimedTrainer(
            model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa"),
            processing_class=AutoTokenizer.from_pretrained(model, padding_side="left"),
            reward_funcs=given,
            rollout_func=given.rollouts,
            args=config(groups, rows, dtype, output),
            train_dataset=Dataset.from_dict({"prompt": [str(number) for number in range(len(groups))]}),
            callbacks=[callback],
        )
        callback.trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
