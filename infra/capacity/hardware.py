"""What a plan is made for: the GPUs, the prompts, and figures that nobody knows before the run.

Invariant: every figure that is assumed has a default with its source here, is printed with the plan, and can be given
with `--assume NAME=VALUE`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Self

GIB = 2**30


class AssumptionError(ValueError):
    """`--assume` names no figure, or gives it a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Hardware:
    gpus: int
    """GPUs of all processes together; those that `learner.processes` does not take are the engines'."""
    gpu_memory: int
    """Bytes of one GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Figures that depend on the prompts, the policy, the judge and the cards."""

    prompt_tokens: float = 256
    """Tokens of a prompt with its chat template: a problem of a page."""
    response_tokens: float = 0
    """Mean tokens of a response; 0 takes half of rollout.sampling.max_new_tokens, since a policy that reasons grows
    towards its limit."""
    token_characters: float = 4
    """Characters of a token: English text under vocabularies of 100,000 tokens and more."""
    reference_characters: float = 200
    """Characters of a ground truth, its references and the scorer's options."""
    judged_share: float = 0.5
    """Fraction of the prompts that GenRM scores."""
    filtered_share: float = 0.3
    """Fraction of the groups that are filtered, as most are that are all right or all wrong; they are generated and
    scored and not trained on."""
    prompts: float = 100_000
    """Prompts to select among, each with a row per selection round."""
    gpu_tflops: float = 989
    """Dense bfloat16 TFLOP/s of a card: H100 SXM and H200 ("H200 Tensor Core GPU" data sheet)."""
    gpu_terabytes: float = 3.35
    """Memory bandwidth of a card in TB/s: H100 SXM ("H100 Tensor Core GPU" data sheet)."""
    learner_utilisation: float = 0.2
    """Share of that peak that the learner's passes reach. prime-rl publishes 0.11 to 0.15 at 16k tokens and 0.27 to
    0.36 at 64k (benchmarks/results/BENCHMARKS.md); `make gpu-check` measures it."""
    engine_utilisation: float = 0.5
    """Share of the bandwidth, or of the peak, that decoding reaches: kernels, sampling and scheduling take the rest."""
    judge_seconds: float = 1.0
    """Seconds of one request to the judge with genrm.connections in flight: a large model that reads 16 prompts."""
    verdicts_per_second: float = 200
    """Verdicts of one rtv worker: a mathematics verdict takes 5 ms (rtv.workers)."""
    log_megabytes: float = 17
    """MB/s that one partition leader writes: Kafka's ProducerPerformance on two cores, 2,581 records of 6.5 kB per
    second."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            above_zero = field.name not in {"response_tokens", "reference_characters", "judged_share", "filtered_share"}
            if not 0 <= value < float("inf") or (above_zero and value == 0):
                raise AssumptionError(f"--assume {field.name}={value:g}: give a finite number above 0")
            if (field.name.endswith("_share") and value >= 1 and field.name != "judged_share") or (
                field.name.endswith(("_share", "_utilisation")) and value > 1
            ):
                raise AssumptionError(f"--assume {field.name}={value:g}: it is a fraction, below 1")

    @classmethod
    def given(cls, assignments: Iterable[str]) -> Self:
        """The defaults with `NAME=VALUE` applied. Raises AssumptionError."""
        known = {field.name for field in fields(cls)}
        changes: dict[str, float] = {}
        for text in assignments:
            name, _, value = text.partition("=")
            if name not in known:
                raise AssumptionError(f"--assume {text}: no such figure; give one of {', '.join(sorted(known))}")
            try:
                changes[name] = float(value)
            except ValueError:
                raise AssumptionError(
                    f"--assume {text}: expected NAME=NUMBER, as in --assume prompt_tokens=512"
                ) from None
        return replace(cls(), **changes)
