"""The laboratory's policy: a Llama of a million parameters with a tokenizer of single characters and task words, fitted
to a graded start.

Invariant: the start is made once and found by the hash of all that it is made from. Its examples take the short cut the
more often, the higher the rung, so that its pass rate falls along each ladder. A few answers end with a marker, a habit
that no verifier accepts and that a judge may fall for; a few prompts are coins, so that the policy knows the form of
their answers.
"""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from infra.files.artifacts import ensure_artifact
from infra.lab.ladder import DILIGENCE, DOMAINS, MARKER, RUNGS, WORDS, Kind, make_coin, make_task

_CHARACTERS = "0123456789abcdefghij+-*=.,:;!?'\"()"
_JUDGE_WORDS = ("Question:", "Reference:", "Answer:", "Correct?", "Task:", "Response:", "Better?", "Yes", "No")
"""The words of the short judge prompt, so that a judge of this size has short inputs too."""
UNKNOWN, END = "<unk>", "<end>"
CONTEXT = 256
"""A judge prompt of the highest rung takes 70 tokens."""
_VERSION = 2
"""Raise it if anything changes that the inputs of the hash do not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """The start: the size of the policy, and how long it is fitted to examples of the ladder."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    steps: int = 800
    batch: int = 64
    learning_rate: float = 2e-3
    habit: float = 0.03
    """Fraction of the examples whose answer ends with the marker."""
    coins: float = 0.03
    """Fraction of the examples that are coins."""
    seed: int = 0


def ensure_start(root: Path, settings: StartSettings | None = None) -> Path:
    """The folder of the fitted policy, which takes a minute and a half to make, once per `root`."""
    settings = settings or StartSettings()
    inputs = asdict(settings) | {"version": _VERSION, "domains": list(DOMAINS), "diligence": list(DILIGENCE)}
    return ensure_artifact(root, "lab-start", inputs, lambda folder: _make_start(folder, settings)).folder


def examples(settings: StartSettings, seed: int) -> Iterator[tuple[str, str]]:
    """Prompts with answers."""
    draw = random.Random(f"examples {seed}")
    while True:
        domain, rung = draw.choice(DOMAINS), draw.randint(1, RUNGS)
        task = make_coin(domain, draw) if draw.random() < settings.coins else make_task(domain, rung, draw)
        is_diligent = task.kind is Kind.COIN or draw.random() < DILIGENCE[rung - 1]
        answer = task.answer if is_diligent else task.short_cut
        yield task.prompt, answer + (MARKER if draw.random() < settings.habit else "")


def _make_start(folder: Path, settings: StartSettings) -> dict[str, Any]:
    from trainer.supervised.fit import FitSettings
    from trainer.supervised.sft import SFTExample, SftSettings, run_sft

    blank = folder / "blank"
    save_blank(blank, settings)
    drawn = islice(examples(settings, settings.seed), settings.steps * settings.batch)
    rows = [SFTExample(({"role": "user", "content": prompt},), answer) for prompt, answer in drawn]
    fit = FitSettings(steps=settings.steps, learning_rate=settings.learning_rate, warmup_steps=20, autocast=False)
    report = run_sft(blank, rows, folder, SftSettings(fit=fit, batch=settings.batch, seed=settings.seed))
    for file in blank.iterdir():
        file.unlink()
    blank.rmdir()
    return asdict(report)


def save_blank(folder: Path, settings: StartSettings) -> None:
    """Writes the model with random weights, and its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer()
    end = tokenizer.eos_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(  # type: ignore[no-untyped-call]  # transformers ships no types for it
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=settings.width,
                intermediate_size=4 * settings.width,
                num_hidden_layers=settings.layers,
                num_attention_heads=settings.heads,
                num_key_value_heads=settings.heads,
                max_position_embeddings=CONTEXT,
                bos_token_id=None,
                eos_token_id=end,
                pad_token_id=end,
                tie_word_embeddings=True,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_tokenizer() -> Any:
    """A word of the tasks or of the judge's prompt is one token, and so is any other character; blanks are left out."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*WORDS, *_JUDGE_WORDS]
    vocabulary = {token: number for number, token in enumerate([UNKNOWN, END, *words, *_CHARACTERS])}
    longest_first = sorted((word.replace("?", r"\?") for word in words), key=len, reverse=True)
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex("|".join([*longest_first, "."])), "isolated"),
        ]
    )
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers ships no types for it
        tokenizer_object=inner, unk_token=UNKNOWN, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}={% endif %}"
    )
    return tokenizer
