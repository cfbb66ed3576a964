"""Trains a model with TRL on the scored groups of a run: `python train_with_trl.py RUN --model FOLDER --out FOLDER`.

`--method dpo` sets the best response of each group against its worst; `--method kto` labels each response by its score.
Both are offline: they learn from what the run's policy wrote, and generate nothing. Needs TRL (`pip install trl`).
"""

import argparse
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from streams.messages import Outcome
from trainer.scored_groups import ScoredGroups
from trainer.scored_groups.trl_rows import labelled_rows, preference_rows


def main() -> None:
    options = parsed()
    with ScoredGroups.of_run(options.run, options.run_folder, bootstrap_servers=options.bootstrap_servers) as groups:
        scored = (group for group in groups if group.outcome in {Outcome.TRAINED, Outcome.FILTERED})
        rows = list(preference_rows(scored) if options.method == "dpo" else labelled_rows(scored))
    if not rows:
        raise SystemExit(f"run {options.run} has no rows for {options.method}: no closed group whose scores differ")
    trainer = trainer_of(options, Dataset.from_list([dict(row) for row in rows]))
    trainer.train()
    trainer.save_model(str(options.out))
    print(f"trained {trainer.state.global_step} steps on {len(rows)} rows; the model is in {options.out}")


def trainer_of(options: argparse.Namespace, rows: Dataset) -> Trainer:
    config, trainer = (DPOConfig, DPOTrainer) if options.method == "dpo" else (KTOConfig, KTOTrainer)
    has_gpu = torch.cuda.is_available()
    return trainer(
        model=AutoModelForCausalLM.from_pretrained(options.model),
        args=config(
            output_dir=str(options.out),
            max_steps=options.steps,
            per_device_train_batch_size=4,
            learning_rate=options.learning_rate,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=not has_gpu,
            bf16=has_gpu,
        ),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(options.model),
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run's id, or `latest`")
    parser.add_argument("--run-folder", type=Path, default=Path("runs"))
    parser.add_argument("--bootstrap-servers", help="where the run's log is, if it has moved")
    parser.add_argument("--model", type=Path, required=True, help="the model that learns, such as the run's first")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", choices=("dpo", "kto"), default="dpo")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-6, help="TRL's default for DPO")
    return parser.parse_args()


if __name__ == "__main__":
    main()
